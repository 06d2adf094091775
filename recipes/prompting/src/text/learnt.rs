//! What can be seen of a prompt in front of a language model, beside its score.

use burn::tensor::Tensor;
use crucible_prompt::prefix::Prefix;
use crucible_prompt::seen::{SeenVector, mean_norm, seen};
use crucible_training::{Error, Run, tell};
use serde::Serialize;
use tokenizers::Tokenizer;

use super::asking::{Asking, Opened};
use super::model::PromptedLanguageModel;
use super::score::Calibrating;

/// In the run's directory.
const FILE: &str = "prompt.json";
/// Words that are told of a vector.
const NEAREST: usize = 5;

/// A prompt, as it is kept with its run.
#[derive(Serialize)]
struct Learnt<'a> {
    /// Mean Euclidean norm of the words' vectors, which those of the prompt are beside.
    word_norm: f64,
    /// Vectors before all words; keys and values of all layers as one vector in prefix tuning.
    prefix: Vec<Vector>,
    /// Vectors among the words of the templates.
    template: Vec<Vector>,
    /// Mean probabilities of the classes before and after calibration, template by template.
    calibration: &'a [Calibrating],
    /// Mean log-probabilities of the label words.
    words: Vec<Word<'a>>,
}

#[derive(Serialize)]
struct Vector {
    norm: f64,
    movement: f64,
    nearest: Vec<Near>,
}

#[derive(Serialize)]
struct Near {
    token: String,
    cosine: f64,
}

/// A label word.
#[derive(Serialize)]
struct Word<'a> {
    class: &'a str,
    word: &'a str,
    log_probability: f64,
}

/// Vectors of a prompt where they began.
pub struct Start {
    prefix: Option<Tensor<2>>,
    template: Option<Tensor<2>>,
}

impl Start {
    /// Of a model that has not been trained.
    pub fn of(model: &PromptedLanguageModel) -> Self {
        Self {
            prefix: model.prefix.as_ref().map(vectors),
            template: model.soft.as_ref().map(|soft| plain(soft.vectors.val())),
        }
    }
}

/// The numbers that a prefix amounts to, a row each.
fn vectors(prefix: &Prefix) -> Tensor<2> {
    match prefix.fixed() {
        Prefix::PrefixTuning(prefix) => plain(prefix.keys_and_values()),
        other => other.vectors().map_or_else(
            || unreachable!("every other prefix has vectors"),
            |vectors| plain(vectors.flatten::<2>(0, 1)),
        ),
    }
}

fn plain(vectors: Tensor<2>) -> Tensor<2> {
    match vectors.device().is_autodiff() {
        true => vectors.inner(),
        false => vectors,
    }
}

/// Writes what was learnt, and says the shortest of it.
///
/// # Errors
///
/// Those of writing.
pub fn tell_learnt(
    run: &Run,
    opened: &Opened,
    asking: &Asking,
    start: &Start,
    model: &PromptedLanguageModel,
    words: &[f64],
    calibration: &[Calibrating],
) -> Result<(), Error> {
    let tokenizer = &opened.backbone.tokenizer;
    let table = opened.frozen.beside(false).word.weight.val();
    // Some have rows that no token uses.
    let used = tokenizer.get_vocab_size(true).min(table.dims()[0]);
    let table = table.narrow(0, 0, used);
    let end = Start::of(model);
    let [_, d_model] = table.dims();
    let told = |end: &Option<Tensor<2>>, start: &Option<Tensor<2>>| {
        let (Some(end), Some(start)) = (end, start) else {
            return Vec::new();
        };
        // Keys and values are no words.
        let words = (end.dims()[1] == d_model).then(|| table.clone());
        let seen = seen(end.clone(), start.clone(), words, NEAREST);
        seen.into_iter().map(|one| vector(one, tokenizer)).collect()
    };
    let prefix: Vec<Vector> = told(&end.prefix, &start.prefix);
    let template: Vec<Vector> = told(&end.template, &start.template);
    for vector in prefix.iter().chain(&template).filter(|_| !run.quiet) {
        let near = vector.nearest.iter().take(3);
        let near: Vec<String> = near.map(|near| format!("{:?}", near.token)).collect();
        tell!(
            "vector of norm {:.2}, moved {:.2}  {}",
            vector.norm,
            vector.movement,
            near.join(" ")
        );
    }
    let classes = asking.verbalizer.words.classes();
    let names = classes.zip(asking.verbalizer.words.columns());
    let classes = names.flat_map(|(class, columns)| columns.map(move |_| class));
    let each = classes.zip(asking.verbalizer.words.words()).zip(words);
    let words = each.map(|((class, word), &log_probability)| Word {
        class,
        word,
        log_probability,
    });
    let learnt = Learnt {
        word_norm: mean_norm(table),
        prefix,
        template,
        calibration,
        words: words.collect(),
    };
    run.dir.write_json(FILE, &learnt)
}

fn vector(seen: SeenVector, tokenizer: &Tokenizer) -> Vector {
    let near = |(row, cosine): (usize, f64)| Near {
        token: tokenizer.decode(&[row as u32], false).unwrap_or_default(),
        cosine,
    };
    Vector {
        norm: seen.norm,
        movement: seen.movement,
        nearest: seen.nearest.into_iter().map(near).collect(),
    }
}
