//! Losses and gradients of the pretraining objectives against PyTorch: `tests/reference/objectives.py` writes the
//! fixtures and says where each loss is from. And the gradient of a large batch, computed in chunks.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burn_store::{ModuleStore, SafetensorsStore, bridge};
use crucible_fusion::{DualEncoder, DualEncoderConfig};
use crucible_objectives::{chunked, information, language, matching, pixels};
use crucible_objectives::{info_nce, info_nce_of, siglip, siglip_of, uncertainty};
use crucible_transformer::{EncoderConfig, TextEncoderConfig};
use crucible_vision::VitConfig;
use std::cell::RefCell;
use std::ops::Range;

/// Largest difference of a loss or of an entry of a gradient; all are of order one.
const TOLERANCE: f32 = 1e-5;

/// One case of the reference script.
struct Case {
    name: &'static str,
    store: RefCell<SafetensorsStore>,
    device: Device,
    /// The inputs that have a gradient.
    leaves: RefCell<Vec<(String, Leaf)>>,
}

enum Leaf {
    One(Tensor<1>),
    Two(Tensor<2>),
    Three(Tensor<3>),
}

impl Case {
    fn open(name: &'static str) -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/objectives.safetensors"
        );
        Self {
            name,
            store: RefCell::new(SafetensorsStore::from_file(path)),
            device: Device::flex().autodiff(),
            leaves: RefCell::default(),
        }
    }

    fn data(&self, name: &str) -> TensorData {
        let name = format!("{}.{name}", self.name);
        let mut store = self.store.borrow_mut();
        let tensor = store.get_tensor(&name).unwrap();
        let tensor = tensor.unwrap_or_else(|| panic!("no {name}"));
        bridge::to_data(tensor).unwrap()
    }

    fn plain<const D: usize>(&self, name: &str) -> Tensor<D> {
        Tensor::from_data(self.data(&format!("input.{name}")), &self.device)
    }

    fn int<const D: usize>(&self, name: &str) -> Tensor<D, Int> {
        Tensor::from_data(self.data(&format!("input.{name}")), &self.device)
    }

    fn one(&self, name: &str) -> Tensor<1> {
        let leaf = self.plain::<1>(name).require_grad();
        let kept = (name.to_owned(), Leaf::One(leaf.clone()));
        self.leaves.borrow_mut().push(kept);
        leaf
    }

    fn two(&self, name: &str) -> Tensor<2> {
        let leaf = self.plain::<2>(name).require_grad();
        let kept = (name.to_owned(), Leaf::Two(leaf.clone()));
        self.leaves.borrow_mut().push(kept);
        leaf
    }

    fn three(&self, name: &str) -> Tensor<3> {
        let leaf = self.plain::<3>(name).require_grad();
        let kept = (name.to_owned(), Leaf::Three(leaf.clone()));
        self.leaves.borrow_mut().push(kept);
        leaf
    }

    /// The loss and the gradient of every leaf are those of the reference.
    fn check(self, loss: Tensor<1>) {
        let name = self.name;
        compare(&format!("{name}: loss"), loss.to_data(), self.data("loss"));
        let gradients = loss.backward();
        for (leaf_name, leaf) in self.leaves.take() {
            let found = match leaf {
                Leaf::One(leaf) => leaf.grad(&gradients).map(Tensor::into_data),
                Leaf::Two(leaf) => leaf.grad(&gradients).map(Tensor::into_data),
                Leaf::Three(leaf) => leaf.grad(&gradients).map(Tensor::into_data),
            };
            let found = found.unwrap_or_else(|| panic!("{name}: no gradient of {leaf_name}"));
            let expected = self.data(&format!("grad.{leaf_name}"));
            compare(&format!("{name}: gradient of {leaf_name}"), found, expected);
        }
    }
}

fn compare(what: &str, found: TensorData, expected: TensorData) {
    let [found, expected] = [found, expected].map(|data| data.iter::<f32>().collect::<Vec<_>>());
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(&expected) {
        let difference = (found - expected).abs();
        assert!(difference <= TOLERANCE, "{what}: {found}, not {expected}");
    }
}

#[test]
fn image_text_contrastive() {
    let case = Case::open("info_nce");
    let loss = info_nce(case.two("image"), case.two("text"), case.one("scale")).loss;
    case.check(loss);
    let case = Case::open("siglip");
    let (image, text) = (case.two("image"), case.two("text"));
    let loss = siglip(image, text, case.one("scale"), case.one("bias")).loss;
    case.check(loss);
}

#[test]
fn masked_language() {
    let case = Case::open("masked_language");
    let labels: Vec<i64> = case.int::<2>("labels").into_data().iter().collect();
    let positions = (0..labels.len()).filter(|&at| labels[at] != -100);
    let positions: Vec<i32> = positions.map(|at| at as i32).collect();
    let targets: Vec<i32> = positions
        .iter()
        .map(|&at| labels[at as usize] as i32)
        .collect();
    let [positions, targets] = [positions, targets].map(|values| {
        Tensor::<1, Int>::from_data(TensorData::from(values.as_slice()), &case.device)
    });
    let logits = language::at_positions(case.three("logits"), positions);
    let loss = language::masked_language(logits, targets);
    case.check(loss);
}

#[test]
fn next_tokens_with_and_without_a_prefix() {
    for name in ["next_token", "prefix"] {
        let case = Case::open(name);
        let from: Vec<i64> = case.int::<1>("start").into_data().iter().collect();
        let from: Vec<usize> = from.into_iter().map(|from| from as usize).collect();
        let padding: Tensor<2, Bool> = case.int::<2>("padding").equal_elem(1);
        let from = (name == "prefix").then_some(from.as_slice());
        let loss = language::next_token(case.three("logits"), case.int("ids"), Some(padding), from);
        case.check(loss);
    }
}

#[test]
fn pairs_of_sentences_and_of_image_and_text() {
    let case = Case::open("sentence_pair");
    let loss = language::sentence_pair(case.two("logits"), case.int("follows"));
    case.check(loss);
    let case = Case::open("matching");
    let pairs: i64 = case.int::<1>("pairs").into_scalar();
    let loss = matching::matching(case.two("logits"), pairs as usize);
    case.check(loss);
}

#[test]
fn masked_pixels() {
    for name in ["pixels", "normalised_pixels"] {
        let case = Case::open(name);
        let target = pixels::patchify(case.plain::<4>("images"), 4);
        let target = match name {
            "pixels" => target,
            _ => pixels::normalise_patches(target),
        };
        let loss = pixels::pixel_loss(case.three("predicted"), target, case.plain("mask"));
        case.check(loss);
    }
}

#[test]
fn bounds_of_mutual_information() {
    type Bound = fn(Tensor<2>) -> Tensor<1>;
    let bounds: [(&str, Bound); 3] = [
        ("bound_info_nce", information::info_nce),
        ("bound_nwj", information::nwj),
        ("bound_donsker_varadhan", information::donsker_varadhan),
    ];
    for (name, bound) in bounds {
        let case = Case::open(name);
        let value = bound(case.two("scores"));
        case.check(value);
    }
}

#[test]
fn losses_weighted_by_their_uncertainty() {
    let case = Case::open("uncertainty");
    let losses = case.one("losses");
    let parts = (0..3).map(|at| losses.clone().narrow(0, at, 1)).collect();
    let loss = uncertainty(parts, case.one("log_variances"));
    case.check(loss);
}

const PAIRS: usize = 256;
const CHUNK: usize = 16;

/// Narrow towers. What dropout does to both passes, `crates/objectives/tests` sees.
fn towers(device: &Device) -> DualEncoder {
    let stack = || EncoderConfig::new(16, 2, 24, 1);
    let vision = VitConfig::new(8, 4, stack());
    let text = TextEncoderConfig::new(50, 6, stack());
    DualEncoderConfig::new(vision, text, 12).init(device)
}

/// Well spread values.
fn spread(count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(|i| (i as f32 * 12.9898).sin())
}

fn embed(model: &DualEncoder, start: usize, rows: usize, device: &Device) -> [Tensor<2>; 2] {
    let images: Vec<f32> = spread(PAIRS * 3 * 64).collect();
    let ids: Vec<i32> = spread(PAIRS * 6)
        .map(|x| (25.0 + 24.9 * x) as i32)
        .collect();
    let images = Tensor::<4>::from_data(TensorData::new(images, [PAIRS, 3, 8, 8]), device);
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [PAIRS, 6]), device);
    let (images, ids) = (images.narrow(0, start, rows), ids.narrow(0, start, rows));
    let padding = ids.clone().equal_elem(0);
    [model.embed_images(images), model.embed_texts(ids, padding)]
}

/// Largest entry of each gradient, and of the difference to that of the same parameter in `other`.
struct Differences<'a> {
    gradients: &'a GradientsParams,
    other: &'a GradientsParams,
    worst: f32,
    parameters: usize,
}

impl ModuleVisitor for Differences<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let of = |gradients: &GradientsParams, id: ParamId| gradients.get::<D>(id).unwrap();
        // SigLIP alone has a use for the bias.
        if self.gradients.get::<D>(param.id).is_none() {
            assert!(self.other.get::<D>(param.id).is_none());
            return;
        }
        let (a, b) = (of(self.gradients, param.id), of(self.other, param.id));
        let largest: f32 = a.clone().abs().max().into_scalar();
        let difference: f32 = (a - b).abs().max().into_scalar();
        assert!(largest > 0.0);
        self.worst = self.worst.max(difference / largest.max(1.0));
        self.parameters += 1;
    }
}

/// 256 pairs in chunks of 16 have the gradient of the whole batch; the loss and its own parameters too.
#[test]
fn a_large_batch_in_chunks_has_the_same_gradient() {
    let device = Device::flex().autodiff();
    let model = towers(&device);
    for sigmoid in [false, true] {
        let compare = |[images, texts]: [Tensor<2>; 2], rows: Range<usize>| {
            let (scale, bias) = (model.scale(), model.bias.val());
            let compared = match sigmoid {
                false => info_nce_of(images, texts, scale, None, rows),
                true => siglip_of(images, texts, scale, bias, None, rows),
            };
            (compared.loss, compared.hits.into_scalar::<i64>())
        };
        let (whole, hits) = compare(embed(&model, 0, PAIRS, &device), 0..PAIRS);
        let expected = GradientsParams::from_grads(whole.backward(), &model);
        let part = |model: &DualEncoder, chunk| embed(model, chunk * CHUNK, CHUNK, &device);
        let (found, loss, said) = chunked(&model, PAIRS / CHUNK, part, compare);
        assert_eq!(said.iter().sum::<i64>(), hits);
        let (loss, whole): (f32, f32) = (loss.into_scalar(), whole.into_scalar());
        // SigLIP's loss sums over all pairs, and is in the hundreds at the start.
        let off = (loss - whole).abs() / whole.max(1.0);
        assert!(off <= TOLERANCE, "{loss} {whole}");
        let mut differences = Differences {
            gradients: &expected,
            other: &found,
            worst: 0.0,
            parameters: 0,
        };
        model.visit(&mut differences);
        assert!(differences.parameters > 30, "{}", differences.parameters);
        assert!(differences.worst <= TOLERANCE, "{}", differences.worst);
    }
}
