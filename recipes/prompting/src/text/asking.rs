//! What a run asks, settled before anything trains and kept with the run: templates, solved examples, label words.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use crucible_datasets::{LabelledText, LabelledTextData, Split};
use crucible_prompt::prefix::{Backbone, Prefix, Sizes, SoftPrompt, SoftPromptConfig};
use crucible_prompt::template::{Example, Soft, Template};
use crucible_prompt::verbalizer::{
    Dropped, FoundWord, LabelWords, PrototypicalVerbalizerConfig, SoftVerbalizer, Verbalizer,
    WordWeightsConfig,
};
use crucible_shared::{Frozen, LanguageBackbone, setting};
use crucible_training::fit::draw;
use crucible_training::{Error, Run};
use crucible_transformer::CausalLm;
use serde::{Deserialize, Serialize};

use super::batch::WordCollate;
use super::label_words::LabelWordsFinder;
use super::model::{Head, PromptedLanguageModel};
use super::question::{Question, encoded, solved, vectors};
use super::score::texts;
use super::verbalizer::VerbalizerConfig;
use super::{TextConfig, Trained, adapter};
use crate::words::label_words;

/// In the run's directory.
const FILE: &str = "question.json";

/// What is asked.
#[derive(Clone, Serialize, Deserialize)]
pub struct Asking {
    /// All of them ask, and what they come to is averaged.
    pub templates: Vec<Template>,
    /// Solved before each text.
    pub demonstrations: Vec<Demonstration>,
    /// So many of each class.
    pub shown: usize,
    /// The words of each class, and how they tell it.
    pub verbalizer: Verbalizer,
    /// What spoke for the words that were searched for.
    pub found: Vec<FoundWord>,
    /// Words that were left out, and why.
    pub dropped: Vec<Dropped>,
}

/// A text with its answer.
#[derive(Clone, Serialize, Deserialize)]
pub struct Demonstration {
    /// The text.
    pub text: String,
    /// The first label word of its class.
    pub label_word: String,
}

/// A model with what makes its batches.
pub type Asked = (PromptedLanguageModel, Arc<WordCollate>);

impl Asking {
    /// As the configuration says; words are searched for among what there is to train on.
    ///
    /// # Errors
    ///
    /// Templates, words and data that do not go together.
    pub fn settle(
        config: &TextConfig,
        data: &LabelledTextData,
        backbone: &Opened,
        run: &Run,
    ) -> Result<Self, Error> {
        if run.resume && run.dir.file(FILE).exists() {
            return run.dir.read_json(FILE);
        }
        let templates = config.asked(data, backbone, run)?;
        if templates.is_empty() {
            let remedy = "templates is empty; take `[\"{text} {mask}\"]`";
            return Err(Error::Usage(remedy.into()));
        }
        let words = label_words(&config.words, &data.labels)?;
        let solved = demonstrations(config.demonstrations, data, &words)?;
        let words = data.labels.iter().cloned().zip(words).collect();
        let words =
            LabelWords::new(words).map_err(|error| Error::Usage(format!("words: {error}")))?;
        let mut asking = Self {
            templates,
            demonstrations: solved,
            shown: config.demonstrations,
            verbalizer: Verbalizer::new(words, config.verbalizer.aggregation()),
            found: Vec::new(),
            dropped: Vec::new(),
        };
        let finder = LabelWordsFinder {
            config,
            data,
            backbone,
            run,
        };
        match config.verbalizer {
            VerbalizerConfig::Automatic { .. } => {
                finder.search(&mut asking)?;
                // From now on they end in what is looked for.
                let words: Vec<Vec<String>> = asking.verbalizer.words.of_classes();
                asking.demonstrations = demonstrations(config.demonstrations, data, &words)?;
            }
            VerbalizerConfig::Knowledge { .. } => finder.refine(&mut asking)?,
            _ => {}
        }
        run.dir.write_json(FILE, &asking)?;
        Ok(asking)
    }

    /// That of a finished run.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn reopen(run: &Run) -> Result<Self, Error> {
        run.dir.read_json(FILE)
    }

    /// That data has the classes that the words stand for.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] with both.
    pub fn answers(&self, data: &LabelledTextData) -> Result<(), Error> {
        let classes: Vec<&str> = self.verbalizer.words.classes().collect();
        match data
            .labels
            .iter()
            .map(String::as_str)
            .eq(classes.iter().copied())
        {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "`{}` has the classes {}, but the prompt asks for {}",
                data.name,
                data.labels.join(", "),
                classes.join(", ")
            ))),
        }
    }

    /// The model that is asked, with a prompt that has not been trained.
    ///
    /// # Errors
    ///
    /// A prompt that does not fit the model, and words that its tokenizer makes nothing of.
    pub fn start(&self, config: &TextConfig, opened: &Opened, run: &Run) -> Result<Asked, Error> {
        let Opened {
            backbone,
            frozen,
            device,
        } = opened;
        let sizes = frozen.beside(true).sizes();
        let prefix = match (&config.prefix, config.prefix.config()) {
            (Trained::Adapter(adapter), _) => {
                let prefix = adapter::open(&adapter.path, opened, &sizes, run)?;
                Some(match adapter.train {
                    true => prefix,
                    false => prefix.no_grad(),
                })
            }
            (_, Some(prefix)) => Some(prefix.init(&sizes, device).map_err(setting("prefix"))?),
            (_, None) => None,
        };
        let (plain, _) = self.plain(opened, run)?;
        let model = PromptedLanguageModel {
            prefix,
            head: self.head(config, opened, &sizes)?,
            verbalizer: config
                .verbalizer
                .has_words()
                .then(|| self.verbalizer.clone()),
            ..plain
        };
        // Before it is asked for its size, which would draw its numbers otherwise; on a device with gradients the seed would
        // not reach them.
        draw(&model, &run.device, run.seed);
        let before = model.prefix.as_ref().map_or(0, Prefix::tokens);
        let collate = self.collate(backbone, config.verbalizer.has_words(), before)?;
        Ok((model, collate))
    }

    /// The model with the templates alone.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn plain(&self, opened: &Opened, run: &Run) -> Result<Asked, Error> {
        let model = PromptedLanguageModel {
            prefix: None,
            soft: self.soft(opened, run)?,
            head: None,
            backbone: opened.frozen.clone(),
            verbalizer: Some(self.verbalizer.clone()),
        };
        Ok((model, self.collate(&opened.backbone, true, 0)?))
    }

    fn collate(
        &self,
        backbone: &LanguageBackbone,
        has_words: bool,
        before: usize,
    ) -> Result<Arc<WordCollate>, Error> {
        let words: Vec<&str> = match has_words {
            true => self.verbalizer.words.words().collect(),
            false => Vec::new(),
        };
        let examples = self.demonstrations.iter();
        let examples = examples.map(|one| solved(&one.text, &one.label_word));
        let examples: Vec<Example> = examples.collect();
        let (mut questions, mut first) = (Vec::new(), 0);
        for template in &self.templates {
            let (template, examples) = (template.clone(), examples.clone());
            let examples = (examples, self.shown);
            let question = Question::new(template, examples, &words, backbone, before, first)?;
            first += question.vectors();
            questions.push(question);
        }
        Ok(Arc::new(WordCollate { questions }))
    }

    /// The vectors within the templates: at random, or as the words say.
    fn soft(&self, opened: &Opened, run: &Run) -> Result<Option<SoftPrompt>, Error> {
        let Opened {
            backbone,
            frozen,
            device,
        } = opened;
        let softs: Vec<&Soft> = self.templates.iter().flat_map(Template::softs).collect();
        let counts = softs.iter().map(|soft| vectors(soft, &backbone.tokenizer));
        let counts: Vec<usize> = counts.collect::<Result<_, _>>().map_err(Error::data)?;
        let tokens: usize = counts.iter().sum();
        if tokens == 0 {
            return Ok(None);
        }
        let sizes = frozen.beside(true).sizes();
        let config = SoftPromptConfig::new(tokens);
        config.check(&sizes).map_err(setting("templates"))?;
        let mut prompt = config.init(&sizes, device);
        draw(&prompt, &run.device, run.seed);
        let mut rows: Vec<Tensor<2>> = Vec::new();
        let mut first = 0;
        for (soft, count) in softs.iter().zip(counts) {
            rows.push(match soft {
                Soft::Random(_) => prompt.vectors.val().narrow(0, first, count),
                Soft::Words(words) => {
                    let ids = encoded(&backbone.tokenizer, words).map_err(Error::data)?;
                    rows_of(&frozen.beside(true).word.weight.val(), &ids)
                }
            });
            first += count;
        }
        let vectors = Tensor::cat(rows, 0).into_data();
        prompt.vectors = Param::from_data(vectors, device);
        Ok(Some(prompt))
    }

    fn head(
        &self,
        config: &TextConfig,
        opened: &Opened,
        sizes: &Sizes,
    ) -> Result<Option<Head>, Error> {
        let (classes, d_model) = (self.verbalizer.words.classes().len(), sizes.d_model);
        let device = &opened.device;
        Ok(match config.verbalizer {
            VerbalizerConfig::Knowledge { weigh: true, .. } => {
                let words = WordWeightsConfig::new(self.verbalizer.words.clone());
                Some(Head::Weighted(words.init(device)))
            }
            VerbalizerConfig::Soft => {
                let words = opened.output_embeddings(&self.verbalizer.words)?;
                let soft = SoftVerbalizer::from_label_words(&self.verbalizer.words, words);
                Some(Head::Soft(
                    soft.map_err(|error| Error::Usage(error.to_string()))?,
                ))
            }
            VerbalizerConfig::Prototypical { d_projection } => {
                let head = PrototypicalVerbalizerConfig::new(classes, d_model);
                let head = head.with_d_projection(d_projection.max(1));
                Some(Head::Prototypical(head.init(device)))
            }
            _ => None,
        })
    }
}

/// So many texts of each class to train on, class by class in turn, and one more to take the place of one that is asked
/// about itself.
fn demonstrations(
    count: usize,
    data: &LabelledTextData,
    words: &[Vec<String>],
) -> Result<Vec<Demonstration>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let texts = texts(data, Split::Train)?;
    let mut shown = Vec::new();
    for number in 0..=count {
        for (class, words) in words.iter().enumerate() {
            let own = texts
                .iter()
                .filter(|text: &&LabelledText| text.label == class);
            let text = own.clone().nth(number);
            shown.extend(text.map(|text| Demonstration {
                text: text.text.clone(),
                label_word: words[0].clone(),
            }));
        }
    }
    Ok(shown)
}

/// The frozen model of a run, where it trains and where it does not.
pub struct Opened {
    /// What prepares its input.
    pub backbone: LanguageBackbone,
    /// The model.
    pub frozen: Frozen<CausalLm>,
    /// What trains beside it.
    pub device: Device,
}

impl Opened {
    /// The vectors that tell the first token of each label word, `[words, d_model]`.
    fn output_embeddings(&self, words: &LabelWords) -> Result<Tensor<2>, Error> {
        let first = |word: &str| {
            let ids = encoded(&self.backbone.tokenizer, &format!(" {word}"));
            Ok(ids.map_err(Error::data)?.first().copied().unwrap_or(0))
        };
        let ids: Vec<u32> = words.words().map(first).collect::<Result<_, Error>>()?;
        let model = self.frozen.beside(true);
        let table = match &model.head {
            Some(head) => head.linear.weight.val().transpose(),
            None => model.word.weight.val(),
        };
        Ok(rows_of(&table, &ids))
    }
}

/// `[vocabulary, d_model]` to `[ids, d_model]`.
fn rows_of(table: &Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let ids = TensorData::new(ids.clone(), [ids.len()]);
    let ids = Tensor::from_data(ids, &table.device());
    table.clone().detach().select(0, ids)
}
