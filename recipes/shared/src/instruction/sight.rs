//! The image tower of a model that speaks.

use burn::tensor::Device;
use crucible_datasets::ImageConfig;
use crucible_fusion::Features;
use crucible_training::{Error, Run};
use crucible_transformer::{Activation, EncoderConfig, Pooling};
use crucible_vision::{Vit, VitConfig};
use crucible_weights::{Preprocessing, VisionCheckpoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prepared::image_config;
use crate::setting::setting;
use crate::{Origin, report};

/// What its sizes came to, in the run's directory.
const FILE: &str = "vision.json";

/// A vision transformer; `--init` with a run of `contrastive`, `vqa` or `classification` of the same sizes gives it weights.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SightConfig {
    /// Published weights to start from: a Hugging Face or open_clip folder of a ViT, DeiT, DINOv2, CLIP or SigLIP, or
    /// `hf:org/name` in a binary with the feature `hub`; their sizes replace those below; "" for a fresh tower.
    pub weights: String,
    /// Whether it trains.
    pub train: bool,
    /// What of it the connector is given: patches; pooled-and-patches, where one vector of the whole image precedes them;
    /// or pooled, which is that vector alone.
    pub features: Features,
    /// How much a second loss counts in training, by which a picture alone tells the words that are said of it, whatever
    /// is asked: what the tower sees is given words by it. 0: not at all.
    pub naming: f64,
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Layers.
    pub layers: usize,
    /// Height and width of a patch, in pixels; must divide the image's.
    pub patch_size: usize,
    /// The stem starts from cells of so many pixels; 1 for single pixels.
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for plain patches.
    pub stem: Vec<usize>,
    /// Chance that a unit is dropped in training.
    pub dropout: f64,
    /// Non-linearity: gelu, gelu-tanh, relu, quick-gelu or silu.
    pub activation: Activation,
}

impl SightConfig {
    /// For images of 64 pixels, which become 64 tokens and one for the whole.
    pub fn small(d_model: usize) -> Self {
        Self {
            weights: String::new(),
            train: true,
            d_model,
            heads: 4,
            d_ff: 2 * d_model,
            layers: 4,
            patch_size: 8,
            stem_cell: 4,
            stem: vec![d_model],
            features: Features::Pooled,
            naming: 1.0,
            dropout: 0.0,
            activation: Activation::Relu,
        }
    }

    /// ViT-S/16.
    pub fn vit_small() -> Self {
        Self {
            weights: String::new(),
            train: true,
            d_model: 384,
            heads: 6,
            d_ff: 1536,
            layers: 12,
            patch_size: 16,
            stem_cell: 1,
            stem: Vec::new(),
            features: Features::Patches,
            naming: 0.0,
            dropout: 0.1,
            activation: Activation::Gelu,
        }
    }

    /// Where it begins in a run.
    ///
    /// # Errors
    ///
    /// Those of [`Origin::of`].
    pub fn origin(&self, run: &Run) -> Result<Origin, Error> {
        Origin::of("vision", &self.weights, run)
    }

    /// Whether the sizes of a fresh tower fit together.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] by the key.
    pub fn check(&self, images: &ImageConfig) -> Result<(), Error> {
        match self.weights.is_empty() {
            true => self.fresh(images.size).map(drop),
            false => Ok(()),
        }
    }

    /// The sizes of the tower for images that are prepared like that; those of published weights where it begins with
    /// some.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when sizes do not fit together, or when images are prepared otherwise than the weights want them.
    pub fn sizes(
        &self,
        origin: &Origin,
        run: &Run,
        images: &ImageConfig,
    ) -> Result<VitConfig, Error> {
        let path = match origin {
            Origin::Fresh => return self.fresh(images.size),
            Origin::Kept => return Self::kept(run),
            Origin::Published(path) => path,
        };
        let checkpoint = VisionCheckpoint::open(path).map_err(Error::data)?;
        let (size, wanted) = (images.size, checkpoint.config.image_size);
        if size != wanted {
            return Err(Error::Usage(format!(
                "image.size is {size}, but the tower of {} is for {wanted} pixels a side",
                self.weights
            )));
        }
        if let Some(prepared) = &checkpoint.preprocessing {
            self.check_images(prepared, images)?;
        }
        Ok(checkpoint.config)
    }

    /// That images are prepared as the tower has learnt to see them.
    fn check_images(&self, prepared: &Preprocessing, images: &ImageConfig) -> Result<(), Error> {
        let wants = |what: String| {
            Err(Error::Usage(format!(
                "the image tower of {} wants {what}",
                self.weights
            )))
        };
        let differs = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-3);
        if differs(prepared.mean, images.mean) || differs(prepared.std, images.std) {
            let (mean, std) = (prepared.mean, prepared.std);
            return wants(format!("image.mean={mean:?} and image.std={std:?}"));
        }
        let wanted = image_config(&self.weights, prepared, images.size)?;
        let of = |images: &ImageConfig| (images.fit, images.edge(), images.filter);
        if prepared.resize.is_none() || of(images) == of(&wanted) {
            return Ok(());
        }
        let (fit, edge, filter) = of(&wanted);
        let [fit, filter] =
            [format!("{fit:?}"), format!("{filter:?}")].map(|name| name.to_lowercase());
        wants(format!(
            "image.fit={fit}, image.edge={edge} and image.filter={filter}"
        ))
    }

    /// The tower to train, with its published weights if it begins with some. Keeps its sizes with the run.
    ///
    /// # Errors
    ///
    /// Those of the weights and of the run's directory.
    pub fn start(
        &self,
        origin: &Origin,
        sizes: &VitConfig,
        run: &Run,
        device: &Device,
    ) -> Result<Vit, Error> {
        run.dir.write_json(FILE, sizes)?;
        let Origin::Published(path) = origin else {
            return Ok(sizes.init(device));
        };
        let checkpoint = VisionCheckpoint::open(path).map_err(Error::data)?;
        let (tower, loaded) = checkpoint.load(path, device).map_err(Error::data)?;
        if !run.quiet {
            report(&self.weights, &loaded);
        }
        Ok(tower)
    }

    /// The sizes of the tower of a finished run.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn kept(run: &Run) -> Result<VitConfig, Error> {
        run.dir.read_json(FILE)
    }

    fn fresh(&self, image_size: usize) -> Result<VitConfig, Error> {
        let stack = EncoderConfig::new(self.d_model, self.heads, self.d_ff, self.layers)
            .with_dropout(self.dropout)
            .with_activation(self.activation);
        let tower = VitConfig::new(image_size, self.patch_size, stack)
            .with_stem_cell(self.stem_cell)
            .with_stem(self.stem.clone())
            .with_pooling(Pooling::Max);
        tower.check().map_err(setting("vision"))?;
        Ok(tower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_datasets::{Filter, Fit};
    use crucible_weights::{Resample, Resize};

    /// As CLIP, DINOv2 and SigLIP have it.
    #[test]
    fn images_that_are_prepared_otherwise_are_refused() {
        let sight = SightConfig::small(8);
        for (resize, resample, wanted) in [
            (
                Resize::ShortestEdge(64),
                Resample::Bicubic,
                "image.fit=crop, image.edge=64 and image.filter=bicubic",
            ),
            (
                Resize::ShortestEdge(72),
                Resample::Bilinear,
                "image.fit=crop, image.edge=72 and image.filter=bilinear",
            ),
            (
                Resize::Exact([64; 2]),
                Resample::Bicubic,
                "image.fit=squash, image.edge=64 and image.filter=bicubic",
            ),
            (Resize::Exact([64; 2]), Resample::Lanczos, "Lanczos"),
            (Resize::Exact([64, 32]), Resample::Bilinear, "not square"),
        ] {
            let prepared = Preprocessing {
                resize: Some(resize),
                resample,
                crop: Some([64; 2]),
                mean: [0.5; 3],
                std: [0.5; 3],
            };
            let error = sight
                .check_images(&prepared, &ImageConfig::symmetric(64))
                .unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
        let clip = Preprocessing {
            resize: Some(Resize::ShortestEdge(64)),
            resample: Resample::Bicubic,
            crop: Some([64; 2]),
            mean: [0.5; 3],
            std: [0.5; 3],
        };
        let images = ImageConfig {
            fit: Fit::Crop,
            filter: Filter::Bicubic,
            ..ImageConfig::symmetric(64)
        };
        sight.check_images(&clip, &images).unwrap();
        let other = Preprocessing {
            mean: [0.4; 3],
            ..clip
        };
        let error = sight.check_images(&other, &images).unwrap_err();
        assert!(error.to_string().contains("image.mean=[0.4"), "{error}");
    }
}
