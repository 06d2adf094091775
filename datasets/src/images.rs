//! Images: where they come from, decoding with limits, resizing, normalisation.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage, Rgba, RgbaImage,
};

use crate::paths::{Root, open_regular};
use crate::whole::is_whole;
use crate::{AugmentConfig, DataError, Draw, ImageConfig, Place};

/// The largest width and height that is decoded.
pub const MAX_SIDE: u32 = 8192;
/// The most memory that decoding one image may take, and the largest file that is read.
pub const MAX_BYTES: u64 = 256 << 20;
/// What decoded images of one [`ImageProcessor`] may take in memory before further ones are decoded again.
const CACHE_BYTES: usize = 512 << 20;

/// How the bytes of a raw image are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One byte a pixel.
    Grey,
    /// All red bytes, then all green, then all blue.
    PlanarRgb,
}

/// Where an image comes from. It is cheap to clone; nothing is read before [`ImageSource::decode`].
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// A file that the user named.
    File(PathBuf),
    /// A file that a dataset names; it must lie in the dataset's folder.
    Listed {
        /// The dataset's folder.
        root: Arc<Root>,
        /// Path in that folder.
        relative: String,
        /// The manifest's line that names it.
        named_by: Option<Place>,
    },
    /// A file in a tar archive.
    Member {
        /// The archive.
        file: Arc<Path>,
        /// Path in the archive.
        path: String,
        /// Where its content lies.
        body: Range<u64>,
    },
    /// A PNG or JPEG in the binary.
    Embedded {
        /// What to call it.
        name: String,
        /// The encoded file.
        bytes: &'static [u8],
    },
    /// Pixels within a larger file.
    Pixels {
        /// What to call it.
        name: String,
        /// The file's content.
        file: Arc<[u8]>,
        /// Where the image starts.
        offset: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// How its bytes are laid out.
        layout: Layout,
    },
}

impl ImageSource {
    /// What errors call it; unique within a process.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Listed { root, relative, .. } => root.shown(relative),
            Self::Member { file, path, .. } => file.join(path).display().to_string(),
            Self::Embedded { name, .. } | Self::Pixels { name, .. } => name.clone(),
        }
    }

    /// The pixels, as they are stored: a rotation that a camera noted in EXIF is not applied.
    ///
    /// # Errors
    ///
    /// [`DataError::Image`], naming the file and the manifest's line, if the file is missing, not a PNG or JPEG,
    /// damaged, without pixels, larger than [`MAX_SIDE`] on a side, or would take more than [`MAX_BYTES`].
    pub fn decode(&self) -> Result<RgbImage, DataError> {
        match self {
            Self::File(path) => read(path).and_then(|bytes| decode(&bytes)),
            Self::Listed { root, relative, .. } => root
                .resolve(relative)
                .and_then(|path| read(&path))
                .and_then(|bytes| decode(&bytes)),
            Self::Member { file, body, .. } => {
                read_part(file, body).and_then(|bytes| decode(&bytes))
            }
            Self::Embedded { bytes, .. } => decode(bytes),
            Self::Pixels {
                file,
                offset,
                width,
                height,
                layout,
                ..
            } => unpack(file, *offset, *width, *height, *layout),
        }
        .map_err(|reason| self.error(reason))
    }

    /// The length of the encoded file, and so whether it may be opened at all; nothing is decoded.
    ///
    /// # Errors
    ///
    /// [`DataError::Image`] as for [`ImageSource::decode`].
    pub(crate) fn length(&self) -> Result<u64, DataError> {
        match self {
            Self::File(path) => open_image(path).map(|(_, length)| length),
            Self::Listed { root, relative, .. } => root
                .resolve(relative)
                .and_then(|path| open_image(&path))
                .map(|(_, length)| length),
            Self::Member { body, .. } => within_limits(body.end.saturating_sub(body.start)),
            Self::Embedded { bytes, .. } => Ok(bytes.len() as u64),
            Self::Pixels { file, .. } => Ok(file.len() as u64),
        }
        .map_err(|reason| self.error(reason))
    }

    fn error(&self, reason: String) -> DataError {
        DataError::Image {
            image: self.name(),
            named_by: match self {
                Self::Listed { named_by, .. } => named_by.clone(),
                _ => None,
            },
            reason,
            remedy: "check the path; the file must be a sound PNG or JPEG",
        }
    }
}

/// Opens an image's file and tells its length, which is within the limits.
fn open_image(path: &Path) -> Result<(File, u64), String> {
    let file = open_regular(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    Ok((file, within_limits(length)?))
}

fn within_limits(length: u64) -> Result<u64, String> {
    match length {
        0 => Err("the file is empty".into()),
        1..=MAX_BYTES => Ok(length),
        _ => Err(format!(
            "the file has {length} bytes; the limit is {MAX_BYTES}"
        )),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let (file, length) = open_image(path)?;
    let mut bytes = Vec::with_capacity(length as usize);
    // A file that grows meanwhile is not followed.
    let read = file.take(length).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Reads what lies there in a larger file.
fn read_part(path: &Path, part: &Range<u64>) -> Result<Vec<u8>, String> {
    let length = within_limits(part.end.saturating_sub(part.start))?;
    let read = || {
        let mut file = open_regular(path)?;
        file.seek(SeekFrom::Start(part.start))?;
        let mut bytes = vec![0; length as usize];
        file.read_exact(&mut bytes).map(|()| bytes)
    };
    read().map_err(|error: io::Error| error.to_string())
}

fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let format = reader.format().ok_or("not a PNG or JPEG image")?;
    if !is_whole(format, bytes) {
        return Err("the file is truncated: it ends before its end marker".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;

    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(format!("the image has no pixels: {width} x {height}"));
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!(
            "the image has {width} x {height} pixels; the limit is {MAX_SIDE} a side"
        ));
    }
    // Beside its output a progressive JPEG keeps 16-bit coefficients; other depths and colours are converted.
    let output = decoder.total_bytes();
    let extra = match format {
        ImageFormat::Jpeg => 2 * output,
        _ if decoder.color_type() == image::ColorType::Rgb8 => 0,
        _ => u64::from(width) * u64::from(height) * 3,
    };
    if output + extra > MAX_BYTES {
        return Err(format!(
            "decoding {width} x {height} pixels would take {} bytes; the limit is {MAX_BYTES}",
            output + extra
        ));
    }
    DynamicImage::from_decoder(decoder)
        .map(|image| match image.color().has_alpha() {
            true => on_white(&image.into_rgba8()),
            false => image.into_rgb8(),
        })
        .map_err(|error| error.to_string())
}

/// What is transparent shows a white page: colours below it are arbitrary.
fn on_white(image: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgba([red, green, blue, alpha]) = *image.get_pixel(x, y);
        let alpha = u32::from(alpha);
        Rgb([red, green, blue].map(|colour| {
            let mixed = u32::from(colour) * alpha + 255 * (255 - alpha);
            ((mixed + 127) / 255) as u8
        }))
    })
}

fn unpack(
    file: &[u8],
    offset: usize,
    width: u32,
    height: u32,
    layout: Layout,
) -> Result<RgbImage, String> {
    let area = width as usize * height as usize;
    let length = match layout {
        Layout::Grey => area,
        Layout::PlanarRgb => 3 * area,
    };
    let bytes = file
        .get(offset..offset + length)
        .ok_or("the file ends within the image")?;
    let pixels = match layout {
        Layout::Grey => bytes.iter().flat_map(|&grey| [grey; 3]).collect(),
        Layout::PlanarRgb => (0..area)
            .flat_map(|i| [bytes[i], bytes[area + i], bytes[2 * area + i]])
            .collect(),
    };
    RgbImage::from_raw(width, height, pixels).ok_or_else(|| "the image has no pixels".into())
}

/// Decodes, resizes and normalises images, and remembers the resized ones as long as they are few.
pub struct ImageProcessor {
    config: ImageConfig,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    images: HashMap<String, Arc<RgbImage>>,
    bytes: usize,
}

impl ImageProcessor {
    /// A processor for `config`.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the size is 0 or above [`MAX_SIDE`], if more would be cut out than there is, or if a standard deviation is not positive.
    pub fn new(config: &ImageConfig) -> Result<Self, DataError> {
        if config.size == 0 || config.size > MAX_SIDE as usize {
            return Err(DataError::Setting {
                setting: "size",
                value: config.size.to_string(),
                reason: format!("an image has 1 to {MAX_SIDE} pixels a side"),
            });
        }
        if config.edge() < config.size || config.edge() > MAX_SIDE as usize {
            return Err(DataError::Setting {
                setting: "edge",
                value: config.edge.to_string(),
                reason: format!(
                    "an image is resized to {} to {MAX_SIDE} pixels, or by 0 to as many as are cut out",
                    config.size
                ),
            });
        }
        if !config.std.iter().all(|&std| std > 0.0 && std.is_finite()) {
            return Err(DataError::Setting {
                setting: "std",
                value: format!("{:?}", config.std),
                reason: "each of the three must be positive".into(),
            });
        }
        Ok(Self {
            config: config.clone(),
            cache: Mutex::default(),
        })
    }

    /// Height and width of every processed image.
    pub fn size(&self) -> usize {
        self.config.size
    }

    /// The image, resized to `size` x `size` with anti-aliasing. Unless the configuration crops, the whole image is kept,
    /// whatever its aspect ratio: a question may be about its border.
    ///
    /// # Errors
    ///
    /// As [`ImageSource::decode`].
    pub fn resized(&self, source: &ImageSource) -> Result<Arc<RgbImage>, DataError> {
        let name = source.name();
        if let Some(image) = self.lock().images.get(&name) {
            return Ok(image.clone());
        }
        // Decoding happens outside the lock: several workers may decode at once.
        let image = Arc::new(self.config.square(source.decode()?));
        let mut cache = self.lock();
        let bytes = image.as_raw().len() + name.len();
        if cache.bytes + bytes <= CACHE_BYTES && !cache.images.contains_key(&name) {
            cache.bytes += bytes;
            cache.images.insert(name, image.clone());
        }
        Ok(image)
    }

    /// Appends the image to `out` as [3, height, width], normalised: (x / 255 - mean) / std.
    pub fn normalise(&self, image: &RgbImage, out: &mut Vec<f32>) {
        for channel in 0..3 {
            let scale = 1.0 / (255.0 * self.config.std[channel]);
            let shift = self.config.mean[channel] / self.config.std[channel];
            out.extend(
                image
                    .as_raw()
                    .iter()
                    .skip(channel)
                    .step_by(3)
                    .map(|&value| f32::from(value) * scale - shift),
            );
        }
    }

    /// What [`normalise`](Self::normalise) made of an image, as the bytes of a PNG file; values outside of what an image
    /// can hold are cut off.
    ///
    /// # Panics
    ///
    /// When `pixels` is not one image, `[3, size, size]`.
    pub fn png(&self, pixels: &[f32]) -> Vec<u8> {
        let (side, area) = (self.config.size, self.config.size.pow(2));
        assert_eq!(pixels.len(), 3 * area, "one image of {side} pixels a side");
        let value = |channel: usize, at: usize| {
            let value = pixels[channel * area + at] * self.config.std[channel];
            (255.0 * (value + self.config.mean[channel]))
                .round()
                .clamp(0.0, 255.0) as u8
        };
        let image = RgbImage::from_fn(side as u32, side as u32, |x, y| {
            let at = y as usize * side + x as usize;
            image::Rgb([0, 1, 2].map(|channel| value(channel, at)))
        });
        let mut bytes = Cursor::new(Vec::new());
        // Memory takes every image that it holds already.
        match image.write_to(&mut bytes, image::ImageFormat::Png) {
            Ok(()) => bytes.into_inner(),
            Err(_) => Vec::new(),
        }
    }

    /// Appends an image to `out`, resized and normalised; in training, as its draw shows it.
    ///
    /// # Errors
    ///
    /// As [`ImageSource::decode`].
    pub fn append(
        &self,
        source: &ImageSource,
        augment: &AugmentConfig,
        draw: Option<Draw>,
        out: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        let image = self.resized(source)?;
        match draw {
            Some(draw) => self.normalise(&augment.apply(&image, draw), out),
            None => self.normalise(&image, out),
        }
        Ok(())
    }

    /// Moves images that were appended one after the other to the device: [images, 3, height, width].
    pub fn upload(&self, pixels: Vec<f32>, device: &Device) -> Tensor<4> {
        let size = self.config.size;
        let images = pixels.len() / (3 * size * size);
        Tensor::from_data(TensorData::new(pixels, [images, 3, size, size]), device)
    }

    /// A panic while the lock was held cannot leave the map half changed: it is used further.
    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
