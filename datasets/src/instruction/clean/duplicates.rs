//! Copies of conversations about the same pictures.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::minhash::{Document, Index, shingles};
use super::words::normalised;
use super::{DuplicateConfig, Reason, all};
use crate::instruction::conversation::{Conversation, Role};
use crate::{ImageSource, parallel};

/// The conversations that were kept so far.
pub(super) struct Seen<'c> {
    config: &'c DuplicateConfig,
    /// What the pictures show, by their names.
    pictures: HashMap<String, [u8; 32]>,
    /// Ids by the digest of everything.
    exact: HashMap<[u8; 32], String>,
    near: Index<'c>,
    /// Ids by the place in `near`.
    ids: Vec<String>,
}

impl<'c> Seen<'c> {
    /// Nothing kept yet; the pictures of all conversations that may come are read once.
    pub fn new<'a>(
        config: &'c DuplicateConfig,
        conversations: impl Iterator<Item = &'a Conversation>,
    ) -> Self {
        let mut sources = BTreeMap::new();
        if config.exact || config.near > 0.0 {
            let images = conversations.flat_map(|conversation| &conversation.images);
            sources.extend(images.map(|image| (image.name(), image)));
        }
        let sources: Vec<(String, &ImageSource)> = sources.into_iter().collect();
        let digests = parallel::map(&sources, |(name, image)| digest_of(name, image));
        let names = sources.into_iter().map(|(name, _)| name);
        Self {
            config,
            pictures: names.zip(digests).collect(),
            exact: HashMap::new(),
            near: Index::new(config),
            ids: Vec::new(),
        }
    }

    /// What the conversation is a copy of; if it is none, it counts as kept.
    pub fn copy(&mut self, conversation: &Conversation) -> Option<Reason> {
        let pictures = self.pictures_of(conversation);
        let digest = self.config.exact.then(|| digest(conversation, &pictures));
        if let Some(of) = digest.and_then(|digest| self.exact.get(&digest)) {
            return Some(Reason::Duplicate { of: of.clone() });
        }
        if self.config.near > 0.0 {
            let document = self.document(conversation, pictures);
            if let Some((place, similarity)) = self.near.find_or_add(document) {
                let of = self.ids.get(place)?.clone();
                return Some(Reason::NearDuplicate { of, similarity });
            }
            self.ids.push(conversation.id.clone());
        }
        self.exact
            .extend(digest.map(|digest| (digest, conversation.id.clone())));
        None
    }

    fn document(&self, conversation: &Conversation, pictures: [u8; 32]) -> Document {
        let shingles = |text: String| shingles(&text, self.config.shingle);
        let system = all(conversation, Role::System);
        Document {
            pictures,
            question: shingles(system + "\n" + &all(conversation, Role::User)),
            answer: shingles(all(conversation, Role::Assistant)),
        }
    }

    /// What is shown, in its order.
    fn pictures_of(&self, conversation: &Conversation) -> [u8; 32] {
        let mut digest = Sha256::new();
        for image in &conversation.images {
            digest.update(self.pictures.get(&image.name()).unwrap_or(&[0; 32]));
        }
        digest.finalize().into()
    }
}

/// Who says what about which pictures, no matter in which case and with which blanks.
fn digest(conversation: &Conversation, pictures: &[u8; 32]) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix(pictures);
    for turn in &conversation.turns {
        let text = normalised(&turn.text);
        digest.update([turn.role as u8]);
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

/// Of an image's pixels; of its name, if it cannot be read.
fn digest_of(name: &str, image: &ImageSource) -> [u8; 32] {
    let digest = Sha256::new();
    let digest = match image.decode() {
        Ok(pixels) => digest
            .chain_update(pixels.width().to_le_bytes())
            .chain_update(pixels.as_raw()),
        Err(_) => digest.chain_update(name),
    };
    digest.finalize().into()
}
