use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Int, Tensor};
use crucible_transformer::{ConfigError, TextEncoder, TextEncoderConfig, linear, project};
use crucible_vision::{Vit, VitConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the towers of a [`DualEncoder`] come to a common space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DualProjections {
    /// A matrix for each tower (CLIP).
    #[default]
    Both,
    /// A layer with a bias for the text tower, which leads to what the image tower gives (SigLIP).
    Text,
}

/// Configuration of a [`DualEncoder`].
#[derive(Config, Debug, JsonSchema)]
pub struct DualEncoderConfig {
    /// The image tower.
    pub vision: VitConfig,
    /// The text tower.
    pub text: TextEncoderConfig,
    /// Width of the space that both are projected into.
    pub d_embedding: usize,
    /// Scale of the similarities at the start: 1 / 0.07 in CLIP, 10 in SigLIP.
    #[config(default = "1.0 / 0.07")]
    pub scale: f64,
    /// What is added to them at the start: nothing in CLIP, -10 in SigLIP.
    #[config(default = 0.0)]
    pub bias: f64,
    /// The scale goes no higher; none in SigLIP as published.
    #[config(default = "Some(LARGEST_SCALE)")]
    pub largest_scale: Option<f64>,
    /// How the towers come to a common space.
    #[config(default = "DualProjections::Both")]
    pub projections: DualProjections,
}

/// The largest scale of CLIP: beyond it training becomes unstable.
pub const LARGEST_SCALE: f64 = 100.0;

/// Two towers that never meet: an image and a text are each one vector, and belong together when these point the same
/// way (CLIP, Radford et al. 2021).
#[derive(Module, Debug)]
pub struct DualEncoder {
    /// The image tower.
    pub vision: Vit,
    /// The text tower.
    pub text: TextEncoder,
    /// From the image tower's width to the common space, without bias; none where that is the common space.
    pub image_projection: Option<Linear>,
    /// From the text tower's width to the common space, with a bias where it is the only projection.
    pub text_projection: Linear,
    /// The logarithm of the scale of similarities, `[1]`.
    pub log_scale: Param<Tensor<1>>,
    /// What is added to each similarity, `[1]`; only SigLIP's loss has a use for it.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    largest_scale: Option<f64>,
}

impl DualEncoderConfig {
    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.vision.check()?;
        self.text.encoder.check()?;
        let (d_embedding, width) = (self.d_embedding, self.vision.encoder.d_model);
        ConfigError::unless(d_embedding > 0, "d_embedding", || {
            "must be at least 1".into()
        })?;
        let projected = self.projections == DualProjections::Both;
        ConfigError::unless(projected || d_embedding == width, "d_embedding", || {
            format!("is {d_embedding}, but must be the image tower's width ({width})")
        })
    }

    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> DualEncoder {
        let projected = self.projections == DualProjections::Both;
        let projection = |d_model| {
            let mut projection = linear(d_model, self.d_embedding, device);
            projection.bias = projection.bias.filter(|_| !projected);
            projection
        };
        let constant = |value| Initializer::Constant { value }.init([1], device);
        DualEncoder {
            vision: self.vision.init(device),
            text: self.text.init(device),
            image_projection: projected.then(|| projection(self.vision.encoder.d_model)),
            text_projection: projection(self.text.encoder.d_model),
            log_scale: constant(self.scale.ln()),
            bias: constant(self.bias),
            largest_scale: self.largest_scale,
        }
    }
}

impl DualEncoder {
    /// # Shapes
    /// - `images`: `[images, channels, height, width]`
    /// - output: `[images, d_embedding]`, of any length
    pub fn embed_images(&self, images: Tensor<4>) -> Tensor<2> {
        let pooled = self.vision.forward(images).pooled;
        match &self.image_projection {
            Some(projection) => project(projection, pooled),
            None => pooled,
        }
    }

    /// # Shapes
    /// - `ids` and `padding` (`true` = padding): `[texts, length]`
    /// - output: `[texts, d_embedding]`, of any length
    pub fn embed_texts(&self, ids: Tensor<2, Int>, padding: Tensor<2, Bool>) -> Tensor<2> {
        let pooled = self.text.forward(ids, None, Some(padding)).pooled;
        project(&self.text_projection, pooled)
    }

    /// What similarities are multiplied by, `[1]`.
    pub fn scale(&self) -> Tensor<1> {
        let log = self.log_scale.val();
        match self.largest_scale {
            Some(largest) => log.clamp_max(largest.ln()).exp(),
            None => log.exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::TensorData;
    use crucible_transformer::EncoderConfig;

    fn model() -> DualEncoder {
        let stack = || EncoderConfig::new(8, 2, 12, 1);
        let vision = VitConfig::new(16, 8, stack());
        let text = TextEncoderConfig::new(11, 6, stack());
        DualEncoderConfig::new(vision, text, 5).init(&device())
    }

    #[test]
    fn both_sides_have_the_width_of_the_common_space() {
        let model = model();
        let images = model.embed_images(values([3, 3, 16, 16], 1, &device()));
        let ids = Tensor::from_data([[1i32, 2, 3, 4], [5, 6, 0, 0]], &device());
        let padding = TensorData::from([[false; 4], [false, false, true, true]]);
        let padding = Tensor::from_data(padding, &device());
        let texts = model.embed_texts(ids, padding);
        assert_eq!((images.dims(), texts.dims()), ([3, 5], [2, 5]));
        let scaled = (images.sum() + texts.sum()) * model.scale() + model.bias.val();
        assert_gradients_reach_everything(&model, scaled);
    }

    #[test]
    fn the_scale_starts_as_asked_and_stops_at_a_hundred() {
        let mut model = model();
        let scale: f32 = model.scale().into_scalar();
        assert!((scale - 1.0 / 0.07).abs() < 1e-4, "{scale}");
        model.log_scale = model.log_scale.map(|log| log + 9.0);
        let scale: f32 = model.scale().into_scalar();
        assert!((scale - 100.0).abs() < 1e-3, "{scale}");
    }

    #[test]
    fn images_may_be_the_common_space() {
        let config = |d_embedding| {
            let stack = || EncoderConfig::new(8, 2, 12, 1);
            let vision = VitConfig::new(16, 8, stack());
            DualEncoderConfig::new(vision, TextEncoderConfig::new(11, 6, stack()), d_embedding)
                .with_projections(DualProjections::Text)
                .with_largest_scale(None)
                .with_scale(117.0)
        };
        assert_eq!(config(5).check().unwrap_err().field, "d_embedding");
        let model = config(8).init(&device());
        assert!(model.image_projection.is_none() && model.text_projection.bias.is_some());
        let images = values([3, 3, 16, 16], 1, &device());
        let pooled = model.vision.forward(images.clone()).pooled;
        assert_eq!(difference(model.embed_images(images), pooled), 0.0);
        let scale: f32 = model.scale().into_scalar();
        assert!((scale - 117.0).abs() < 1e-3, "{scale}");
    }

    #[test]
    fn padding_changes_nothing() {
        let model = model();
        let embed = |ids: [[i32; 3]; 1], padding: [[bool; 3]; 1]| {
            let ids = Tensor::from_data(ids, &device());
            model.embed_texts(ids, Tensor::from_data(TensorData::from(padding), &device()))
        };
        let padding = [[false, false, true]];
        assert_eq!(
            difference(embed([[1, 2, 3]], padding), embed([[1, 2, 9]], padding)),
            0.0
        );
    }
}
