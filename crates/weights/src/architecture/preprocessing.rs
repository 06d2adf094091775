use std::path::Path;

use super::fields::Fields;
use crate::Error;
use crate::files;

/// What an image goes through before an encoder sees it: resizing, cropping at the centre, and
/// `(value / 255 - mean) / std` of each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// The size it is brought to.
    pub resize: Option<Resize>,
    /// How the numbers between pixels are found.
    pub resample: Resample,
    /// Height and width of what is kept of its centre.
    pub crop: Option<[usize; 2]>,
    /// Of red, green and blue, between 0 and 1.
    pub mean: [f32; 3],
    /// Of red, green and blue.
    pub std: [f32; 3],
}

/// The size that an image is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Height and width, whatever they were.
    Exact([usize; 2]),
    /// That of its shorter side; the other keeps its ratio to it.
    ShortestEdge(usize),
}

/// The filter of a resize, numbered as Pillow has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// 0.
    Nearest,
    /// 1.
    Lanczos,
    /// 2.
    Bilinear,
    /// 3.
    Bicubic,
}

impl Preprocessing {
    /// What the checkpoint's folder tells of a model for images of that size; none where it tells nothing.
    pub(super) fn open(
        path: &Path,
        model_type: &str,
        config: &Fields,
        image_size: usize,
    ) -> Result<Option<Self>, Error> {
        if model_type == "open_clip" {
            return config
                .table("preprocess_cfg")?
                .map(|fields| of_open_clip(&fields, image_size))
                .transpose();
        }
        let json = files::settings(path, "preprocessor_config.json")?;
        let fields = json.map(|json| Fields::new(path, json)).transpose()?;
        fields
            .map(|fields| of_transformers(&fields, model_type))
            .transpose()
    }
}

fn of_transformers(fields: &Fields, model_type: &str) -> Result<Preprocessing, Error> {
    fields.only("do_rescale", true)?;
    let factor = fields.number_or("rescale_factor", 1.0 / 255.0)?;
    if (factor * 255.0 - 1.0).abs() > 1e-6 {
        let reason = format!("is {factor}, of which only 1/255 is supported");
        return Err(fields.wrong("rescale_factor", reason));
    }
    let resize = fields.flag_or("do_resize", true)?;
    let crop = fields.flag_or("do_center_crop", fields.has("crop_size"))?;
    let normalize = fields.flag_or("do_normalize", true)?;
    let channels = |key, default| match normalize {
        true => fields.channels_or(key, [default; 3]),
        false => Ok([if key == "image_mean" { 0.0 } else { 1.0 }; 3]),
    };
    // Where a single number is given, CLIP means the shorter side.
    let shortest = model_type.starts_with("clip") || model_type == "dinov2";
    Ok(Preprocessing {
        resize: resize.then(|| size(fields, "size", shortest)).transpose()?,
        crop: match crop.then(|| size(fields, "crop_size", false)) {
            None => None,
            Some(size) => match size? {
                Resize::Exact(size) => Some(size),
                Resize::ShortestEdge(_) => {
                    return Err(fields.wrong("crop_size", "needs a height and a width"));
                }
            },
        },
        resample: resample(fields, "resample")?,
        mean: channels("image_mean", 0.5)?,
        std: channels("image_std", 0.5)?,
    })
}

fn of_open_clip(fields: &Fields, image_size: usize) -> Result<Preprocessing, Error> {
    fields.only_word("resize_mode", "shortest")?;
    fields.only_word("mode", "RGB")?;
    let size = fields.size_or("size", image_size)?;
    Ok(Preprocessing {
        resize: Some(Resize::ShortestEdge(size)),
        crop: Some([size; 2]),
        resample: match fields.word_or("interpolation", "bicubic")? {
            "bicubic" => Resample::Bicubic,
            "bilinear" => Resample::Bilinear,
            other => {
                let reason = format!("is `{other}`; bicubic and bilinear are supported");
                return Err(fields.wrong("interpolation", reason));
            }
        },
        mean: fields.channels_or("mean", [0.481_454_66, 0.457_827_5, 0.408_210_73])?,
        std: fields.channels_or("std", [0.268_629_54, 0.261_302_6, 0.275_777_1])?,
    })
}

/// A size as a table, or as older files have it as a number.
fn size(fields: &Fields, key: &str, shortest: bool) -> Result<Resize, Error> {
    if let Ok(Some(table)) = fields.table(key) {
        return match table.optional_size("shortest_edge")? {
            Some(edge) => Ok(Resize::ShortestEdge(edge)),
            None => Ok(Resize::Exact([table.size("height")?, table.size("width")?])),
        };
    }
    let side = fields.size(key)?;
    Ok(match shortest {
        true => Resize::ShortestEdge(side),
        false => Resize::Exact([side; 2]),
    })
}

fn resample(fields: &Fields, key: &str) -> Result<Resample, Error> {
    // The older ones of ViT do without, and mean bilinear.
    match fields.number_or(key, 2.0)? {
        0.0 => Ok(Resample::Nearest),
        1.0 => Ok(Resample::Lanczos),
        2.0 => Ok(Resample::Bilinear),
        3.0 => Ok(Resample::Bicubic),
        other => {
            let reason = format!(
                "is {other}; 0 (nearest), 1 (Lanczos), 2 (bilinear) and 3 (bicubic) are supported"
            );
            Err(fields.wrong(key, reason))
        }
    }
}
