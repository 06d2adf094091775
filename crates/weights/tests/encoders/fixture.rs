//! A folder of `tests/fixtures/weights`, and how near to its outputs ours are.

use std::path::{Path, PathBuf};

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use crucible_transformer::{LanguageHead, TextEncoder};
use crucible_vision::Vit;
use crucible_weights::files::Tensors;
use crucible_weights::{Error, Loaded, TextCheckpoint, VisionCheckpoint, load};

/// A text encoder that tells words.
#[derive(Module, Debug)]
pub struct MaskedLm {
    pub encoder: TextEncoder,
    pub head: LanguageHead,
}

/// An image encoder that tells classes.
#[derive(Module, Debug)]
pub struct Classifier {
    pub encoder: Vit,
    pub head: Linear,
}

/// No difference is larger.
const TOLERANCE: f32 = 1e-4;

pub fn device() -> Device {
    Device::default()
}

pub fn folder(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    fixtures.join("weights").join(name)
}

/// What the library gives.
pub struct Golden {
    name: String,
    tensors: Tensors,
    pub worst: f32,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let file = folder(name).join("golden.safetensors");
        Self {
            name: name.to_owned(),
            tensors: Tensors::open(&file).unwrap(),
            worst: 0.0,
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.shape(name).is_some()
    }

    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape: [usize; D] = self.tensors.shape(name).unwrap().try_into().unwrap();
        let values = self.tensors.read(name).unwrap();
        Tensor::from_data(TensorData::new(values, shape), &device())
    }

    pub fn ids(&self, name: &str) -> Tensor<2, Int> {
        self.tensor::<2>(name).int()
    }

    /// `true` = padding.
    pub fn padding(&self) -> Tensor<2, Bool> {
        self.tensor::<2>("input.attention_mask").equal_elem(0)
    }

    /// Asserts that they are near, but for the states of padding, which mean nothing.
    pub fn assert_states(
        &mut self,
        name: &str,
        found: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
    ) {
        let expected = self.tensor::<3>(name);
        let shape = expected.dims();
        let [found, expected] = [found, expected].map(|states| match &padding {
            Some(padding) => {
                let hidden = padding.clone().unsqueeze_dim::<3>(2).expand(shape);
                states.mask_fill(hidden, 0.0)
            }
            None => states,
        });
        self.compare(name, found, expected);
    }

    pub fn assert_near<const D: usize>(&mut self, name: &str, found: Tensor<D>) {
        let expected = self.tensor::<D>(name);
        self.compare(name, found, expected);
    }

    fn compare<const D: usize>(&mut self, name: &str, found: Tensor<D>, expected: Tensor<D>) {
        assert_eq!(found.dims(), expected.dims(), "{} of {}", name, self.name);
        let difference = (found - expected).abs().max().into_scalar::<f32>();
        assert!(
            difference <= TOLERANCE,
            "{name} of {}: {difference}",
            self.name
        );
        self.worst = self.worst.max(difference);
    }
}

impl Drop for Golden {
    fn drop(&mut self) {
        println!("{}: at most {:.1e} off", self.name, self.worst);
    }
}

/// Each row brought to length 1.
pub fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().square().sum_dim(1).sqrt();
    x / length
}

/// What was loaded is all that there is.
pub fn assert_whole(loaded: &Loaded) {
    assert!(loaded.taken > 0 && loaded.missing.is_empty(), "{loaded:?}");
    assert_eq!(loaded.unused, Vec::<String>::new());
}

pub fn masked_lm(checkpoint: &TextCheckpoint, path: &Path) -> Result<(MaskedLm, Loaded), Error> {
    let config = &checkpoint.config;
    let (width, stack) = (config.encoder.d_model, &config.encoder);
    let (activation, epsilon) = (stack.activation, stack.norm_epsilon);
    let model = MaskedLm {
        encoder: config.init(&device()),
        head: LanguageHead::new(width, config.vocabulary, activation, epsilon, &device()),
    };
    load(model, &masked_rules(checkpoint), &Tensors::open(path)?)
}

pub fn masked_rules(checkpoint: &TextCheckpoint) -> crucible_weights::rules::Rules {
    let head = checkpoint.head.clone().unwrap().within("head");
    checkpoint.rules.clone().within("encoder").and(head)
}

pub fn classifier(checkpoint: &VisionCheckpoint, path: &Path) -> (Classifier, Loaded) {
    let head = checkpoint.head.clone().unwrap();
    let width = checkpoint.config.encoder.d_model;
    let model = Classifier {
        encoder: checkpoint.config.init(&device()),
        head: Linear {
            weight: Param::from_tensor(Tensor::zeros([width, head.classes], &device())),
            bias: Some(Param::from_tensor(Tensor::zeros([head.classes], &device()))),
        },
    };
    let tensors = Tensors::open(path).unwrap();
    load(model, &classifier_rules(checkpoint), &tensors).unwrap()
}

pub fn classifier_rules(checkpoint: &VisionCheckpoint) -> crucible_weights::rules::Rules {
    let head = checkpoint.head.clone().unwrap().rules.within("head");
    checkpoint.rules.clone().within("encoder").and(head)
}
