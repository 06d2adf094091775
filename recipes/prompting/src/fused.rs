//! Prompts in front of a frozen fused model: asked in other words than it was trained on, it shall answer as before.
//!
//! ```text
//! crucible train vqa --out answers                                           # what a prompt stands before
//! crucible train prompting-fused --set backbone=answers --set prompt=none    # how it takes other words
//! crucible train prompting-fused --set backbone=answers                      # an encoder of instructions, aligned
//! crucible compare prompting-fused --set backbone=answers --vary align.form=none,pull,uniform,contrastive --seeds 5
//! crucible compare prompting-fused --set backbone=answers --vary prompt=none,text,vision,both,instructed --seeds 5
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crucible_datasets::instruction::tasks::{Few, Reworded, RewordedData, reworded};
use crucible_datasets::{
    AugmentConfig, Blank, ImageProcessor, LoaderConfig, Split, TokenizerConfig, TokensHost,
    VqaCollate, open_vqa,
};
use crucible_evaluation::collapse::spread;
use crucible_evaluation::consistency::consistency;
use crucible_prompt::fused::FusedPromptConfig;
use crucible_shared::{
    Frozen, FusedBackbone, classifier, data_name, final_split, learn, reopen_tokenizer, setting,
    tokenizer,
};
use crucible_training::fit::draw;
use crucible_training::{Error, Outcome, Preset, Recipe, Run, TrainingConfig, checkpoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use align::{AlignConfig, AlignForm};
use batch::{Instructions, RewordedCollate};
use model::PromptedVqa;
use wordings::Groups;

mod align;
mod batch;
mod clusters;
mod model;
mod presets;
mod wordings;

/// The recipe.
pub struct Fused;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FusedConfig {
    /// Run of `vqa` whose model the prompt stands before.
    pub backbone: String,
    /// Pictures as easy-VQA has them: a name of the catalogue (`crucible data`) or a folder.
    pub data: String,
    /// So many pictures for each meaning (its color, whether it is red, ...) to learn from, drawn by the seed; 0 for all.
    /// Validation has all of its own.
    pub shots: usize,
    /// So many wordings of each meaning to learn answers from, drawn by the seed; 0 for all.
    pub wordings: usize,
    /// What trains: none, text or vision or both (vectors before words or patches), or instructed.
    pub prompt: FusedPromptConfig,
    /// How wordings become token ids for the encoder of instructions.
    pub tokenizer: TokenizerConfig,
    /// Chance that a word of a training wording is hidden from that encoder, as words are that it has never seen.
    pub hidden_words: f64,
    /// How wordings that mean the same are held together.
    pub align: AlignConfig,
    /// Random changes to the training images.
    pub augment: AugmentConfig,
    /// Batches of pictures, each asked once.
    pub loader: LoaderConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

/// What a run works on.
struct Task {
    data: RewordedData,
    collate: Arc<RewordedCollate>,
    model: PromptedVqa,
    /// How pure the groups of wordings are, where they were found.
    purity: Option<f64>,
}

impl FusedConfig {
    /// Whether what can be set makes sense together.
    fn check(&self) -> Result<(), Error> {
        let refused = |reason: String| Err(Error::Usage(reason));
        let AlignConfig {
            form,
            weight,
            scale,
            clusters,
            ..
        } = self.align;
        if form != AlignForm::None && !self.prompt.instructed() {
            return refused(
                "align.form holds representations of instructions together, which `prompt = \"instructed\"` alone has; \
                 set align.form=none"
                    .into(),
            );
        }
        let share = (0.0..1.0).contains(&self.hidden_words);
        for (key, value, fits) in [
            ("hidden_words", self.hidden_words, share),
            ("align.weight", weight, weight.is_finite() && weight >= 0.0),
            ("align.scale", scale, scale.is_finite() && scale > 0.0),
            ("align.clusters", clusters as f64, clusters > 0),
        ] {
            if !fits {
                return refused(format!(
                    "{key} is {value}; a chance lies in [0, 1), a weight is at least 0, a scale or number above 0"
                ));
            }
        }
        Ok(())
    }

    /// What a run works on, with a prompt that has not been trained; `fresh` where it is about to be.
    fn init(&self, command: &str, run: &Run, fresh: bool) -> Result<Task, Error> {
        self.check()?;
        let backbone = FusedBackbone::open(&self.backbone, run)?;
        let data = open_vqa(data_name(command, run, &self.data)).map_err(Error::data)?;
        let few = Few {
            shots: self.shots,
            wordings: self.wordings,
            seed: run.seed,
        };
        let data = reworded(&data, &backbone.answers, few).map_err(Error::data)?;
        let device = run.training_device(&self.training);
        let frozen = Frozen::new(backbone.model(&device)?);
        let (instructions, purity) = match self.prompt.instructed() {
            true => {
                let (instructions, purity) =
                    self.instructions(run, fresh, &data, &backbone, &frozen)?;
                (Some(instructions), purity)
            }
            false => (None, None),
        };
        let sizes = instructions.as_ref().map_or([1, 1], |of| {
            [of.tokenizer.vocabulary_size(), of.tokenizer.max_length()]
        });
        let prompt = self.prompt.init(&backbone.config, sizes, &device);
        let model = PromptedVqa {
            prompt: prompt.map_err(setting("prompt"))?,
            backbone: frozen,
            align: self.align.clone(),
        };
        // On a device with gradients the seed would not reach them.
        draw(&model, &run.device, run.seed);
        let images = ImageProcessor::new(&backbone.image).map_err(Error::data)?;
        let vqa = VqaCollate::new(
            Arc::new(images),
            self.augment.clone(),
            Arc::new(backbone.tokenizer),
            &backbone.answers,
            Blank::None,
        );
        let collate = Arc::new(RewordedCollate {
            vqa: vqa.map_err(Error::data)?,
            instructions,
        });
        Ok(Task {
            data,
            collate,
            model,
            purity,
        })
    }

    /// What wordings become for the encoder of instructions, and how pure their groups are.
    fn instructions(
        &self,
        run: &Run,
        fresh: bool,
        data: &RewordedData,
        backbone: &FusedBackbone,
        frozen: &Frozen<crucible_shared::VqaModel>,
    ) -> Result<(Instructions, Option<f64>), Error> {
        // What is not answered is known as words to every form, so that these differ in their loss alone.
        let further = self.align.paraphrases > 0;
        let wordings = wordings::training(&items(data, Split::Train)?, further);
        let tokenizer = match fresh {
            true => tokenizer(&self.tokenizer, run, wordings.keys())?,
            false => reopen_tokenizer(&self.tokenizer, run)?,
        };
        let words = &frozen.beside(false).encoder.text.embeddings.word;
        let groups = Groups::of(&wordings, &self.align, || {
            wordings::vectors(wordings.keys(), &backbone.tokenizer, words.weight.val())
        });
        let Groups {
            members,
            of,
            purity,
        } = groups.map_err(Error::data)?;
        let instructions = Instructions {
            tokenizer: Arc::new(tokenizer),
            hidden: self.hidden_words,
            paraphrases: match self.align.form {
                AlignForm::None => 0,
                _ => self.align.paraphrases,
            },
            groups: members,
            group_of: of,
        };
        Ok((instructions, purity))
    }

    /// Accuracy, and what other words do to answers and to representations.
    fn score(
        &self,
        run: &Run,
        task: &Task,
        split: Split,
        model: &PromptedVqa,
    ) -> Result<Outcome, Error> {
        let (loader, collate) = (&self.loader, task.collate.clone());
        let tell = PromptedVqa::beside;
        let mut outcome = classifier::score(run, loader, collate, &task.data, split, model, tell)?;
        let metrics = &mut outcome.metrics;
        let of_item: Vec<String> = (outcome.predictions.iter())
            .map(|row| {
                row.picture
                    .map_or_else(String::new, |item| item.to_string())
            })
            .collect();
        let items = of_item.iter().map(String::as_str);
        if let Some(found) = consistency(items.zip(&outcome.predictions)) {
            metrics.insert("consistency".into(), found.consistency);
            metrics.insert("consistently_right".into(), found.consistently_right);
            metrics.insert("unanimous".into(), found.unanimous);
        }
        metrics.extend(self.spread(run, task, split, model)?);
        metrics.extend(task.purity.map(|purity| ("purity".into(), purity)));
        Ok(outcome)
    }

    /// How the representations of the wordings of a split lie.
    fn spread(
        &self,
        run: &Run,
        task: &Task,
        split: Split,
        model: &PromptedVqa,
    ) -> Result<BTreeMap<String, f64>, Error> {
        let Some(instructions) = &task.collate.instructions else {
            return Ok(BTreeMap::new());
        };
        let items = items(&task.data, split)?;
        let texts: BTreeMap<&String, usize> = (items.iter())
            .flat_map(|item| item.wordings.iter().map(|text| (text, item.meaning)))
            .collect();
        let ids = texts.keys().map(|text| instructions.tokenizer.encode(text));
        let ids: Vec<Vec<u32>> = ids.collect::<Result<_, _>>().map_err(Error::data)?;
        let padding = instructions.tokenizer.padding();
        let tokens = TokensHost::pad(&ids, padding).upload(&run.device);
        let Some(vectors) = model.represent(tokens) else {
            return Ok(BTreeMap::new());
        };
        let [_, width] = vectors.dims();
        let vectors: Vec<f32> = vectors.into_data().iter().collect();
        let rows: Vec<Vec<f32>> = vectors.chunks(width).map(<[f32]>::to_vec).collect();
        let meanings: Vec<usize> = texts.into_values().collect();
        let found = spread(&rows, &meanings);
        let means = [("within", found.within), ("between", found.between)];
        let means = means
            .into_iter()
            .filter_map(|(name, mean)| Some((name.to_owned(), mean?)));
        Ok(means
            .chain([("directions".to_owned(), found.directions)])
            .collect())
    }
}

/// All items of a split.
fn items(data: &RewordedData, split: Split) -> Result<Vec<Reworded>, Error> {
    let samples = data.samples(split).map_err(Error::data)?;
    let items = (0..samples.len()).map(|at| samples.get(at).map_err(Error::data));
    items.collect()
}

impl Recipe for Fused {
    const NAME: &'static str = "prompting-fused";
    const ABOUT: &'static str = "learns how to ask a frozen vqa model in other words (prompts, an aligned encoder of instructions)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    // What other words are about. One that always says the same has it too: `consistently_right` stands beside it.
    const METRIC: &'static str = "consistency";
    type Config = FusedConfig;

    fn preset(preset: &str, choices: &toml::Table) -> FusedConfig {
        presets::config(preset, choices)
    }

    fn train(config: &FusedConfig, run: &Run) -> Result<Outcome, Error> {
        let task = config.init("", run, true)?;
        run.record_data(&task.data.digest)?;
        let split = final_split(run);
        if !config.prompt.trains() {
            return config.score(run, &task, split, &task.model);
        }
        let (training, loader) = (&config.training, &config.loader);
        let model = task.model.clone();
        let fitted = learn(run, training, loader, &task.collate, &task.data, model)?;
        let outcome = config.score(run, &task, split, &fitted.model)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(
        config: &FusedConfig,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let task = config.init(data, run, false)?;
        let model = match config.prompt.trains() {
            true => checkpoint::load_newest(&run.dir, task.model.clone())?,
            false => task.model.clone(),
        };
        config.score(run, &task, split, &model)
    }
}
