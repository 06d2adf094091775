//! Prompts in front of a dual encoder: a few images of each class teach how to ask for it.
//!
//! ```text
//! crucible train contrastive --out tower                                    # what a prompt stands before
//! crucible train prompting-vision --set backbone=tower --set prompt=none    # names alone: zero-shot
//! crucible train prompting-vision --set backbone=tower                      # CoOp, 16 images of each group of emoji
//! crucible train prompting-vision --set backbone=clip --data pets           # published CLIP weights and a folder of images
//! crucible compare prompting-vision --set backbone=tower --vary prompt=none,text,conditional,vision,coupled --seeds 5
//! ```

use crucible_datasets::{
    AugmentConfig, EvalLoader, ImageData, LoaderConfig, Split, Tokenizer, TokensHost, open_images,
};
use crucible_prompt::dual::DualPromptConfig;
use crucible_prompt::prefix::SoftPromptInit;
use crucible_prompt::template::{Part, Template};
use crucible_shared::classifier::{self, Beside};
use crucible_shared::{
    DualBackbone, Frozen, Rehearsal, data_name, final_split, image_collate, learn_as_rehearsed,
    setting,
};
use crucible_training::fit::draw;
use crucible_training::{Error, Outcome, Preset, Recipe, Run, TrainingConfig, checkpoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{ClassWords, label_words};
use model::{Names, PromptedClassifier};
use seen::SeenPrompt;

mod model;
mod presets;
mod seen;

/// The recipe.
pub struct Vision;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VisionConfig {
    /// Dual encoder that the prompt stands before: a run of `contrastive`, or published CLIP weights (a Hugging Face folder,
    /// or `hf:org/name` in a binary with the feature `hub`).
    pub backbone: String,
    /// Images with classes: a name of the catalogue (`crucible data`) or a folder.
    pub data: String,
    /// So many images of each class to learn from, drawn by the seed, and as many to validate; 0 for all.
    pub shots: usize,
    /// What is said of a class, `{mask}` standing for its name; of several the mean is compared with an image.
    pub templates: Vec<String>,
    /// Classes that are not to be called by their own name: `[{class = "Animals & Nature", words = ["animal", "plant"]}]`.
    pub words: Vec<ClassWords>,
    /// Where trained vectors stand: none, text (CoOp), conditional (CoCoOp), vision (VPT), both, or coupled (MaPLe).
    pub prompt: DualPromptConfig,
    /// What the vectors before a text begin as, such as "a photo of a" (CoOp), repeated or cut to `prompt.tokens`; "" for
    /// random numbers.
    pub init_words: String,
    /// Random changes to the training images.
    pub augment: AugmentConfig,
    /// Batches of images.
    pub loader: LoaderConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

impl VisionConfig {
    fn open(&self, command: &str, run: &Run) -> Result<ImageData, Error> {
        open_images(data_name(command, run, &self.data)).map_err(Error::data)
    }

    /// The model with a prompt that has not been trained, and what prepares its images.
    fn init(
        &self,
        data: &ImageData,
        run: &Run,
    ) -> Result<(PromptedClassifier, DualBackbone), Error> {
        let backbone = DualBackbone::open(&self.backbone, run)?;
        let names = self.names(&data.labels, &backbone)?;
        let device = run.training_device(&self.training);
        let frozen = Frozen::new(backbone.encoder(run, &device)?);
        let words = self.first_words(&backbone)?;
        let prompt = self.prompt.init(frozen.beside(true), &words, &device);
        let model = PromptedClassifier {
            prompt: prompt.map_err(setting("prompt"))?,
            backbone: frozen,
            names,
        };
        Ok((model, backbone))
    }

    /// What is said of the classes.
    fn names(&self, labels: &[String], backbone: &DualBackbone) -> Result<Names, Error> {
        let templates = self.templates.iter().map(|text| self.template(text));
        let templates: Vec<Template> = templates.collect::<Result<_, _>>()?;
        if templates.is_empty() {
            return Err(Error::Usage(
                "templates is empty; take `[\"{mask}\"]`".into(),
            ));
        }
        let (mut texts, mut class) = (Vec::new(), Vec::new());
        for (of, words) in label_words(&self.words, labels)?.iter().enumerate() {
            for word in words {
                for template in &templates {
                    let text = said(template, word);
                    backbone.known(&text)?;
                    texts.push(tokens(&backbone.tokenizer, &text)?);
                    class.push(of);
                }
            }
        }
        Ok(Names {
            texts: TokensHost::pad(&texts, backbone.tokenizer.padding()),
            class,
            classes: labels.len(),
        })
    }

    /// What the vectors before a text begin as.
    fn first_words(&self, backbone: &DualBackbone) -> Result<SoftPromptInit, Error> {
        let text = self.init_words.as_str();
        if text.is_empty() {
            return Ok(SoftPromptInit::Normal);
        }
        if let DualPromptConfig::None | DualPromptConfig::Vision(_) = self.prompt {
            return Err(Error::Usage(
                "init_words is for vectors before a text, and `prompt` has none there; take prompt=text, conditional, \
                 both or coupled"
                    .into(),
            ));
        }
        let tokenizer = &backbone.tokenizer;
        if tokenizer.unknown(text).map_err(Error::data)? > 0.0 {
            return Err(Error::Usage(format!(
                "init_words: the tokenizer of the backbone does not know all of \"{text}\"; take words that it has learnt"
            )));
        }
        let pieces = tokenizer.pieces(text).map_err(Error::data)?;
        let pieces = pieces.ids.into_iter().zip(pieces.words);
        let ids: Vec<u32> = pieces.filter_map(|(id, word)| word.map(|_| id)).collect();
        match ids.is_empty() {
            true => Err(Error::Usage(format!(
                "init_words: there is no word in \"{text}\""
            ))),
            false => Ok(SoftPromptInit::Words { ids }),
        }
    }

    fn template(&self, text: &str) -> Result<Template, Error> {
        let template: Template = text
            .parse()
            .map_err(|error| Error::Usage(format!("templates: {error}")))?;
        let plain = |part: &Part| matches!(part, Part::Text(_) | Part::Mask);
        match template.parts().iter().all(plain) {
            true => Ok(template),
            false => Err(Error::Usage(format!(
                "templates: {template} has more than text and {{mask}}; trained vectors are set by `prompt`"
            ))),
        }
    }

    fn score(
        &self,
        run: &Run,
        data: &ImageData,
        split: Split,
        model: &PromptedClassifier,
        backbone: &DualBackbone,
    ) -> Result<Outcome, Error> {
        let collate = image_collate(&backbone.image, &self.augment)?;
        let loader = &self.loader;
        classifier::score(run, loader, collate, data, split, model, |_, _| {
            Beside::default()
        })
    }
}

/// A template with a word in the place of its mask.
fn said(template: &Template, word: &str) -> String {
    let parts = template.parts().iter();
    let texts = parts.map(|part| match part {
        Part::Text(text) => text.as_str(),
        _ => word,
    });
    texts.collect()
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Error> {
    tokenizer.encode(text).map_err(Error::data)
}

impl Recipe for Vision {
    const NAME: &'static str = "prompting-vision";
    const ABOUT: &'static str =
        "learns how to ask a frozen dual encoder for classes (CoOp, CoCoOp, VPT, MaPLe)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    type Config = VisionConfig;

    fn preset(preset: &str, choices: &toml::Table) -> VisionConfig {
        presets::config(preset, choices)
    }

    fn train(config: &VisionConfig, run: &Run) -> Result<Outcome, Error> {
        let data = config.open("", run)?;
        run.record_data(&data.digest)?;
        let (model, backbone) = config.init(&data, run)?;
        let split = final_split(run);
        if matches!(config.prompt, DualPromptConfig::None) {
            return config.score(run, &data, split, &model, &backbone);
        }
        let data = match config.shots {
            0 => data,
            shots => data.few_shot(shots, run.seed).map_err(Error::data)?,
        };
        let collate = image_collate(&backbone.image, &config.augment)?;
        // What the training draws itself: where the vectors begin, to tell later how far they came.
        draw(&model, &run.device, run.seed);
        let start = model.prompt.clone();
        let (training, loader) = (&config.training, &config.loader);
        let rehearsal = Rehearsal {
            collate: collate.clone(),
            at_once: model.at_once().min(loader.batch_size),
        };
        let fitted = learn_as_rehearsed(run, training, loader, &collate, &data, model, rehearsal)?;
        let outcome = config.score(run, &data, split, &fitted.model, &backbone)?;
        let images = data.samples(split).map_err(Error::data)?;
        let images = EvalLoader::new(images, collate, loader, &run.device).map_err(Error::data)?;
        let seen = SeenPrompt::new(run, &fitted.model, &start, &backbone.tokenizer, &images)?;
        seen.tell(run)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(
        config: &VisionConfig,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let (model, backbone) = config.init(&data, run)?;
        let model = match config.prompt {
            DualPromptConfig::None => model,
            _ => checkpoint::load_newest(&run.dir, model)?,
        };
        config.score(run, &data, split, &model, &backbone)
    }
}
