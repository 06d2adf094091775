use burn::module::Module;
use burn::tensor::Device;
use crucible_datasets::ImageConfig;
use crucible_fusion::{ConcatenationConfig, Family, FusionConfig, STRATEGIES, Sublayers};
use crucible_training::Error;
use crucible_transformer::{Activation, EncoderConfig, Pooling, TextEncoder, TextEncoderConfig};
use crucible_vision::{Vit, VitConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a budget of layers is shared out.
#[derive(Clone, Copy, Debug)]
pub struct Layers {
    /// Of the image tower.
    pub image: usize,
    /// Of the text tower.
    pub text: usize,
    /// Of the fusion, where it has any.
    pub fusion: usize,
}

impl Layers {
    /// `budget` layers for a strategy, of a feed-forward layer `ratio` times as wide as the tokens. Of `d_model^2`
    /// parameters a layer has `4 + 2 ratio`. Where the modalities meet in the upper layers, about half of the budget is
    /// for these, and the towers have what is left.
    pub fn of(strategy: &str, budget: usize, ratio: usize) -> Self {
        let known = STRATEGIES.iter().find(|known| known.name == strategy);
        let (towers, fusion) = match known {
            Some(known) if known.family == Family::Early => (0, budget),
            Some(known) if known.family == Family::Mid => {
                let Sublayers {
                    attentions,
                    feed_forwards,
                    linears,
                } = known.layer;
                let units = 4 * attentions + 2 * ratio * feed_forwards + linears;
                let weight = units as f64 / (4 + 2 * ratio) as f64;
                let fusion = (budget as f64 / 2.0 / weight)
                    .round()
                    .max(known.least as f64);
                let towers = (budget as f64 - fusion * weight).round().max(0.0);
                (towers as usize, fusion as usize)
            }
            _ => (budget, 0),
        };
        Self {
            image: towers.div_ceil(2),
            text: towers / 2,
            fusion,
        }
    }

    /// The strategy of that name; one that is none is refused when the configuration is put together.
    pub fn strategy(&self, name: &str) -> FusionConfig {
        FusionConfig::named(name, self.fusion)
            .unwrap_or_else(|| FusionConfig::Late(ConcatenationConfig::new()))
    }
}

/// A lone image tower, at the path `vision` that it has in models of two.
#[derive(Module, Debug)]
pub struct ImageTower {
    /// The tower.
    pub vision: Vit,
}

impl ImageTower {
    /// A tower with fresh weights for images that are prepared like `images`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when sizes do not fit together.
    pub fn new(config: &VitConfig, images: &ImageConfig, device: &Device) -> Result<Self, Error> {
        config
            .check()
            .map_err(|error| Error::Usage(error.to_string()))?;
        let (wanted, given) = ((config.channels, config.image_size), (3, images.size));
        if wanted != given {
            return Err(Error::Usage(format!(
                "the image tower is for images of {} channels and {} pixels a side, but image.size makes them {} and {}",
                wanted.0, wanted.1, given.0, given.1
            )));
        }
        Ok(Self {
            vision: config.init(device),
        })
    }
}

/// A lone text tower, at the path `text` that it has in models of two.
#[derive(Module, Debug)]
pub struct TextTower {
    /// The tower.
    pub text: TextEncoder,
}

impl TextTower {
    /// A tower with fresh weights.
    pub fn new(config: &TextEncoderConfig, device: &Device) -> Self {
        Self {
            text: config.init(device),
        }
    }
}

/// Image and text towers of one width.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TowersConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Layers of the image tower before fusion.
    pub image_layers: usize,
    /// Layers of the text tower before fusion.
    pub text_layers: usize,
    /// Height and width of a patch, in pixels; must divide the image's.
    pub patch_size: usize,
    /// The stem starts from cells of so many pixels; 1 for single pixels.
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for plain patches.
    pub stem: Vec<usize>,
    /// How each tower's tokens become one vector: cls, mean or max.
    pub pooling: Pooling,
    /// Chance that a unit is dropped in training.
    pub dropout: f64,
    /// Non-linearity: gelu, gelu-tanh or relu (the cheapest).
    pub activation: Activation,
}

impl TowersConfig {
    /// The image tower for images of that many pixels a side.
    pub fn vision(&self, image_size: usize) -> VitConfig {
        VitConfig::new(image_size, self.patch_size, self.stack(self.image_layers))
            .with_stem_cell(self.stem_cell)
            .with_stem(self.stem.clone())
            .with_pooling(self.pooling)
    }

    /// The text tower for a vocabulary of that size and texts of that many tokens.
    pub fn text(&self, vocabulary: usize, max_length: usize) -> TextEncoderConfig {
        TextEncoderConfig::new(vocabulary, max_length, self.stack(self.text_layers))
            .with_pooling(self.pooling)
    }

    /// For images of 64 pixels: `vqa` and `vlp` have these, so that one can start from the other.
    pub fn small(d_model: usize, layers: Layers) -> Self {
        Self {
            d_model,
            heads: 4,
            d_ff: 2 * d_model,
            image_layers: layers.image,
            text_layers: layers.text,
            patch_size: 8,
            stem_cell: 4,
            stem: vec![d_model],
            pooling: Pooling::Max,
            dropout: 0.0,
            activation: Activation::Relu,
        }
    }

    /// ViT-S and a text tower of its width.
    pub fn vit_small(layers: Layers) -> Self {
        Self {
            d_model: 384,
            heads: 6,
            d_ff: 1536,
            image_layers: layers.image,
            text_layers: layers.text,
            patch_size: 16,
            stem_cell: 1,
            stem: Vec::new(),
            pooling: Pooling::Mean,
            dropout: 0.1,
            activation: Activation::Gelu,
        }
    }

    fn stack(&self, layers: usize) -> EncoderConfig {
        EncoderConfig::new(self.d_model, self.heads, self.d_ff, layers)
            .with_dropout(self.dropout)
            .with_activation(self.activation)
    }
}
