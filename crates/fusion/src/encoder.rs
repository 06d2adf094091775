use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Int, Tensor};
use crucible_transformer::{
    BlockConfig, ConfigError, Encoded, TextEncoder, TextEncoderConfig, linear, project,
};
use crucible_vision::{Vit, VitConfig};
use schemars::JsonSchema;

use crate::{Fusion, FusionConfig, Head, Missing, Modalities, Strategy};

/// Configuration of a [`FusionEncoder`].
#[derive(Config, Debug, JsonSchema)]
pub struct FusionEncoderConfig {
    /// The image tower.
    pub vision: VitConfig,
    /// The text tower.
    pub text: TextEncoderConfig,
    /// How the two are fused; its layers are shaped like the image tower's.
    pub fusion: FusionConfig,
}

/// Two towers and what joins them: images and texts in, one vector for each pair out.
///
/// A tower without layers is an embedding, which is what early fusion starts from.
#[derive(Module, Debug)]
pub struct FusionEncoder {
    /// The image tower.
    pub vision: Vit,
    /// The text tower.
    pub text: TextEncoder,
    /// From the text's width to the image's, where they differ.
    pub text_projection: Option<Linear>,
    /// The strategy.
    pub fusion: Fusion,
}

/// What a [`FusionEncoder`] reads.
#[derive(Clone, Debug)]
pub struct FusionInput {
    /// `[images, channels, height, width]`.
    pub images: Tensor<4>,
    /// Which image each pair is about, `[pairs]`.
    pub image_of: Tensor<1, Int>,
    /// Token ids, `[texts, words]`.
    pub tokens: Tensor<2, Int>,
    /// `[texts, words]`, `true` = padding.
    pub padding: Tensor<2, Bool>,
    /// Which text each pair is about, `[pairs]`.
    pub text_of: Tensor<1, Int>,
    /// Which pairs lack one of the two.
    pub missing: Missing,
}

impl FusionEncoderConfig {
    /// Width of the fused vectors.
    pub fn d_model(&self) -> usize {
        self.vision.encoder.d_model
    }

    fn block(&self) -> BlockConfig {
        self.vision.encoder.block()
    }

    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.vision.check()?;
        self.text.encoder.check()
    }

    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> FusionEncoder {
        let (d_model, d_text) = (self.d_model(), self.text.encoder.d_model);
        FusionEncoder {
            vision: self.vision.init(device),
            text: self.text.init(device),
            text_projection: (d_text != d_model).then(|| linear(d_text, d_model, device)),
            fusion: self.fusion.init(&self.block(), device),
        }
    }
}

impl FusionEncoder {
    /// Encodes each image and each text once, and fuses the pairs.
    ///
    /// # Shapes
    /// - output: `[pairs, d_model]`
    pub fn forward(&self, input: FusionInput) -> Tensor<2> {
        self.fusion.forward(self.encode(input))
    }

    /// What `head` says of each pair, by [`Strategy::decide`].
    ///
    /// # Shapes
    /// - `head`: from `[pairs, d_model]` to `[pairs, classes]`, which is the output too
    pub fn decide(&self, input: FusionInput, head: &Head) -> Tensor<2> {
        self.fusion.decide(self.encode(input), head)
    }

    /// Encodes each image and each text once.
    pub fn encode(&self, input: FusionInput) -> Modalities {
        Modalities {
            image: self.vision.forward(input.images),
            text: self.encode_text(input.tokens, input.padding),
            image_of: input.image_of,
            text_of: input.text_of,
            missing: input.missing,
        }
    }

    /// Texts in the width of the fusion.
    ///
    /// # Shapes
    /// - `tokens` and `padding` (`true` = padding): `[texts, words]`; output: tokens `[texts, words, d_model]`
    pub fn encode_text(&self, tokens: Tensor<2, Int>, padding: Tensor<2, Bool>) -> Encoded {
        self.project_text(self.text.forward(tokens, None, Some(padding)))
    }

    /// What the text tower gave, in the width of the fusion.
    ///
    /// # Shapes
    /// - `text`: tokens `[texts, words, d_text]`; output: tokens `[texts, words, d_model]`
    pub fn project_text(&self, text: Encoded) -> Encoded {
        match &self.text_projection {
            Some(projection) => Encoded {
                tokens: project(projection, text.tokens),
                pooled: project(projection, text.pooled),
                mask: text.mask,
            },
            None => text,
        }
    }
}
