//! What the tests of all strategies share.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Distribution, Int, Tensor, TensorData, Tolerance};
use crucible_transformer::{BlockConfig, Encoded};

use crate::{Missing, Modalities, Strategy};

const IMAGES: usize = 2;
const TEXTS: usize = 3;
const PATCHES: usize = 5;
const WORDS: usize = 4;
const PAIRS: usize = 6;

pub fn block() -> BlockConfig {
    BlockConfig::new(8, 2, 16)
}

fn encoded(rows: usize, length: usize, width: usize, device: &Device) -> Encoded {
    let tokens = Tensor::<3>::random(
        [rows, length, width],
        Distribution::Normal(0.0, 1.0),
        device,
    );
    Encoded {
        pooled: tokens.clone().mean_dim(1).squeeze_dim(1),
        tokens,
        mask: None,
    }
}

/// Random towers' outputs; the last two words of the last text are padding.
pub fn modalities(block: &BlockConfig, device: &Device) -> Modalities {
    let mut padding = vec![false; TEXTS * WORDS];
    padding[TEXTS * WORDS - 2..].fill(true);
    let mut text = encoded(TEXTS, WORDS, block.d_model, device);
    text.mask = Some(Tensor::<2, Bool>::from_data(
        TensorData::new(padding, [TEXTS, WORDS]),
        device,
    ));
    Modalities {
        image: encoded(IMAGES, PATCHES, block.d_model, device),
        text,
        image_of: Tensor::<1, Int>::from_data(TensorData::from([0i32, 0, 0, 1, 1, 1]), device),
        text_of: Tensor::<1, Int>::from_data(TensorData::from([0i32, 1, 2, 0, 1, 2]), device),
        missing: Missing::default(),
    }
}

/// Checks what every strategy promises: the shape of its output; that each pair depends on its own image
/// and text and on no other; that padded words and what is missing are ignored; and that every parameter has a
/// gradient.
pub fn check<S: Strategy>(init: impl Fn(&BlockConfig, &Device) -> S) {
    let block = block();
    let trained = Device::flex().autodiff();
    let fusion = init(&block, &trained);
    if fusion.num_params() > 0 {
        every_parameter_has_a_gradient(&fusion, modalities(&block, &trained));
    }

    // As it is evaluated, where nothing is dropped.
    let fusion = init(&block, &Device::flex());
    let input = modalities(&block, &Device::flex());
    let rows = |modalities: Modalities| rows(fusion.forward(modalities));
    let before = rows(input.clone());
    let changed = |modalities: Modalities| differing(&before, &rows(modalities));
    assert_eq!((before.len(), before[0].len()), (PAIRS, block.d_model));

    let mut other = input.clone();
    other.image = change_row(other.image, 1);
    assert_eq!(
        changed(other),
        [3, 4, 5],
        "the pairs of image 1 must change, and only they"
    );
    let mut other = input.clone();
    other.text = change_row(other.text, 1);
    assert_eq!(
        changed(other),
        [1, 4],
        "the pairs of text 1 must change, and only they"
    );

    let mut other = input.clone();
    let hidden = input.text.mask.clone().unwrap().unsqueeze_dim::<3>(2);
    let hidden = hidden.expand(other.text.tokens.dims());
    other.text.tokens = other.text.tokens.mask_fill(hidden, 7.0);
    for (a, b) in rows(other).concat().iter().zip(before.concat()) {
        assert!(
            (a - b).abs() < 1e-5,
            "padded words must be ignored: {a} is not {b}"
        );
    }

    what_is_missing_says_nothing(&rows, &input);
}

/// Rows of values.
fn rows(output: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = output.dims();
    let values: Vec<f32> = output.into_data().try_to_vec().unwrap();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

/// The numbers of the rows that differ.
fn differing(before: &[Vec<f32>], after: &[Vec<f32>]) -> Vec<usize> {
    let differs =
        |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-5);
    let pairs = before.iter().zip(after).map(differs).enumerate();
    pairs
        .filter_map(|(i, differs)| differs.then_some(i))
        .collect()
}

/// Pair 1 without its image, pair 3 without its text, pair 5 without either: what stands in the place of what is missing
/// changes nothing, and the other pairs are as they were.
fn what_is_missing_says_nothing(rows: &impl Fn(Modalities) -> Vec<Vec<f32>>, whole: &Modalities) {
    let flags = |flags: [bool; PAIRS]| {
        Tensor::<1, Bool>::from_data(TensorData::from(flags), &whole.image_of.device())
    };
    let mut some = whole.clone();
    some.missing = Missing {
        image: Some(flags([false, true, false, false, false, true])),
        text: Some(flags([false, false, false, true, false, true])),
    };
    let found = rows(some.clone());
    assert!(found.concat().iter().all(|value| value.is_finite()));
    assert_eq!(differing(&rows(whole.clone()), &found), [1, 3, 5]);
    // Image 0 is that of pairs 0 to 2, image 1 of the others; text 1 is that of pairs 1 and 4.
    let mut other = some.clone();
    other.image = change_row(other.image, 0);
    assert_eq!(differing(&found, &rows(other)), [0, 2]);
    let mut other = some;
    other.image = change_row(other.image, 1);
    // Pair 3 has no text: a product of the two is zero whatever its image, until biases have been learnt.
    let changed = differing(&found, &rows(other));
    assert!(changed == [3, 4] || changed == [4], "{changed:?}");
}

/// A random direction, since the plain sum of a normalised vector has no gradient at all.
fn every_parameter_has_a_gradient<S: Strategy>(fusion: &S, modalities: Modalities) {
    let output = fusion.forward(modalities);
    let direction = Tensor::random_like(&output, Distribution::Normal(0.0, 1.0));
    let gradients = (output * direction).sum().backward();
    let mut missing = MissingGradients {
        gradients: &gradients,
        path: Vec::new(),
        names: Vec::new(),
    };
    fusion.visit(&mut missing);
    let none = Vec::<String>::new();
    assert_eq!(missing.names, none, "parameters without a gradient");
}

/// The same, with other contents in one row.
fn change_row(encoded: Encoded, row: usize) -> Encoded {
    let [rows, length, width] = encoded.tokens.dims();
    let mut change = vec![0f32; rows * length * width];
    for (i, value) in change[row * length * width..][..length * width]
        .iter_mut()
        .enumerate()
    {
        *value = (i as f32).sin();
    }
    let data = TensorData::new(change, [rows, length, width]);
    let tokens = encoded.tokens.clone() + Tensor::from_data(data, &encoded.tokens.device());
    Encoded {
        pooled: tokens.clone().mean_dim(1).squeeze_dim(1),
        tokens,
        mask: encoded.mask,
    }
}

struct MissingGradients<'a> {
    gradients: &'a burn::tensor::Gradients,
    path: Vec<String>,
    names: Vec<String>,
}

impl ModuleVisitor for MissingGradients<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let norm = param.val().grad(self.gradients).map(|gradient| {
            let sum: f32 = gradient.abs().sum().into_scalar();
            sum
        });
        // The bias of the keys shifts all scores of a row alike, which the softmax ignores.
        let path = self.path.join(".");
        if norm.is_none_or(|norm| norm == 0.0) && !path.ends_with("key.bias") {
            self.names.push(path);
        }
    }
}

/// Equal up to rounding.
pub fn assert_close(found: Tensor<2>, expected: Tensor<2>) {
    found
        .into_data()
        .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
}
