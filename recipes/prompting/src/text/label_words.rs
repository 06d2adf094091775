//! Label words that a language model and a few labelled texts choose.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};
use crucible_datasets::{LabelledTextData, Split};
use crucible_prompt::verbalizer::{LabelWordSearch, Refinement};
use crucible_training::{Error, Run, tell};

use super::asking::{Asking, Opened};
use super::score::{contentless, texts};
use super::verbalizer::VerbalizerConfig;
use super::{CONTENT_FREE, TextConfig};

/// What it takes to look for words.
pub struct LabelWordsFinder<'a> {
    pub config: &'a TextConfig,
    pub data: &'a LabelledTextData,
    pub backbone: &'a Opened,
    pub run: &'a Run,
}

impl LabelWordsFinder<'_> {
    /// Words of the model's own vocabulary, each a token, in the place of those that stand there.
    pub fn search(&self, asking: &mut Asking) -> Result<(), Error> {
        let VerbalizerConfig::Automatic {
            words_per_class,
            candidates,
        } = self.config.verbalizer
        else {
            return Ok(());
        };
        let words = self.vocabulary();
        let (ids, names): (Vec<i32>, Vec<String>) = words.into_iter().unzip();
        let (model, collate) = asking.plain(self.backbone, self.run)?;
        let scorer = self.config.scorer(self.run, &model, &collate);
        let texts = texts(self.data, Split::Train)?;
        let rows = scorer.rows(&texts, |model, batch| {
            let scores = model.vocabulary(batch);
            let ids = Tensor::<1, Int>::from_data(&ids[..], &scores.device());
            scores.select(1, ids)
        })?;
        let labels: Vec<usize> = texts.iter().map(|text| text.label).collect();
        let search = LabelWordSearch {
            words_per_class,
            candidates,
        };
        let templates = asking.templates.len();
        let labels = labels.iter().flat_map(|label| vec![*label; templates]);
        let labels: Vec<usize> = labels.collect();
        let searched = search.search(&names, &self.data.labels, &rows, &labels);
        let searched = searched.map_err(|error| Error::Usage(format!("verbalizer: {error}")))?;
        let found = searched.found.iter().filter(|_| !self.run.quiet);
        for (class, words) in by_class(found.map(|found| (&found.class, &found.word))) {
            tell!("label words of `{class}`: {}", words.join(", "));
        }
        asking.verbalizer.words = searched.words;
        asking.found = searched.found;
        Ok(())
    }

    /// Leaves out words that say little of their class.
    pub fn refine(&self, asking: &mut Asking) -> Result<(), Error> {
        let VerbalizerConfig::Knowledge {
            rare,
            least_relevance,
            ..
        } = self.config.verbalizer
        else {
            return Ok(());
        };
        let (model, collate) = asking.plain(self.backbone, self.run)?;
        let scorer = self.config.scorer(self.run, &model, &collate);
        let support = scorer.words(&texts(self.data, Split::Train)?)?;
        let prior = scorer.words(&contentless(&CONTENT_FREE))?;
        let refinement = Refinement {
            rare,
            least_relevance,
        };
        let refined = refinement.refine(&asking.verbalizer.words, &support, &prior);
        let refined = refined.map_err(|error| Error::Usage(format!("verbalizer: {error}")))?;
        let dropped = refined.dropped.iter().filter(|_| !self.run.quiet);
        for (class, words) in by_class(dropped.map(|dropped| (&dropped.class, &dropped.word))) {
            tell!("left out of `{class}`: {}", words.join(", "));
        }
        asking.verbalizer = refined.verbalizer();
        asking.dropped = refined.dropped;
        Ok(())
    }

    /// Tokens that are a word after a blank, and are read as such.
    fn vocabulary(&self) -> Vec<(i32, String)> {
        let tokenizer = &self.backbone.backbone.tokenizer;
        let word = |id: u32| {
            let text = tokenizer.decode(&[id], true).ok()?;
            let word = text.trim();
            let letters = word
                .chars()
                .all(|letter| letter.is_alphanumeric() && !letter.is_uppercase());
            let ids = tokenizer.encode_fast(format!(" {word}"), false).ok()?;
            let own = letters && word.chars().count() > 1 && ids.get_ids() == [id];
            own.then(|| (id as i32, word.to_owned()))
        };
        let ids = 0..tokenizer.get_vocab_size(false) as u32;
        ids.filter_map(word).collect()
    }
}

fn by_class<'a>(
    words: impl Iterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (class, word) in words {
        of.entry(class).or_default().push(word);
    }
    of
}
