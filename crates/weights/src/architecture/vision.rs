use std::path::Path;

use burn::tensor::Device;
use crucible_transformer::EncoderConfig;
use crucible_vision::{Vit, VitConfig};
use serde_json::Value;

use super::fields::Fields;
use super::preprocessing::Preprocessing;
use super::vit::Kind;
use super::{clip, dual, open_clip, read, siglip, unsupported};
use crate::Error;
use crate::files::{self, Tensors};
use crate::load::Loaded;
use crate::rules::{Form, Rules};

/// What [`dual::model_type`] calls each architecture.
const SUPPORTED: &[&str] = &[
    "vit",
    "deit",
    "dinov2",
    "clip",
    "clip_vision_model",
    "siglip",
    "siglip_vision_model",
    "open_clip",
];

/// No image has more patches a side.
const MOST_PATCHES: usize = 1 << 10;
/// No patch has more pixels a side.
const MOST_PIXELS: usize = 1 << 10;
/// No image has more channels.
const MOST_CHANNELS: usize = 1 << 10;

/// An image encoder with what its checkpoint tells of it: a model by itself, or the image tower of one that has two.
#[derive(Clone, Debug)]
pub struct VisionCheckpoint {
    /// The sizes.
    pub config: VitConfig,
    /// Which tensor is which.
    pub rules: Rules,
    /// The layer that tells the class from what is pooled, where the checkpoint has one.
    pub head: Option<ClassifierHead>,
    /// What images go through before, where the checkpoint tells.
    pub preprocessing: Option<Preprocessing>,
    /// Its `config.json`.
    pub json: Value,
}

/// A linear layer from what is pooled to classes, whose names are in `config.json`.
#[derive(Clone, Debug)]
pub struct ClassifierHead {
    /// How many classes there are.
    pub classes: usize,
    /// Which tensor is which. A model that has encoder and head has the rules
    /// `rules.within("encoder").and(head.within("head"))`, by its names for them.
    pub rules: Rules,
}

impl VisionCheckpoint {
    /// Reads what a folder or a file says of its model, and the names of its tensors.
    ///
    /// # Errors
    ///
    /// [`Error::Architecture`] for one that is no such encoder, [`Error::Config`] for a key that makes no sense or asks
    /// for what is not supported, and those of reading.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let json = files::config(path)?;
        let fields = Fields::new(path, json.clone())?;
        let model_type = dual::model_type(&fields)?;
        let tower = || fields.table_or_empty("vision_config");
        let mut head = None;
        let (config, rules) = match model_type {
            "vit" | "deit" | "dinov2" => {
                let tensors = Tensors::open(path)?;
                let kind = match model_type {
                    "vit" => Kind::Vit,
                    "deit" => Kind::Deit,
                    _ => Kind::Dinov2,
                };
                let config = kind.config(&fields, &tensors)?;
                head = kind
                    .head()
                    .and_then(|name| ClassifierHead::find(name, &tensors));
                let rules = kind.rules(&config, &tensors);
                (config, rules)
            }
            "clip" => with_rules(clip::vision(&tower()?)?, clip::vision_rules),
            "clip_vision_model" => with_rules(clip::vision(&fields)?, clip::vision_rules),
            "siglip" => with_rules(siglip::vision(&tower()?)?, siglip::vision_rules),
            "siglip_vision_model" => with_rules(siglip::vision(&fields)?, siglip::vision_rules),
            "open_clip" => with_rules(open_clip::vision(&fields)?, open_clip::vision_rules),
            other => return Err(unsupported(path, other, SUPPORTED)),
        };
        let check = config.check();
        check.map_err(|error| fields.wrong(error.field, error.to_string()))?;
        Ok(Self {
            preprocessing: Preprocessing::open(path, model_type, &fields, config.image_size)?,
            config,
            rules,
            head,
            json,
        })
    }

    /// The encoder with its weights. Those of a head, or of another tower, are reported as unused.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Shapes`] with the names of the tensors, and those of reading.
    pub fn load(&self, path: &Path, device: &Device) -> Result<(Vit, Loaded), Error> {
        read(self.config.init(device), &self.rules, path)
    }
}

impl ClassifierHead {
    fn find(name: &str, tensors: &Tensors) -> Option<Self> {
        let weight = format!("{name}.weight");
        let classes = *tensors.shape(&weight)?.first()?;
        let mut rules = Rules::default();
        rules.tensor("weight", weight, Form::Transposed);
        rules.same("bias", format!("{name}.bias"));
        Some(Self { classes, rules })
    }
}

fn with_rules(config: VitConfig, rules: fn(&VitConfig) -> Rules) -> (VitConfig, Rules) {
    let rules = rules(&config);
    (config, rules)
}

/// A ViT for the images that a configuration tells of: with patches of that size, of images of that size, where nothing
/// else is said.
pub(super) fn vit(
    fields: &Fields,
    [image, patch]: [usize; 2],
    encoder: EncoderConfig,
) -> Result<VitConfig, Error> {
    let image = fields.size_or("image_size", image)?;
    let patch = fields.size_or("patch_size", patch)?;
    let channels = fields.size_or("num_channels", 3)?;
    for (key, size, most) in [
        ("patch_size", patch, MOST_PIXELS),
        ("image_size", image, MOST_PATCHES.saturating_mul(patch)),
        ("num_channels", channels, MOST_CHANNELS),
    ] {
        if size > most {
            let reason = format!("is {size}, above the {most} that are taken");
            return Err(fields.wrong(key, reason));
        }
    }
    Ok(VitConfig::new(image, patch, encoder).with_channels(channels))
}
