//! Augmentation: random crop, horizontal flip, colour jitter; a function of (seed, epoch, index) alone.

use image::imageops;
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// How training images are varied. All zero or false: not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AugmentConfig {
    /// Random crop: how many pixels the image may move in each direction (edge pixels are repeated).
    pub crop_padding: usize,
    /// Whether to mirror every other image left to right; not for data that asks about left and right.
    pub flip: bool,
    /// Colour jitter: brightness, contrast and saturation are scaled by 1 - colour to 1 + colour; below 1.
    pub colour: f32,
}

/// What makes a draw of a sample unique, and so keys its augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// How many times the training split was gone through before.
    pub epoch: u64,
    /// The sample's index in its dataset.
    pub index: usize,
}

/// What the random numbers are for: streams of different purposes never meet.
pub(crate) enum Purpose {
    Order = 1,
    Augmentation = 2,
    Choice = 3,
    Masking = 4,
    Window = 5,
    Start = 6,
    Batch = 7,
    Share = 8,
    Noise = 9,
    Words = 10,
    Shots = 11,
}

/// A generator keyed by all of its arguments: the ChaCha key is made of them, so no two streams are related.
pub(crate) fn generator(purpose: Purpose, draw: Draw) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&draw.seed.to_le_bytes());
    key[8..16].copy_from_slice(&draw.epoch.to_le_bytes());
    key[16..24].copy_from_slice(&(draw.index as u64).to_le_bytes());
    key[24] = purpose as u8;
    ChaCha8Rng::from_seed(key)
}

impl AugmentConfig {
    /// Whether the values make sense.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `colour` is not in [0, 1).
    pub fn check(&self) -> Result<(), DataError> {
        if (0.0..1.0).contains(&self.colour) {
            return Ok(());
        }
        Err(DataError::Setting {
            setting: "colour",
            value: self.colour.to_string(),
            reason: "expected at least 0 and below 1".into(),
        })
    }

    /// The image as this draw shows it. Every random number is drawn whether it is used or not, so that
    /// switching one augmentation on leaves the others as they were.
    pub fn apply(&self, image: &RgbImage, draw: Draw) -> RgbImage {
        let mut random = generator(Purpose::Augmentation, draw);
        let padding = self.crop_padding as i64;
        let right = random.random_range(-padding..=padding);
        let down = random.random_range(-padding..=padding);
        let mirror = random.random_range(0..2) == 1;
        let factors: [f32; 3] =
            std::array::from_fn(|_| 1.0 + self.colour * random.random_range(-1.0..=1.0));

        let mut image = shift(image, right, down);
        if self.flip && mirror {
            imageops::flip_horizontal_in_place(&mut image);
        }
        if self.colour > 0.0 {
            jitter(&mut image, factors);
        }
        image
    }
}

/// Pad by repeating the edge, then crop: the image moved by whole pixels.
fn shift(image: &RgbImage, right: i64, down: i64) -> RgbImage {
    let (width, height) = image.dimensions();
    let from =
        |at: u32, by: i64, length: u32| (i64::from(at) - by).clamp(0, i64::from(length) - 1) as u32;
    RgbImage::from_fn(width, height, |x, y| {
        *image.get_pixel(from(x, right, width), from(y, down, height))
    })
}

/// Brightness, contrast (about the image's mean grey), saturation (about each pixel's grey), in this order, as
/// torchvision's `ColorJitter` defines them.
fn jitter(image: &mut RgbImage, [brightness, contrast, saturation]: [f32; 3]) {
    let grey = |Rgb([r, g, b]): &Rgb<u8>| {
        0.299 * f32::from(*r) + 0.587 * f32::from(*g) + 0.114 * f32::from(*b)
    };
    let pixels = image.width() * image.height();
    let mean = brightness * image.pixels().map(grey).sum::<f32>() / pixels as f32;
    for pixel in image.pixels_mut() {
        let bright = pixel.0.map(|x| f32::from(x) * brightness);
        let contrasted = bright.map(|x| mean + (x - mean) * contrast);
        let own = 0.299 * contrasted[0] + 0.587 * contrasted[1] + 0.114 * contrasted[2];
        // A cast to u8 saturates.
        pixel.0 = contrasted.map(|x| (own + (x - own) * saturation).round() as u8);
    }
}
