//! Attention for long sequences: against its published implementations (`tests/reference/long.py` writes the fixture
//! and says with what each is compared), and what each pattern promises by itself.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Gradients, Int, Tensor, TensorData};
use burn_store::{ModuleSnapshot, ModuleStore, SafetensorsStore, bridge};
use crucible_transformer::{
    AttentionMask, AttentionPattern, EncoderConfig, LinearAttentionConfig, LshAttentionConfig,
    MultiHeadAttention, MultiHeadAttentionConfig, WindowAttentionConfig,
};
use testing::{assert_gradients_reach_everything, device, difference, values};

#[path = "../src/testing.rs"]
mod testing;

/// Largest difference of an entry, relative to the largest of its tensor (at least one).
const TOLERANCE: f32 = 1e-5;

fn window(window: usize, global: usize) -> AttentionPattern {
    AttentionPattern::Window(WindowAttentionConfig { window, global })
}

fn linear(projected: usize, max_length: usize, shared: bool) -> AttentionPattern {
    AttentionPattern::Linear(LinearAttentionConfig {
        projected,
        max_length,
        shared,
    })
}

fn lsh(buckets: usize, rounds: usize, chunk: usize, seed: u64) -> AttentionPattern {
    AttentionPattern::Lsh(LshAttentionConfig {
        buckets,
        rounds,
        chunk,
        seed,
    })
}

/// One of each kind for sequences of up to 70 tokens, which have several blocks or chunks.
fn patterns() -> [AttentionPattern; 5] {
    [
        window(4, 0),
        window(4, 2),
        linear(5, 70, false),
        linear(5, 70, true),
        lsh(4, 2, 8, 0),
    ]
}

/// A layer of width 16.
fn layer(pattern: AttentionPattern) -> MultiHeadAttention {
    let config = MultiHeadAttentionConfig::new(16, 2).with_pattern(pattern);
    config.init(&device())
}

fn with_weights_of(other: &MultiHeadAttention, pattern: AttentionPattern) -> MultiHeadAttention {
    let mut layer = layer(pattern);
    layer.query = other.query.clone();
    layer.key = other.key.clone();
    layer.value = other.value.clone();
    layer.output = other.output.clone();
    layer
}

/// Padding behind sequences of these lengths.
fn padding(lengths: &[usize]) -> Tensor<2, Bool> {
    let longest = lengths.iter().copied().max().unwrap();
    let rows = lengths
        .iter()
        .flat_map(|&n| (0..longest).map(move |i| i >= n));
    let data = TensorData::new(rows.collect::<Vec<_>>(), [lengths.len(), longest]);
    Tensor::from_data(data, &device())
}

fn spread(padding: Tensor<2, Bool>, width: usize) -> Tensor<3, Bool> {
    let [batch, length] = padding.dims();
    padding.unsqueeze_dim::<3>(2).expand([batch, length, width])
}

/// One layer of the fixture, by the name that its tensors start with.
struct Reference {
    tensors: BTreeMap<String, burn_pack::Tensor>,
    device: Device,
}

impl Reference {
    fn open(name: &str) -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/long.safetensors"
        );
        let mut store = SafetensorsStore::from_file(path);
        let all = store.get_all_tensors().unwrap().values();
        let mine = all.filter_map(|tensor| {
            let path = tensor.name.strip_prefix(name)?.strip_prefix('.')?;
            Some((path.to_owned(), tensor.clone()))
        });
        Self {
            tensors: mine.collect(),
            device: device(),
        }
    }

    fn data(&self, name: &str) -> TensorData {
        bridge::to_data(&self.tensors[name]).unwrap()
    }

    fn float<const D: usize>(&self, name: &str) -> Tensor<D> {
        Tensor::from_data(self.data(name), &self.device)
    }

    fn load(&self, mut module: MultiHeadAttention) -> MultiHeadAttention {
        let tensors = self.tensors.iter().filter_map(|(name, tensor)| {
            let mut tensor = tensor.clone();
            tensor.name = name.strip_prefix("model.")?.to_owned();
            Some(tensor)
        });
        let result = module.apply(tensors.collect(), None, None, false);
        let all = result.missing.is_empty() && result.unused.is_empty();
        assert!(result.errors.is_empty() && all, "{result}");
        module
    }

    /// Output, and the gradients of `sum(output * probe)`.
    fn check(self, config: AttentionPattern) {
        let module = self.load(layer(config));
        let x = self.float::<3>("x").require_grad();
        let hidden = Tensor::<2, Int>::from_data(self.data("padding"), &self.device).equal_elem(1);
        let mask = AttentionMask::padding(hidden.clone());
        let output = module.forward(x.clone(), x.clone(), Some(&mask));
        let output = output.mask_fill(spread(hidden, 16), 0.0);
        let off = self.off("output", output.clone());
        let gradients = (output * self.float("probe")).sum().backward();
        let of_x = self.off("grad.x", x.grad(&gradients).unwrap());
        let mut visitor = Compare {
            reference: &self,
            gradients: &gradients,
            path: Vec::new(),
            off: Vec::new(),
        };
        module.visit(&mut visitor);
        let largest = visitor.off.iter().copied().fold(0.0, f32::max);
        println!("off by: output {off:.1e}, gradients of x {of_x:.1e}, of weights {largest:.1e}");
        let weights = self
            .tensors
            .keys()
            .filter(|name| name.starts_with("model."));
        assert_eq!(visitor.off.len(), weights.count());
    }

    fn off<const D: usize>(&self, name: &str, found: Tensor<D>) -> f32 {
        let expected = self.float::<D>(name);
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        let off = difference(found, expected) / largest.max(1.0);
        // Written so that NaN fails.
        assert!(off <= TOLERANCE, "{name} is off by {off:e}");
        off
    }
}

struct Compare<'a> {
    reference: &'a Reference,
    gradients: &'a Gradients,
    path: Vec<String>,
    off: Vec<f32>,
}

impl ModuleVisitor for Compare<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = format!("grad.model.{}", self.path.join("."));
        let gradient = param.val().grad(self.gradients).unwrap();
        self.off.push(self.reference.off(&name, gradient));
    }
}

#[test]
fn windows_with_global_tokens_are_longformer() {
    Reference::open("window").check(window(5, 2));
}

#[test]
fn windows_alone_are_longformer() {
    Reference::open("window_alone").check(window(33, 0));
}

#[test]
fn linear_attention_is_linformer() {
    Reference::open("linear").check(linear(6, 24, false));
}

#[test]
fn shared_linear_attention_is_linformer() {
    Reference::open("linear_shared").check(linear(4, 12, true));
}

#[test]
fn lsh_attention_is_reformer() {
    Reference::open("lsh").check(lsh(6, 3, 8, 5));
}

#[test]
fn lsh_attention_of_one_chunk_is_reformer() {
    Reference::open("lsh_one_chunk").check(lsh(4, 2, 16, 1));
}

#[test]
fn gradients_reach_everything() {
    for pattern in patterns() {
        let encoder = EncoderConfig::new(16, 2, 24, 2).with_attention(pattern);
        let encoder = encoder.init(&device());
        let output = encoder.forward(values([2, 70, 16], 1, &device()), None);
        assert_eq!(output.dims(), [2, 70, 16]);
        assert_gradients_reach_everything(&encoder, output);
    }
}

#[test]
fn a_window_over_all_is_full_attention() {
    for (length, reach) in [(20, 19), (20, usize::MAX), (70, 69)] {
        let full = layer(AttentionPattern::Full);
        let narrow = with_weights_of(&full, window(reach, 0));
        let x = values([2, length, 16], 1, &device());
        let mask = AttentionMask::padding(padding(&[length, 7]));
        let [a, b] = [full, narrow].map(|layer| layer.forward(x.clone(), x.clone(), Some(&mask)));
        assert!(difference(a, b) < 1e-6);
    }
}

#[test]
fn a_token_sees_its_window_and_the_global_tokens_alone() {
    // Blocks of 32 and of 40 tokens; 70 is a multiple of neither.
    for reach in [1, 4, 40] {
        let layer = layer(window(reach, 2));
        let x = values([1, 70, 16], 1, &device());
        let output = |x: Tensor<3>| layer.forward(x.clone(), x, None);
        let before = output(x.clone());
        for changed in [0usize, 1, 2, 31, 32, 45, 69] {
            let other = values([1, 1, 16], 2, &device());
            let x = x
                .clone()
                .slice_assign([0..1, changed..changed + 1, 0..16], other);
            let after = output(x);
            for seen_by in 0..70 {
                let row = |x: &Tensor<3>| x.clone().narrow(1, seen_by, 1);
                let differs = difference(row(&before), row(&after));
                let sees = changed < 2 || seen_by < 2 || changed.abs_diff(seen_by) <= reach;
                assert_eq!(
                    differs > 0.0,
                    sees,
                    "{seen_by} of {changed}, window {reach}"
                );
            }
        }
    }
}

#[test]
fn content_at_padded_positions_is_ignored() {
    for pattern in patterns() {
        let layer = layer(pattern);
        for lengths in [[70, 3], [1, 9], [40, 39]] {
            let hidden = padding(&lengths);
            let shape = [2, hidden.dims()[1], 16];
            let x = values(shape, 1, &device());
            let other = values(shape, 2, &device()) * 30.0;
            let changed = x.clone().mask_where(spread(hidden.clone(), 16), other);
            let mask = AttentionMask::padding(hidden.clone());
            let [a, b] = [x, changed].map(|x| {
                let output = layer.forward(x.clone(), x, Some(&mask));
                output.mask_fill(spread(hidden.clone(), 16), 0.0)
            });
            assert_eq!(difference(a, b), 0.0, "{pattern:?}");
        }
    }
}

#[test]
fn padding_is_as_if_it_were_not_there() {
    // Windows and linear attention alone: where padding is, hashed chunks may end elsewhere.
    for pattern in &patterns()[..4] {
        let layer = layer(*pattern);
        let x = values([1, 70, 16], 1, &device());
        let mask = AttentionMask::padding(padding(&[70, 41]).narrow(0, 1, 1));
        let padded = layer.forward(x.clone(), x.clone(), Some(&mask));
        let x = x.narrow(1, 0, 41);
        let alone = layer.forward(x.clone(), x, None);
        assert!(difference(padded.narrow(1, 0, 41), alone) < 1e-6);
    }
}

#[test]
fn a_sequence_of_padding_alone_is_not_nan() {
    for pattern in patterns() {
        let layer = layer(pattern);
        let x = values([2, 70, 16], 1, &device()).require_grad();
        let mask = AttentionMask::padding(padding(&[70, 0]));
        let output = layer.forward(x.clone(), x.clone(), Some(&mask));
        let gradient = x.grad(&output.clone().sum().backward()).unwrap();
        for tensor in [output, gradient] {
            assert!(tensor.abs().max().into_scalar::<f32>().is_finite());
        }
    }
}

#[test]
fn sequences_of_any_length_keep_their_shape() {
    for pattern in patterns() {
        let layer = layer(pattern);
        for length in [1, 2, 3, 8, 32, 33, 64, 70] {
            let x = values([1, length, 16], 1, &device());
            let output = layer.forward(x.clone(), x, None);
            assert_eq!(output.dims(), [1, length, 16]);
            assert!(output.abs().max().into_scalar::<f32>().is_finite());
        }
    }
}

#[test]
fn a_forward_pass_with_hashing_is_a_function_of_its_seed() {
    let x = values([1, 70, 16], 1, &device());
    let first = layer(lsh(4, 2, 8, 0));
    let output = |pattern| {
        let layer = with_weights_of(&first, pattern);
        layer.forward(x.clone(), x.clone(), None)
    };
    let expected = output(lsh(4, 2, 8, 0));
    assert_eq!(difference(expected.clone(), output(lsh(4, 2, 8, 0))), 0.0);
    assert!(difference(expected, output(lsh(4, 2, 8, 1))) > 1e-4);
}

#[test]
fn dropout_acts_in_training_alone() {
    for pattern in patterns() {
        let config = MultiHeadAttentionConfig::new(16, 2).with_dropout(0.5);
        let layer = config.with_pattern(pattern).init(&device());
        let x = values([1, 70, 16], 1, &device());
        let [a, b] = [(); 2].map(|()| layer.forward(x.clone(), x.clone(), None));
        assert!(difference(a, b) > 1e-3);
        let (layer, x) = (layer.valid(), x.inner());
        let [a, b] = [(); 2].map(|()| layer.forward(x.clone(), x.clone(), None));
        assert_eq!(difference(a, b), 0.0);
    }
}

#[test]
fn sizes_that_do_not_fit_name_the_field() {
    for (pattern, field) in [
        (window(0, 1), "attention.window"),
        (linear(0, 8, false), "attention.projected"),
        (linear(9, 8, false), "attention.projected"),
        (linear(1, 0, false), "attention.max_length"),
        (lsh(3, 1, 8, 0), "attention.buckets"),
        (lsh(0, 1, 8, 0), "attention.buckets"),
        (lsh(2, 0, 8, 0), "attention.rounds"),
        (lsh(2, 1, 0, 0), "attention.chunk"),
    ] {
        let encoder = EncoderConfig::new(16, 2, 24, 2).with_attention(pattern);
        assert_eq!(encoder.check().unwrap_err().field, field);
    }
    for pattern in patterns() {
        let encoder = EncoderConfig::new(16, 2, 24, 2).with_attention(pattern);
        assert_eq!(encoder.check(), Ok(()));
    }
    let longer = linear(5, 70, false).check_length(71).unwrap_err();
    assert_eq!(longer.field, "attention.max_length");
    assert_eq!(linear(5, 70, false).check_length(70), Ok(()));
}

#[test]
fn every_name_has_a_pattern_that_fits_any_length() {
    for name in AttentionPattern::NAMES {
        for length in [1, 8, 128, 512] {
            let pattern = AttentionPattern::named(name, length).unwrap();
            assert_eq!(pattern.check(), Ok(()));
            assert_eq!(pattern.check_length(length), Ok(()));
        }
    }
    assert_eq!(AttentionPattern::named("sparse", 8), None);
}

#[test]
#[should_panic(expected = "attention with a pattern is not causal")]
fn a_causal_mask_is_refused() {
    let x = values([1, 4, 16], 1, &device());
    let mask = AttentionMask::causal();
    layer(window(2, 0)).forward(x.clone(), x, Some(&mask));
}

#[test]
#[should_panic(expected = "a sequence of 71 tokens for linear attention over at most 70")]
fn linear_attention_refuses_longer_sequences() {
    let x = values([1, 71, 16], 1, &device());
    layer(linear(5, 70, false)).forward(x.clone(), x, None);
}
