//! A template that is searched for before anything trains.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crucible_datasets::{LabelledTextData, Split};
use crucible_kernels::among_threads;
use crucible_prompt::template::Template;
use crucible_prompt::template::search::{
    Candidate, CausalTexts, GeneratedSearch, GradientSearch, Progress, SearchError, Tokens, Wording,
};
use crucible_shared::setting;
use crucible_training::{Error, Run, seeds, tell};
use crucible_transformer::CausalLm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::TextConfig;
use super::asking::Opened;
use super::question::template;
use super::score::texts;
use crate::words::label_words;

/// What was found, in the directory of the run: the template that is used comes first.
const FILE: &str = "templates.json";

/// So many texts of a class are searched with where there is no limit: keys and values of all of them are in memory.
const SHOTS: usize = 16;

/// How a template is found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum TemplateSearch {
    /// It is not: the `templates` are asked.
    None,
    /// Words exchanged where the gradient says that it pays (AutoPrompt, Shin et al. 2020).
    Gradient(GradientSearch),
    /// Words that the model itself goes on with (LM-BFF, Gao et al. 2021).
    Generate(GeneratedSearch),
}

impl TextConfig {
    /// The templates that are asked: as they are set, or the one that a search finds with the few texts that the prompt will
    /// learn from, chosen by those that validate it.
    ///
    /// # Errors
    ///
    /// Those of templates, data and the search's settings.
    pub fn asked(
        &self,
        data: &LabelledTextData,
        opened: &Opened,
        run: &Run,
    ) -> Result<Vec<Template>, Error> {
        if matches!(self.search, TemplateSearch::None) {
            return self.templates.iter().map(|text| template(text)).collect();
        }
        let shots = match self.shots {
            0 => SHOTS,
            shots => shots.min(SHOTS),
        };
        let few = data.clone().few_shot(shots, run.seed);
        let few = few.map_err(Error::data)?;
        let mut found = self.search(&few, opened, run)?;
        // The order of the search decides between equals.
        let accuracy = |found: &Candidate| found.accuracy.unwrap_or(0.0);
        found.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)));
        run.dir.write_json(FILE, &found)?;
        let found = found.into_iter().map(|found| found.template);
        let best: Vec<Template> = found.take(1).collect();
        for template in best.iter().filter(|_| !run.quiet) {
            tell!("template: \"{template}\"");
        }
        Ok(best)
    }

    fn search(
        &self,
        few: &LabelledTextData,
        opened: &Opened,
        run: &Run,
    ) -> Result<Vec<Candidate>, Error> {
        let backbone = &opened.backbone;
        let tokenizer = Pieces::new(backbone.tokenizer.clone());
        let (mut names, mut words, mut class) = (Vec::new(), Vec::new(), Vec::new());
        let label_words = label_words(&self.words, &few.labels)?;
        for (number, of_class) in label_words.into_iter().enumerate() {
            for word in of_class {
                // A word goes on after a blank, as it does in running text.
                words.push(tokenizer.encode(&format!(" {word}")).unwrap_or_default());
                class.push(number);
                names.push(word);
            }
        }
        let task = Task {
            search: self.search.clone(),
            seed: seeds::named(run.seed, seeds::STEP, "template search"),
            model: opened.frozen.beside(true).clone(),
            vocabulary: backbone.config.vocabulary,
            tokenizer,
            names,
            words,
            class,
            train: worded(few, Split::Train)?,
            valid: worded(few, Split::Valid)?,
            at_once: self.loader.batch_size,
        };
        let (quiet, interrupter) = (run.quiet, run.interrupter.clone());
        let mut on_step = move |progress: Progress<'_>| {
            let Progress { step, steps, .. } = progress;
            if !quiet {
                tell!(
                    "search {step}/{steps}: {:.4} \"{}\"",
                    progress.score,
                    progress.words
                );
            }
            match interrupter.should_stop() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let found = among_threads(&run.device, move || task.run(&mut on_step));
        found.map_err(|error| match error {
            SearchError::Config(error) => setting("search")(error),
            SearchError::Interrupted => Error::Interrupted {
                step: 0,
                run: run.dir.path().to_owned(),
            },
            error => Error::Usage(format!("search: {error}")),
        })
    }
}

/// Texts of a split with their classes, but those without a word.
fn worded(data: &LabelledTextData, split: Split) -> Result<Vec<(String, usize)>, Error> {
    let samples = texts(data, split)?.into_iter();
    let texts = samples.map(|sample| (sample.text.trim_end().to_owned(), sample.label));
    Ok(texts.filter(|(text, _)| !text.is_empty()).collect())
}

/// All that a search needs, to be handed to the thread that computes.
struct Task {
    search: TemplateSearch,
    seed: u64,
    model: CausalLm,
    vocabulary: usize,
    tokenizer: Pieces,
    /// Label words, class after class.
    names: Vec<String>,
    /// Their tokens.
    words: Vec<Vec<u32>>,
    /// Their classes.
    class: Vec<usize>,
    train: Vec<(String, usize)>,
    valid: Vec<(String, usize)>,
    /// Texts.
    at_once: usize,
}

impl Task {
    fn run(
        self,
        on_step: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Candidate>, SearchError> {
        let tokens = match &self.search {
            TemplateSearch::None => return Ok(Vec::new()),
            TemplateSearch::Gradient(search) => search.check().map(|()| search.tokens)?,
            TemplateSearch::Generate(search) => search.check().map(|()| search.tokens)?,
        };
        let model = self.model;
        let read = |texts: Vec<Vec<u32>>, labels: &[(String, usize)]| {
            let labels = labels.iter().map(|(_, label)| *label);
            let texts: Vec<_> = texts.into_iter().zip(labels).collect();
            let words = (&self.words[..], &self.class[..]);
            CausalTexts::new(&model, &texts, words, tokens, self.at_once)
        };
        let valid = self.valid.iter();
        let valid = valid.map(|(text, _)| self.tokenizer.encode(text).unwrap_or_default());
        let valid = read(valid.collect(), &self.valid)?;
        let train: Vec<String> = self.train.iter().map(|(text, _)| text.clone()).collect();
        let wording = Wording::new(self.tokenizer, self.vocabulary, &train, &self.names)?;
        let train = read(wording.texts(), &self.train)?;
        let mut found = match &self.search {
            TemplateSearch::None => Vec::new(),
            TemplateSearch::Gradient(search) => {
                search.search(&wording, &train, self.seed, on_step)?
            }
            TemplateSearch::Generate(search) => {
                let next = |tokens: &[u32]| train.next(tokens);
                let loss = |tokens: &[u32]| train.label_loss(tokens);
                search.search(&wording, &next, &loss, on_step)?
            }
        };
        for candidate in &mut found {
            candidate.accuracy = Some(valid.accuracy(&candidate.tokens));
        }
        Ok(found)
    }
}

/// The tokenizer of a backbone without the tokens that no text is made of.
struct Pieces {
    tokenizer: Tokenizer,
    added: BTreeSet<u32>,
}

impl Pieces {
    fn new(tokenizer: Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder().into_keys().collect();
        Self { tokenizer, added }
    }
}

impl Tokens for Pieces {
    fn encode(&self, text: &str) -> Option<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false).ok()?;
        Some(encoding.get_ids().to_vec())
    }

    fn decode(&self, tokens: &[u32]) -> Option<String> {
        let known = tokens.iter().all(|token| !self.added.contains(token));
        known.then(|| self.tokenizer.decode(tokens, true).ok())?
    }
}
