//! Text to token ids and back: a vocabulary trained on the training split, or the user's `tokenizer.json`.

use std::collections::HashMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{
    AddedToken, ModelWrapper, NormalizedString, Normalizer, OffsetReferential, OffsetType,
    PostProcessor, PreTokenizedString, PreTokenizer,
};

use crate::DataError;
use crate::paths::open_regular;
use crate::vocabulary::{self, Words};

/// Padding; id 0 in a trained vocabulary.
pub const PAD: &str = "[PAD]";
/// A word that the vocabulary lacks; id 1.
pub const UNK: &str = "[UNK]";
/// Start of a text, and the place to read its pooled representation from; id 2.
pub const CLS: &str = "[CLS]";
/// End of a text; id 3.
pub const SEP: &str = "[SEP]";
/// A hidden token; id 4.
pub const MASK: &str = "[MASK]";

/// In the order of their ids.
const SPECIAL: [&str; 5] = [PAD, UNK, CLS, SEP, MASK];

/// How a vocabulary is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Vocabulary {
    /// One token a word: right where words are few.
    #[default]
    WordLevel,
    /// Words and pieces of words (BERT; Schuster and Nakajima 2012): right for open text.
    WordPiece,
}

/// Where the tokenizer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Path of a `tokenizer.json` to use as it is; "" trains one on the training split.
    pub file: String,
    /// How a vocabulary is trained.
    pub vocabulary: Vocabulary,
    /// The most entries that a trained vocabulary has, special tokens included.
    pub vocabulary_size: usize,
    /// The most tokens a text has, special tokens included; longer ones are cut at the end.
    pub max_length: usize,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            file: String::new(),
            vocabulary: Vocabulary::WordLevel,
            vocabulary_size: 30_522,
            max_length: 64,
        }
    }
}

/// A text as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Token ids.
    pub ids: Vec<u32>,
    /// The number of the word that each is a piece of; none for special tokens.
    pub words: Vec<Option<u32>>,
}

/// Turns texts into token ids: lower-cased, split at white space and punctuation, `[CLS]` ... `[SEP]`, cut to a
/// maximal length. (A user's `tokenizer.json` keeps its own rules; only padding and cutting are ours.)
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_length: usize,
    padding: u32,
}

impl Tokenizer {
    /// What `config` asks for: reads its file, or trains on `texts`.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] and [`DataError::Setting`], as [`Tokenizer::from_file`] and [`Tokenizer::train`].
    pub fn new(
        config: &TokenizerConfig,
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, DataError> {
        if config.file.is_empty() {
            Self::train(config, texts)
        } else {
            Self::from_file(Path::new(&config.file), config.max_length)
        }
    }

    /// Trains a vocabulary. The same texts, in any order, give the same one.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the vocabulary or the maximal length leaves no room beside the special tokens,
    /// [`DataError::Tokenizer`] if training fails.
    pub fn train(
        config: &TokenizerConfig,
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, DataError> {
        let failed = |error: tokenizers::Error| DataError::Tokenizer {
            tokenizer: "tokenizer".into(),
            reason: error.to_string(),
            remedy: "check the training split's texts",
        };
        let Some(size) = config
            .vocabulary_size
            .checked_sub(SPECIAL.len())
            .filter(|&size| size > 0)
        else {
            return Err(DataError::Setting {
                setting: "vocabulary_size",
                value: config.vocabulary_size.to_string(),
                reason: format!("expected more than the {} special tokens", SPECIAL.len()),
            });
        };
        let words = count_words(texts).map_err(failed)?;
        let entries = match config.vocabulary {
            Vocabulary::WordLevel => vocabulary::word_level(&words, size),
            Vocabulary::WordPiece => vocabulary::word_piece(&words, size),
        };
        let entries = SPECIAL
            .map(String::from)
            .into_iter()
            .chain(entries)
            .zip(0..)
            .collect();
        let model: ModelWrapper = match config.vocabulary {
            Vocabulary::WordLevel => {
                let model = WordLevel::builder().vocab(entries).unk_token(UNK.into());
                model.build().map_err(failed)?.into()
            }
            Vocabulary::WordPiece => {
                let model = WordPiece::builder().vocab(entries).unk_token(UNK.into());
                model.build().map_err(failed)?.into()
            }
        };
        let mut inner = tokenizers::Tokenizer::new(model);
        inner
            .with_normalizer(Some(normalizer()))
            .map_err(failed)?
            .with_pre_tokenizer(Some(BertPreTokenizer))
            .with_post_processor(Some(BertProcessing::new((SEP.into(), 3), (CLS.into(), 2))))
            .with_decoder(Some(WordPieceDecoder::default()))
            .add_special_tokens(SPECIAL.map(|token| AddedToken::from(token, true)))
            .map_err(failed)?;
        Self::checked(inner, config.max_length, "tokenizer")
    }

    /// Reads a `tokenizer.json` in the format of the Hugging Face tokenizers library.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if it cannot be read; [`DataError::Tokenizer`] if it is damaged or has no padding token;
    /// [`DataError::Setting`] if `max_length` leaves no room beside its special tokens.
    pub fn from_file(path: &Path, max_length: usize) -> Result<Self, DataError> {
        use std::io::Read;
        let mut json = Vec::new();
        open_regular(path)
            .and_then(|file| file.take(MAX_TOKENIZER_BYTES).read_to_end(&mut json))
            .map_err(|source| DataError::io(path, source))?;
        let name = path.display().to_string();
        let inner =
            tokenizers::Tokenizer::from_bytes(&json).map_err(|error| DataError::Tokenizer {
                tokenizer: name.clone(),
                reason: error.to_string(),
                remedy: "expected a tokenizer.json of the Hugging Face tokenizers library",
            })?;
        Self::checked(inner, max_length, &name)
    }

    fn checked(
        mut inner: tokenizers::Tokenizer,
        max_length: usize,
        name: &str,
    ) -> Result<Self, DataError> {
        // Batches are padded here, to their own longest text, and cut here, before special tokens are added.
        let padding = inner
            .get_padding()
            .map(|padding| padding.pad_id)
            .or_else(|| {
                [PAD, "<pad>", "<|endoftext|>"]
                    .iter()
                    .find_map(|pad| inner.token_to_id(pad))
            });
        let padding = padding.ok_or_else(|| DataError::Tokenizer {
            tokenizer: name.into(),
            reason: "it has no padding token".into(),
            remedy: "add a token [PAD] or <pad>",
        })?;
        let special = inner
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(false));
        if max_length <= special {
            return Err(DataError::Setting {
                setting: "max_length",
                value: max_length.to_string(),
                reason: format!("expected more than the {special} special tokens of each text"),
            });
        }
        let failed = |error: tokenizers::Error| DataError::Tokenizer {
            tokenizer: name.into(),
            reason: error.to_string(),
            remedy: "check its truncation settings",
        };
        inner
            .with_padding(None)
            .with_truncation(Some(tokenizers::TruncationParams {
                max_length,
                ..Default::default()
            }))
            .map_err(failed)?;
        Ok(Self {
            inner,
            max_length,
            padding,
        })
    }

    /// Token ids of a text: at least one, at most `max_length`.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if the tokenizer rejects the text, as one without an unknown-word token may.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        // Without offsets and words, which take as long as the rest.
        let encoding = self.inner.encode_fast(text, true);
        let encoding = encoding.map_err(|error| rejected(text, error))?;
        match encoding.get_ids() {
            // Without special tokens an empty text would leave attention nothing to look at.
            [] => Ok(vec![self.padding]),
            ids => Ok(ids.to_vec()),
        }
    }

    /// Token ids of a text as [`encode`](Self::encode) gives them, with the words that they are pieces of.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn pieces(&self, text: &str) -> Result<Pieces, DataError> {
        let encoding = self.inner.encode(text, true);
        let encoding = encoding.map_err(|error| rejected(text, error))?;
        match encoding.get_ids() {
            [] => Ok(Pieces {
                ids: vec![self.padding],
                words: vec![None],
            }),
            ids => Ok(Pieces {
                ids: ids.to_vec(),
                words: encoding.get_word_ids().to_vec(),
            }),
        }
    }

    /// Share of the tokens of a text that stand for what the vocabulary lacks.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn unknown(&self, text: &str) -> Result<f64, DataError> {
        let Pieces { ids, words } = self.pieces(text)?;
        let unknown = self.id(UNK).or_else(|| self.id("<unk>"));
        let tokens = ids.iter().zip(&words).filter(|(_, word)| word.is_some());
        let lacking = tokens.clone().filter(|(id, _)| Some(**id) == unknown);
        Ok(lacking.count() as f64 / tokens.count().max(1) as f64)
    }

    /// The text of token ids, special tokens left out.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if the decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, DataError> {
        self.inner
            .decode(ids, true)
            .map_err(|error| DataError::Tokenizer {
                tokenizer: "tokenizer".into(),
                reason: error.to_string(),
                remedy: "check the decoder of the tokenizer.json",
            })
    }

    /// The tokenizer by itself, which cuts nothing.
    pub fn into_inner(self) -> tokenizers::Tokenizer {
        self.inner
    }

    /// How many ids there are: the number of rows of an embedding.
    pub fn vocabulary_size(&self) -> usize {
        // Ids of a user's file may have holes: the largest counts.
        self.inner
            .get_vocab(true)
            .into_values()
            .max()
            .map_or(0, |id| id as usize + 1)
    }

    /// The most tokens that [`Tokenizer::encode`] returns.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The id that fills the end of shorter texts.
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// The token of an id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The content of a `tokenizer.json`, which [`Tokenizer::from_file`] reads back.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if it cannot be serialised.
    pub fn to_json(&self) -> Result<String, DataError> {
        self.inner
            .to_string(true)
            .map_err(|error| DataError::Tokenizer {
                tokenizer: "tokenizer".into(),
                reason: error.to_string(),
                remedy: "use a tokenizer made of serialisable parts",
            })
    }

    /// Writes [`Tokenizer::to_json`] to a file.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        std::fs::write(path, self.to_json()?).map_err(|source| DataError::Io {
            path: path.to_owned(),
            source,
            remedy: "check that its folder exists and may be written",
        })
    }
}

fn rejected(text: &str, error: tokenizers::Error) -> DataError {
    DataError::Tokenizer {
        tokenizer: format!("tokenizer, for the text {text:?}"),
        reason: error.to_string(),
        remedy: "use a tokenizer that has an unknown-word token",
    }
}

/// The largest `tokenizer.json` that is read; those of large multilingual models have about 30 MiB.
const MAX_TOKENIZER_BYTES: u64 = 128 << 20;

/// Lower case, no accents, Chinese characters apart (BERT).
fn normalizer() -> BertNormalizer {
    BertNormalizer::new(true, true, None, true)
}

/// The words of texts, as the tokenizer will see them.
fn count_words(
    texts: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Words, tokenizers::Error> {
    // Questions repeat: each text is split once.
    let mut distinct: HashMap<String, u64> = HashMap::new();
    for text in texts {
        *distinct.entry(text.as_ref().to_owned()).or_default() += 1;
    }
    let mut words = Words::new();
    for (text, count) in distinct {
        let mut normalized = NormalizedString::from(text);
        normalizer().normalize(&mut normalized)?;
        let mut split = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut split)?;
        for (word, ..) in split.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            *words.entry(word.to_owned()).or_default() += count;
        }
    }
    Ok(words)
}
