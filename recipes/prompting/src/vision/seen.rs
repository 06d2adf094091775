//! What can be seen of a prompt that was learnt, `prompt.json`.

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::Tensor;
use crucible_datasets::{EvalLoader, ImageCollate, Tokenizer};
use crucible_kernels::among_threads;
use crucible_prompt::dual::DualPrompt;
use crucible_prompt::seen::{SeenVector, mean_norm, seen};
use crucible_training::{Error, Run, tell};
use serde::Serialize;

use super::model::PromptedClassifier;

/// In the run's directory.
const FILE: &str = "prompt.json";
/// Words that are told of each vector.
const NEAREST: usize = 5;
/// Of which this many vectors are printed.
const PRINTED: usize = 8;

/// What is seen of a whole prompt.
#[derive(Serialize)]
pub struct SeenPrompt {
    /// Before the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    /// Before the patches.
    #[serde(skip_serializing_if = "Option::is_none")]
    vision: Option<Patches>,
}

#[derive(Serialize)]
struct Text {
    /// Beside which the norms of the vectors are to be seen.
    mean_word_norm: f64,
    vectors: Vec<Vector>,
}

#[derive(Serialize)]
struct Patches {
    vectors: Vec<Vector>,
    /// Of the test images, layer by layer; none where attention has a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<Attention>,
}

#[derive(Serialize)]
struct Attention {
    /// The mean share that goes to the prompt: of `[CLS]`, or of all patches where there is none.
    layers: Vec<f64>,
    /// What it would be if all were attended to alike.
    even: f64,
}

#[derive(Serialize)]
struct Vector {
    layer: usize,
    token: usize,
    norm: f64,
    /// From the numbers that the seed drew.
    movement: f64,
    /// In the embedding of words, which those of the first layer stand among.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nearest: Vec<Word>,
}

#[derive(Serialize)]
struct Word {
    token: String,
    cosine: f64,
}

impl SeenPrompt {
    /// Of a trained model and of its prompt as it began; attention is that to the images of a split.
    ///
    /// # Errors
    ///
    /// Those of the data.
    pub fn new(
        run: &Run,
        model: &PromptedClassifier,
        start: &DualPrompt,
        tokenizer: &Tokenizer,
        images: &EvalLoader<ImageCollate>,
    ) -> Result<Self, Error> {
        let start = start.valid();
        let backbone = model.backbone.beside(false);
        let text = model.prompt.of_words().zip(start.of_words());
        let words = backbone.text.embeddings.word.weight.val();
        let text = text.map(|(now, start)| Text {
            mean_word_norm: mean_norm(words.clone()),
            vectors: vectors(now, start, Some((words, tokenizer))),
        });
        let vision = model.prompt.of_patches().zip(start.of_patches());
        let vision = match vision {
            Some((now, start)) => Some(Patches {
                vectors: vectors(now, start, None),
                attention: Attention::new(run, model, images)?,
            }),
            None => None,
        };
        Ok(Self { text, vision })
    }

    /// Writes it into the run's directory, and prints a line of each side.
    ///
    /// # Errors
    ///
    /// Those of the run's directory.
    pub fn tell(&self, run: &Run) -> Result<(), Error> {
        run.dir.write_json(FILE, self)?;
        if run.quiet {
            return Ok(());
        }
        if let Some(text) = &self.text {
            let named = text.vectors.iter().filter_map(|vector| {
                let word = vector.nearest.first()?;
                Some(format!("{} {:.2}", word.token, word.cosine))
            });
            let named: Vec<String> = named.take(PRINTED).collect();
            tell!(
                "prompt before words: {}; words have {:.3}; nearest: {}",
                in_short(&text.vectors),
                text.mean_word_norm,
                named.join(", ")
            );
        }
        if let Some(patches) = &self.vision {
            let attention = patches
                .attention
                .as_ref()
                .map(|Attention { layers, even }| {
                    let layers: Vec<String> = layers.iter().map(|of| format!("{of:.3}")).collect();
                    let layers = layers.join(", ");
                    format!("; attention of each layer: {layers} (even: {even:.3})")
                });
            tell!(
                "prompt before patches: {}{}",
                in_short(&patches.vectors),
                attention.unwrap_or_default()
            );
        }
        Ok(())
    }
}

impl Attention {
    fn new(
        run: &Run,
        model: &PromptedClassifier,
        images: &EvalLoader<ImageCollate>,
    ) -> Result<Option<Self>, Error> {
        let (mut sums, mut count, mut even) = (Vec::<f64>::new(), 0, 0.0);
        for batch in images.iter() {
            let batch = batch.map_err(Error::data)?;
            count += batch.ids.len();
            let model = model.clone();
            let shares = among_threads(&run.device, move || {
                let backbone = model.backbone.beside(false);
                let shares = model.prompt.attention(backbone, batch.images)?;
                let tokens = model.prompt.of_patches()?.dims()[1];
                let keys = tokens + backbone.vision.position.positions();
                Some((shares.sum_dim(0), tokens as f64 / keys as f64))
            });
            let Some((shares, alike)) = shares else {
                return Ok(None);
            };
            let shares: Vec<f64> = shares.into_data().iter().collect();
            sums.resize(shares.len(), 0.0);
            sums.iter_mut().zip(shares).for_each(|(sum, of)| *sum += of);
            even = alike;
        }
        let layers = sums.iter().map(|sum| sum / count.max(1) as f64);
        Ok(Some(Self {
            layers: layers.collect(),
            even,
        }))
    }
}

/// # Shapes
/// - `now` and `start`: `[layers, tokens, d_model]`; words: `[vocabulary, d_model]`
fn vectors(
    now: Tensor<3>,
    start: Tensor<3>,
    words: Option<(Tensor<2>, &Tokenizer)>,
) -> Vec<Vector> {
    let [layers, _, _] = now.dims();
    let of = |side: &Tensor<3>, layer| side.clone().narrow(0, layer, 1).squeeze_dim::<2>(0);
    let layer = |layer: usize| {
        // Those of later layers stand among what the layers before made of the words.
        let words = words.as_ref().filter(|_| layer == 0);
        let embedding = words.map(|(embedding, _)| embedding.clone());
        let seen = seen(of(&now, layer), of(&start, layer), embedding, NEAREST);
        let told = |(token, vector): (usize, SeenVector)| {
            let nearest = vector.nearest.into_iter().filter_map(|(row, cosine)| {
                let (_, tokenizer) = words?;
                Some(Word {
                    token: tokenizer.token(row as u32)?,
                    cosine,
                })
            });
            Vector {
                layer,
                token,
                norm: vector.norm,
                movement: vector.movement,
                nearest: nearest.collect(),
            }
        };
        seen.into_iter().enumerate().map(told).collect::<Vec<_>>()
    };
    (0..layers).flat_map(layer).collect()
}

fn in_short(vectors: &[Vector]) -> String {
    let mean =
        |of: fn(&Vector) -> f64| vectors.iter().map(of).sum::<f64>() / vectors.len().max(1) as f64;
    let (norm, movement) = (mean(|vector| vector.norm), mean(|vector| vector.movement));
    format!(
        "{} vectors have a norm of {norm:.3} and moved by {movement:.3}",
        vectors.len()
    )
}
