//! The image encoders that the recipe can choose from.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_training::Error;
use crucible_transformer::{Activation, ConfigError, Encoded, EncoderConfig, Pooling};
use crucible_vision::{ResNet, ResNetConfig, ResNetStem, Vit, VitConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which encoder, and its size.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum BackboneConfig {
    /// Vision Transformer (Dosovitskiy et al. 2021).
    Vit(VitBackboneConfig),
    /// ResNet-18 (He et al. 2016).
    Resnet(ResnetBackboneConfig),
}

/// Size of a [`Vit`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VitBackboneConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Height and width of a patch, in pixels; must divide the image's.
    pub patch_size: usize,
    /// The stem starts from cells of so many pixels; 1 for single pixels.
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for plain patches.
    pub stem: Vec<usize>,
    /// How the tokens become one vector: cls, mean or max.
    pub pooling: Pooling,
    /// Chance that a unit is dropped in training.
    pub dropout: f64,
    /// Non-linearity: gelu, gelu-tanh or relu (the cheapest).
    pub activation: Activation,
}

/// Size of a [`ResNet`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ResnetBackboneConfig {
    /// Channels of the first stage; 64 in the paper.
    #[schemars(range(min = 1))]
    pub width: usize,
    /// First layers: cifar for images of up to 64 pixels, imagenet for larger ones.
    pub stem: ResNetStem,
}

impl VitBackboneConfig {
    fn vit(&self, image_size: usize) -> VitConfig {
        let encoder = EncoderConfig::new(self.d_model, self.heads, self.d_ff, self.layers)
            .with_dropout(self.dropout)
            .with_activation(self.activation);
        VitConfig::new(image_size, self.patch_size, encoder)
            .with_stem_cell(self.stem_cell)
            .with_stem(self.stem.clone())
            .with_pooling(self.pooling)
    }
}

impl ResnetBackboneConfig {
    fn resnet(&self) -> ResNetConfig {
        ResNetConfig::new()
            .with_width(self.width)
            .with_stem(self.stem)
    }
}

impl BackboneConfig {
    /// Width of the image's vector.
    pub fn d_model(&self) -> usize {
        match self {
            Self::Vit(config) => config.d_model,
            Self::Resnet(config) => config.resnet().d_model(),
        }
    }

    /// Whether the sizes fit together.
    pub fn check(&self, image_size: usize) -> Result<(), Error> {
        let usage = |error: ConfigError| Error::Usage(error.to_string());
        match self {
            Self::Vit(config) => config.vit(image_size).check().map_err(usage),
            Self::Resnet(_) => Ok(()),
        }
    }

    /// An encoder with fresh weights.
    pub fn init(&self, image_size: usize, device: &Device) -> Backbone {
        match self {
            Self::Vit(config) => Backbone {
                vision: Some(config.vit(image_size).init(device)),
                resnet: None,
            },
            Self::Resnet(config) => Backbone {
                vision: None,
                resnet: Some(config.resnet().init(device)),
            },
        }
    }
}

/// An image encoder, one of the two. An enum would put its variant's name into the path of the first, which is that of
/// the image tower of other recipes.
#[derive(Module, Debug)]
pub struct Backbone {
    vision: Option<Vit>,
    resnet: Option<ResNet>,
}

impl Backbone {
    /// # Shapes
    /// - `images`: `[images, 3, size, size]`; output: pooled `[images, d_model]`
    pub fn forward(&self, images: Tensor<4>) -> Encoded {
        match (&self.vision, &self.resnet) {
            (Some(vit), _) => vit.forward(images),
            (None, Some(resnet)) => resnet.forward(images),
            (None, None) => unreachable!("`init` makes one of them"),
        }
    }
}
