//! Forward values and gradients of every model against PyTorch: `tests/reference/models.py` writes the
//! fixtures and says what each model is compared with.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Gradients, Int, Tensor};
use burn_store::{ModuleSnapshot, ModuleStore, SafetensorsStore, bridge};
use crucible_objectives::language::{permutation_masks, prefix_mask};
use crucible_transformer::{
    Activation, AttentionMask, BlockConfig, DecoderConfig, EncoderConfig, MultiHeadAttentionConfig,
    NormPlacement, Pooling, TextEncoderConfig,
};
use crucible_vision::{ResNetConfig, ResNetStem, VitConfig};

/// Largest difference of an output; the outputs are of order one.
const FORWARD: f32 = 1e-5;
/// Largest difference of a gradient, relative to the largest entry of its tensor (at least one).
const GRADIENT: f32 = 2e-5;

/// One file of the reference script.
struct Fixture {
    store: SafetensorsStore,
    device: Device,
}

impl Fixture {
    fn open(name: &str) -> Self {
        let path = format!(
            "{}/tests/fixtures/models/{name}.safetensors",
            env!("CARGO_MANIFEST_DIR")
        );
        Self {
            store: SafetensorsStore::from_file(path),
            device: Device::flex().autodiff(),
        }
    }

    fn float<const D: usize>(&mut self, name: &str) -> Tensor<D> {
        let tensor = self
            .store
            .get_tensor(name)
            .unwrap()
            .unwrap_or_else(|| panic!("no {name}"));
        Tensor::from_data(bridge::to_data(tensor).unwrap(), &self.device)
    }

    fn int(&mut self, name: &str) -> Tensor<2, Int> {
        let tensor = self
            .store
            .get_tensor(name)
            .unwrap()
            .unwrap_or_else(|| panic!("no {name}"));
        Tensor::from_data(bridge::to_data(tensor).unwrap(), &self.device)
    }

    fn places(&mut self, name: &str) -> Vec<usize> {
        let places = self.int(name).into_data();
        places.iter::<u32>().map(|place| place as usize).collect()
    }

    fn input<const D: usize>(&mut self, name: &str) -> Tensor<D> {
        self.float(&format!("input.{name}")).require_grad()
    }

    fn padding(&mut self, name: &str) -> Tensor<2, Bool> {
        self.int(&format!("input.{name}")).equal_elem(1)
    }

    /// Gives `module` the reference's weights; every tensor must find its place.
    fn load<M: Module>(&mut self, mut module: M) -> M {
        let tensors = self.store.get_all_tensors().unwrap();
        let tensors = tensors
            .values()
            .filter(|tensor| tensor.name.starts_with("model."))
            .cloned();
        let tensors = tensors
            .map(|mut tensor| {
                tensor.name = tensor.name["model.".len()..].to_owned();
                tensor
            })
            .collect();
        let result = module.apply(tensors, None, None, true);
        assert!(
            result.errors.is_empty() && result.missing.is_empty() && result.unused.is_empty(),
            "{result}"
        );
        module
    }

    /// Compares the output, then the gradients of `sum(output * probe)`: of all parameters and `inputs`.
    fn check<M: Module, const D: usize>(
        mut self,
        module: &M,
        output: Tensor<D>,
        inputs: &[(&str, &dyn HasGradient)],
    ) {
        assert_close("output", output.clone(), self.float("output"), FORWARD);
        let probe = self.float("probe");
        let gradients = (output * probe).sum().backward();
        for (name, input) in inputs {
            input.check(&format!("grad.input.{name}"), &gradients, &mut self);
        }
        let mut visitor = CompareGradients {
            fixture: self,
            gradients,
            path: Vec::new(),
            compared: 0,
        };
        module.visit(&mut visitor);
        let expected = visitor.fixture.store.keys().unwrap();
        let expected = expected
            .iter()
            .filter(|key| key.starts_with("grad.") && !key.starts_with("grad.input."));
        assert_eq!(visitor.compared, expected.count());
    }
}

trait HasGradient {
    fn check(&self, name: &str, gradients: &Gradients, fixture: &mut Fixture);
}

impl<const D: usize> HasGradient for Tensor<D> {
    fn check(&self, name: &str, gradients: &Gradients, fixture: &mut Fixture) {
        let gradient = self
            .grad(gradients)
            .unwrap_or_else(|| panic!("no gradient for {name}"));
        let expected = fixture.float::<D>(name).inner();
        let scale = expected.clone().abs().max().into_scalar::<f32>().max(1.0);
        assert_close(name, gradient, expected, GRADIENT * scale);
    }
}

struct CompareGradients {
    fixture: Fixture,
    gradients: Gradients,
    path: Vec<String>,
    compared: usize,
}

impl ModuleVisitor for CompareGradients {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Running statistics have none.
        if !param.is_require_grad() {
            return;
        }
        let path: Vec<&str> = self
            .path
            .iter()
            .map(String::as_str)
            .filter(|part| *part != "Learned")
            .collect();
        let name = format!("grad.{}", path.join("."));
        param.val().check(&name, &self.gradients, &mut self.fixture);
        self.compared += 1;
    }
}

fn assert_close<const D: usize>(name: &str, found: Tensor<D>, expected: Tensor<D>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims(), "{name}");
    let [found, expected] =
        [found, expected].map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap());
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let difference = (found - expected).abs();
        // Written so that NaN fails.
        assert!(
            difference <= tolerance,
            "{name}[{i}]: {found} instead of {expected}, off by {difference:e} > {tolerance:e}"
        );
    }
}

#[test]
fn self_attention_is_torch_multihead_attention() {
    let mut fixture = Fixture::open("self_attention");
    let model = fixture.load(MultiHeadAttentionConfig::new(16, 4).init(&fixture.device));
    let x = fixture.input::<3>("x");
    let mask = AttentionMask::padding(fixture.padding("padding"));
    let output = model.forward(x.clone(), x.clone(), Some(&mask));
    fixture.check(&model, output, &[("x", &x)]);
}

#[test]
fn causal_attention_is_torch_multihead_attention() {
    let mut fixture = Fixture::open("causal_attention");
    let model = fixture.load(MultiHeadAttentionConfig::new(16, 2).init(&fixture.device));
    let x = fixture.input::<3>("x");
    let mask = AttentionMask::causal();
    let output = model.forward(x.clone(), x.clone(), Some(&mask));
    fixture.check(&model, output, &[("x", &x)]);
}

#[test]
fn cross_attention_is_torch_multihead_attention() {
    let mut fixture = Fixture::open("cross_attention");
    let config = MultiHeadAttentionConfig::new(16, 4).with_d_context(10);
    let model = fixture.load(config.init(&fixture.device));
    let (x, context) = (fixture.input::<3>("x"), fixture.input::<3>("context"));
    let mask = AttentionMask::padding(fixture.padding("padding"));
    let output = model.forward(x.clone(), context.clone(), Some(&mask));
    fixture.check(&model, output, &[("x", &x), ("context", &context)]);
}

fn encoder(fixture: &str, norm: NormPlacement, activation: Activation) {
    let mut fixture = Fixture::open(fixture);
    let config = EncoderConfig::new(16, 4, 24, 2)
        .with_norm(norm)
        .with_activation(activation);
    let model = fixture.load(config.init(&fixture.device));
    let x = fixture.input::<3>("x");
    let output = model.forward(x.clone(), Some(fixture.padding("padding")));
    fixture.check(&model, output, &[("x", &x)]);
}

#[test]
fn pre_norm_encoder_is_torch_encoder_layers() {
    encoder("encoder_pre_norm", NormPlacement::Pre, Activation::Gelu);
}

#[test]
fn post_norm_encoder_is_torch_encoder_layers() {
    encoder("encoder_post_norm", NormPlacement::Post, Activation::Relu);
}

fn two_streams(fixture: &str, norm: NormPlacement) {
    let mut fixture = Fixture::open(fixture);
    let config = EncoderConfig::new(16, 4, 24, 2).with_norm(norm);
    let model = fixture.load(config.init(&fixture.device));
    let (content, query) = (fixture.input::<3>("content"), fixture.input::<3>("query"));
    let orders = fixture.places("input.orders");
    let orders: Vec<Vec<usize>> = orders.chunks(5).map(<[usize]>::to_vec).collect();
    let masks = permutation_masks(&orders, &fixture.device).map(AttentionMask::pairs);
    let streams = model.two_streams([content.clone(), query.clone()], &masks);
    let output = Tensor::cat(streams.to_vec(), 1);
    fixture.check(&model, output, &[("content", &content), ("query", &query)]);
}

#[test]
fn two_streams_are_those_of_xlnet() {
    two_streams("two_streams_pre_norm", NormPlacement::Pre);
    two_streams("two_streams_post_norm", NormPlacement::Post);
}

#[test]
fn a_prefix_is_read_as_in_prefix_language_models() {
    let mut fixture = Fixture::open("prefix_encoder");
    let block = BlockConfig::new(16, 2, 24).with_norm(NormPlacement::Post);
    let model = fixture.load(EncoderConfig::stack(&block, 1).init(&fixture.device));
    let x = fixture.input::<3>("x");
    let prefixes = fixture.places("input.prefixes");
    let mask = AttentionMask::pairs(prefix_mask(&prefixes, 6, &fixture.device));
    let output = model.forward_masked(x.clone(), Some(&mask));
    fixture.check(&model, output, &[("x", &x)]);
}

fn decoder(fixture: &str, norm: NormPlacement) {
    let mut fixture = Fixture::open(fixture);
    let config = DecoderConfig::new(EncoderConfig::new(16, 2, 24, 2).with_norm(norm));
    let model = fixture.load(config.init(&fixture.device));
    let (x, context) = (fixture.input::<3>("x"), fixture.input::<3>("context"));
    let output = model.forward(
        x.clone(),
        Some(fixture.padding("padding")),
        context.clone(),
        Some(fixture.padding("context_padding")),
    );
    fixture.check(&model, output, &[("x", &x), ("context", &context)]);
}

#[test]
fn pre_norm_decoder_is_torch_decoder_layers() {
    decoder("decoder_pre_norm", NormPlacement::Pre);
}

#[test]
fn post_norm_decoder_is_torch_decoder_layers() {
    decoder("decoder_post_norm", NormPlacement::Post);
}

#[test]
fn text_encoder_is_bert() {
    let mut fixture = Fixture::open("text_encoder");
    let encoder = EncoderConfig::new(16, 4, 32, 2)
        .with_norm(NormPlacement::Post)
        .with_norm_epsilon(1e-12);
    let config = TextEncoderConfig::new(30, 9, encoder).with_token_types(2);
    let model = fixture.load(config.init(&fixture.device));
    let (ids, types) = (fixture.int("input.ids"), fixture.int("input.types"));
    let encoded = model.forward(ids, Some(types), Some(fixture.padding("padding")));
    fixture.check(&model, encoded.tokens, &[]);
}

fn vit(fixture: &str, stem_cell: usize, stem: Vec<usize>, pooling: Pooling) {
    let mut fixture = Fixture::open(fixture);
    let encoder = EncoderConfig::new(16, 2, 32, 2).with_norm_epsilon(1e-6);
    let config = VitConfig::new(24, 8, encoder)
        .with_stem_cell(stem_cell)
        .with_stem(stem)
        .with_pooling(pooling);
    let model = fixture.load(config.init(&fixture.device));
    let images = fixture.input::<4>("images");
    let encoded = model.forward(images.clone());
    fixture.check(&model, encoded.pooled, &[("images", &images)]);
}

#[test]
fn vit_with_class_token_is_timm_vision_transformer() {
    vit("vit_cls", 1, vec![], Pooling::Cls);
}

#[test]
fn vit_with_stem_is_torch_convolutions() {
    vit("vit_stem_mean", 1, vec![6, 10], Pooling::Mean);
}

#[test]
fn vit_with_folded_stem_is_torch_pixel_unshuffle_and_convolution() {
    vit("vit_folded_stem", 4, vec![10], Pooling::Mean);
}

fn resnet(fixture: &str, stem: ResNetStem, training: bool) {
    let mut fixture = Fixture::open(fixture);
    let config = ResNetConfig::new().with_width(2).with_stem(stem);
    let mut model = fixture.load(config.init(&fixture.device));
    if !training {
        // Evaluation statistics, but still with gradients to compare.
        model = model.freeze().set_require_grad(true);
    }
    let images = fixture.input::<4>("images");
    let encoded = model.forward(images.clone());
    fixture.check(&model, encoded.pooled, &[("images", &images)]);
}

#[test]
fn resnet_in_training_is_torchvision_resnet18() {
    resnet("resnet_cifar_train", ResNetStem::Cifar, true);
}

#[test]
fn resnet_in_evaluation_is_torchvision_resnet18() {
    resnet("resnet_cifar_eval", ResNetStem::Cifar, false);
}

#[test]
fn resnet_with_imagenet_stem_is_torchvision_resnet18() {
    resnet("resnet_imagenet_eval", ResNetStem::Imagenet, false);
}
