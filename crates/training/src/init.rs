//! The weights of another run to start from: whatever stands at the same path in both models.

use crate::checkpoint::{self, CheckpointSet};
use crate::{Error, RunDir};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The directory of a run of any recipe.
    pub run: PathBuf,
    /// Whether learned positions are stretched to the length that is needed.
    pub interpolate: bool,
}

/// The end of the path of learned positions.
const POSITIONS: &str = "position.Learned";
/// How many names a message lists.
const LISTED: usize = 8;

/// Gives `model` what it has in common with the run, and tells in a line what that was.
///
/// # Errors
///
/// [`Error::Checkpoint`] when the run has none; [`Error::Usage`] when nothing fits, or a shape does not.
pub(crate) fn start_from<M: Module>(model: M, init: &Init) -> Result<(M, String), Error> {
    let set = checkpoint::chosen(&RunDir::new(&init.run))?;
    let mut placing = Placing {
        tensors: tensors(&set)?,
        interpolate: init.interpolate,
        ..Placing::default()
    };
    let model = model.map(&mut placing);
    let run = init.run.display();
    if !placing.wrong.is_empty() {
        let remedy =
            "use the run's own sizes and its tokenizer, or, for positions, --interpolate-positions";
        return Err(Error::Usage(format!(
            "cannot start from {run}: {}; {remedy}",
            listed(&placing.wrong)
        )));
    }
    if placing.taken == 0 {
        let theirs: Vec<String> = placing.tensors.into_keys().collect();
        return Err(Error::Usage(format!(
            "cannot start from {run}: no tensor of the model is in it; it has {}, the model {}",
            listed(&theirs),
            listed(&placing.missing)
        )));
    }
    let unused: Vec<String> = placing.tensors.into_keys().collect();
    let line = format!(
        "start from {run}, step {}: {} tensors taken, {} stretched; fresh: {}; not used: {}",
        set.state.step,
        placing.taken,
        placing.stretched,
        grouped(&placing.missing),
        grouped(&unused)
    );
    Ok((model, line))
}

/// The tensors of a set, the moving average of the weights if it has one, by their paths.
pub(crate) fn tensors(set: &CheckpointSet) -> Result<BTreeMap<String, TensorData>, Error> {
    let failed = |error: burn_pack::Error| Error::Checkpoint {
        path: set.path().to_path_buf(),
        reason: error.to_string(),
    };
    let reader = burn_pack::Reader::from_bytes(set.model_bytes()?.clone()).map_err(failed)?;
    let tensors = reader.into_tensors().map_err(failed)?.into_iter();
    let read = |tensor: burn_pack::Tensor| {
        let (name, dtype, shape, _, bytes) = tensor.into_parts()?;
        Ok((name, TensorData::from_bytes(bytes, shape, dtype)))
    };
    tensors.map(read).collect::<Result<_, _>>().map_err(failed)
}

/// Tensors by the module they are in, three names deep: `encoder.vision.encoder (48), hidden.weight`.
fn grouped(paths: &[String]) -> String {
    const DEEP: usize = 3;
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths {
        let names: Vec<&str> = path.split('.').take(DEEP).collect();
        *groups.entry(names.join(".")).or_default() += 1;
    }
    let named = groups.into_iter().map(|(name, count)| match count {
        1 => name,
        _ => format!("{name} ({count})"),
    });
    listed(&named.collect::<Vec<_>>())
}

/// `a, b and 3 more`, or `none`.
fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED);
    let shown = names[..names.len() - more].join(", ");
    match (names.len(), more) {
        (0, _) => "none".into(),
        (_, 0) => shown,
        _ => format!("{shown} and {more} more"),
    }
}

#[derive(Default)]
struct Placing {
    path: Vec<String>,
    tensors: BTreeMap<String, TensorData>,
    interpolate: bool,
    taken: usize,
    stretched: usize,
    missing: Vec<String>,
    wrong: Vec<String>,
}

impl ModuleMapper for Placing {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(data) = self.tensors.remove(&path) else {
            self.missing.push(path);
            return param;
        };
        let (here, there) = (param.val().dims().to_vec(), data.shape().to_vec());
        let data = match (here == there, path.ends_with(POSITIONS) && self.interpolate) {
            (true, _) => data,
            (false, true) if here.len() == 2 && here[1] == there[1] => {
                self.stretched += 1;
                match path.contains("vision") {
                    true => stretch_grid(&data, &param.val().to_data()),
                    false => stretch(&data, here[0]),
                }
            }
            _ => {
                self.wrong
                    .push(format!("`{path}` is {there:?} there and {here:?} here"));
                return param;
            }
        };
        self.taken += 1;
        param.map(|value| {
            let required = value.is_require_grad();
            let value = Tensor::from_data(data, &value.device());
            value.set_require_grad(required)
        })
    }
}

/// Positions for another length, by linear interpolation.
fn stretch(data: &TensorData, length: usize) -> TensorData {
    let [from, width] = [data.shape()[0], data.shape()[1]];
    let rows: Vec<f32> = data.iter().collect();
    let row = |at: usize| &rows[at * width..][..width];
    let mut out = Vec::with_capacity(length * width);
    for at in 0..length {
        let (low, high, share) = between(at, length, from);
        out.extend(mix(row(low), row(high), share));
    }
    TensorData::new(out, [length, width])
}

/// Positions of a square grid for another one, along both of its sides. A `[CLS]` token may stand before either: where
/// the old ones have none, that of the `fresh` ones stays.
fn stretch_grid(data: &TensorData, fresh: &TensorData) -> TensorData {
    let [from, width] = [data.shape()[0], data.shape()[1]];
    let length = fresh.shape()[0];
    // How many tokens stand before a grid of which side.
    let grid = |length: usize| {
        let mut firsts = (0..2).map(|first| (first, (length - first).isqrt()));
        firsts.find(|(first, side)| first + side * side == length)
    };
    let (Some((first, old)), Some((new_first, new))) = (grid(from), grid(length)) else {
        return stretch(data, length);
    };
    let rows: Vec<f32> = data.iter().collect();
    let fresh: Vec<f32> = fresh.iter().collect();
    let class_token = if first > 0 { &rows } else { &fresh };
    let mut out = Vec::with_capacity(length * width);
    out.extend_from_slice(&class_token[..new_first * width]);
    for at in 0..new * new {
        let (top, bottom, down) = between(at / new, new, old);
        let (left, right, along) = between(at % new, new, old);
        let pixel = |y: usize, x: usize| &rows[(first + y * old + x) * width..][..width];
        let upper: Vec<f32> = mix(pixel(top, left), pixel(top, right), along).collect();
        let lower: Vec<f32> = mix(pixel(bottom, left), pixel(bottom, right), along).collect();
        out.extend(mix(&upper, &lower, down));
    }
    TensorData::new(out, [length, width])
}

/// The two old places that a new one lies between, and how far it lies from the first: centres of cells are laid over
/// one another, as torch's `interpolate` does without `align_corners`.
fn between(at: usize, new: usize, old: usize) -> (usize, usize, f32) {
    let place = (at as f32 + 0.5) * old as f32 / new as f32 - 0.5;
    let place = place.clamp(0.0, old as f32 - 1.0);
    let low = place as usize;
    (low, (low + 1).min(old - 1), place - low as f32)
}

fn mix<'a>(a: &'a [f32], b: &'a [f32], share: f32) -> impl Iterator<Item = f32> + 'a {
    a.iter().zip(b).map(move |(a, b)| a + (b - a) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f32]) -> TensorData {
        TensorData::new(values.to_vec(), [values.len(), 1])
    }

    #[test]
    fn positions_of_a_text_are_stretched_along_it() {
        let stretched = stretch(&column(&[0.0, 2.0, 4.0, 6.0]), 2);
        assert_eq!(stretched.try_to_vec::<f32>().unwrap(), [1.0, 5.0]);
        let stretched = stretch(&column(&[0.0, 4.0]), 4);
        assert_eq!(stretched.try_to_vec::<f32>().unwrap(), [0.0, 1.0, 3.0, 4.0]);
    }

    /// As torch.nn.functional.interpolate(mode="bilinear") of the grid; `[CLS]` stays in front.
    #[test]
    fn positions_of_an_image_are_stretched_along_both_sides() {
        let old = column(&[9.0, 0.0, 4.0, 8.0, 12.0]);
        let stretched = stretch_grid(&old, &column(&[5.0; 17]));
        let expected = [
            9.0, 0.0, 1.0, 3.0, 4.0, 2.0, 3.0, 5.0, 6.0, 6.0, 7.0, 9.0, 10.0, 8.0, 9.0, 11.0, 12.0,
        ];
        assert_eq!(stretched.try_to_vec::<f32>().unwrap(), expected);
    }

    /// A grid stays in its places when a `[CLS]` token comes before it or goes.
    #[test]
    fn a_class_token_comes_and_goes() {
        let plain = column(&[0.0, 4.0, 8.0, 12.0]);
        let classed = stretch_grid(&plain, &column(&[5.0; 5]));
        let values = classed.try_to_vec::<f32>().unwrap();
        assert_eq!(values, [5.0, 0.0, 4.0, 8.0, 12.0]);
        let back = stretch_grid(&classed, &column(&[7.0; 4]));
        assert_eq!(back.try_to_vec::<f32>().unwrap(), [0.0, 4.0, 8.0, 12.0]);
        // Neither a grid nor one with a token before it.
        let row = stretch_grid(&column(&[0.0, 4.0]), &column(&[0.0; 3]));
        assert_eq!(row.try_to_vec::<f32>().unwrap(), [0.0, 2.0, 4.0]);
    }

    #[test]
    fn tensors_of_a_module_are_counted() {
        let paths = ["a.b.c.weight", "a.b.c.bias", "a.b.d", "hidden.weight"].map(String::from);
        assert_eq!(grouped(&paths), "a.b.c (2), a.b.d, hidden.weight");
        assert_eq!(grouped(&[]), "none");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..10).map(|name| name.to_string()).collect();
        assert_eq!(listed(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(listed(&names[..2]), "0, 1");
        assert_eq!(listed(&[]), "none");
    }
}
