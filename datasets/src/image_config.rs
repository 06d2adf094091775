//! How images are brought to one size and become numbers.

use image::RgbImage;
use image::imageops::{self, FilterType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an image of any sides becomes a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Both sides are brought to it: all of the image is seen, and its ratio lost.
    #[default]
    Squash,
    /// The shorter side is brought to it, and what is beyond at both ends of the longer one is cut off.
    Crop,
}

/// How the numbers between pixels are found; both average over what a smaller image leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// On straight lines.
    #[default]
    Bilinear,
    /// On cubic curves (Keys 1981, a = -1/2).
    Bicubic,
}

/// How images become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Height and width in pixels that every image is resized to.
    pub size: usize,
    /// How its sides become equal: squash, or crop at the centre.
    #[serde(default)]
    pub fit: Fit,
    /// Pixels a side that it is resized to before its centre of `size` is cut out; 0 for `size` itself.
    #[serde(default)]
    pub edge: usize,
    /// How the numbers between pixels are found: bilinear or bicubic.
    #[serde(default)]
    pub filter: Filter,
    /// Mean of red, green and blue that is subtracted, on a scale of 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue that is divided by, on a scale of 0 to 1.
    pub std: [f32; 3],
}

impl ImageConfig {
    /// Images of `size` x `size` pixels, scaled to [-1, 1].
    pub fn symmetric(size: usize) -> Self {
        Self {
            size,
            fit: Fit::Squash,
            edge: 0,
            filter: Filter::Bilinear,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }

    /// Images of `size` x `size` pixels, normalised by the statistics of ImageNet, as most published vision
    /// models expect.
    pub fn imagenet(size: usize) -> Self {
        Self {
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            ..Self::symmetric(size)
        }
    }

    /// Pixels a side before the centre is cut out.
    pub fn edge(&self) -> usize {
        match self.edge {
            0 => self.size,
            edge => edge,
        }
    }

    /// The square that becomes of an image.
    pub(crate) fn square(&self, mut image: RgbImage) -> RgbImage {
        let (size, edge) = (self.size as u32, self.edge() as u32);
        let (width, height) = match self.fit {
            Fit::Squash => (edge, edge),
            Fit::Crop => {
                image = bounded(image);
                let (width, height) = image.dimensions();
                let longer = |side: u32, short: u32| {
                    (u64::from(edge) * u64::from(side) / u64::from(short)) as u32
                };
                match width < height {
                    true => (edge, longer(height, width)),
                    false => (longer(width, height), edge),
                }
            }
        };
        if image.dimensions() != (width, height) {
            let filter = match self.filter {
                Filter::Bilinear => FilterType::Triangle,
                Filter::Bicubic => FilterType::CatmullRom,
            };
            image = imageops::resize(&image, width, height, filter);
        }
        match (width, height) == (size, size) {
            true => image,
            false => centre(&image, size, size),
        }
    }
}

/// How many times longer than wide an image is resized to be cropped.
const LONGEST: u32 = 8;

/// The centre of an image that is very long: a crop shows less than that, and the rest would take memory.
fn bounded(image: RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let most = width.min(height).saturating_mul(LONGEST);
    match width.max(height) > most {
        true => centre(&image, width.min(most), height.min(most)),
        false => image,
    }
}

fn centre(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (left, top) = ((image.width() - width) / 2, (image.height() - height) / 2);
    imageops::crop_imm(image, left, top, width, height).to_image()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(fit: Fit, edge: usize, filter: Filter) -> ImageConfig {
        ImageConfig {
            fit,
            edge,
            filter,
            ..ImageConfig::symmetric(4)
        }
    }

    /// Nine pixels wide and six high.
    fn picture() -> RgbImage {
        RgbImage::from_fn(9, 6, |x, y| {
            image::Rgb([0, 1, 2].map(|c| ((x * x * 7 + y * 31 + c * 50 + x * y * 5) % 256) as u8))
        })
    }

    /// The red of what `CLIPImageProcessor` of transformers 4.57.6 makes of `picture` (Pillow rounds between the two
    /// directions, hence the tolerance):
    /// ```python
    /// CLIPImageProcessor(size={"shortest_edge": edge}, crop_size={"height": 4, "width": 4}, resample=filter,
    ///                    do_normalize=False, do_rescale=False)(picture)
    /// ```
    #[test]
    fn a_crop_is_that_of_clip() {
        let expected = [
            (
                4,
                Filter::Bilinear,
                [
                    40, 93, 173, 158, 96, 150, 128, 128, 154, 151, 93, 142, 192, 119, 143, 131,
                ],
            ),
            (
                4,
                Filter::Bicubic,
                [
                    32, 90, 183, 160, 89, 160, 127, 125, 162, 158, 77, 150, 203, 109, 148, 132,
                ],
            ),
            (
                5,
                Filter::Bilinear,
                [
                    25, 59, 125, 196, 69, 110, 169, 130, 112, 161, 114, 92, 156, 211, 84, 157,
                ],
            ),
            (
                5,
                Filter::Bicubic,
                [
                    19, 56, 121, 210, 64, 110, 188, 129, 110, 167, 109, 77, 156, 226, 62, 168,
                ],
            ),
        ];
        for (edge, filter, expected) in expected {
            let image = config(Fit::Crop, edge, filter).square(picture());
            for (found, expected) in image.pixels().map(|pixel| pixel.0[0]).zip(expected) {
                assert!(
                    found.abs_diff(expected) <= 1,
                    "{edge} {filter:?}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_crop_shows_the_centre_and_a_squash_all() {
        let striped = RgbImage::from_fn(12, 4, |x, _| image::Rgb([(x / 4 * 100) as u8; 3]));
        let cropped = config(Fit::Crop, 0, Filter::Bilinear).square(striped.clone());
        assert!(cropped.pixels().all(|pixel| pixel.0 == [100; 3]));
        let turned = config(Fit::Crop, 0, Filter::Bilinear).square(imageops::rotate90(&striped));
        assert!(turned.pixels().all(|pixel| pixel.0 == [100; 3]));
        let squashed = config(Fit::Squash, 0, Filter::Bilinear).square(striped);
        assert!(squashed.get_pixel(0, 0).0[0] < 20 && squashed.get_pixel(3, 0).0[0] > 180);
    }

    /// Eight thousand times as wide as high: whole, it would become a thousand times larger.
    #[test]
    fn a_long_image_is_cut_before_it_is_resized() {
        assert_eq!(bounded(RgbImage::new(8000, 1)).dimensions(), (8, 1));
        let config = ImageConfig {
            fit: Fit::Crop,
            ..ImageConfig::symmetric(224)
        };
        let image = config.square(RgbImage::new(1, 8000));
        assert_eq!(image.dimensions(), (224, 224));
    }
}
