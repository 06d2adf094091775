//! Images with a caption.

use std::sync::Arc;

use burn::prelude::*;
use rand::RngExt;

use super::{Collate, Drawn, Tokens, TokensHost};
use crate::{AugmentConfig, CaptionSample, DataError, ImageProcessor, ImageSource, Tokenizer};

/// Images, each with one caption.
#[derive(Clone, Debug)]
pub struct CaptionBatch {
    /// Normalised images, [pairs, 3, height, width].
    pub images: Tensor<4>,
    /// Their captions.
    pub texts: Tokens,
    /// [pairs, pairs], image by text: true where the text is a caption of the image. None when only on the diagonal.
    pub fits: Option<Tensor<2, Bool>>,
    /// The images' ids.
    pub ids: Vec<String>,
}

/// A [`CaptionBatch`] in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionHost {
    images: Vec<f32>,
    texts: TokensHost,
    fits: Option<Vec<bool>>,
    ids: Vec<String>,
}

impl CaptionHost {
    /// Whether each image has a text that is none of its captions, and each text an image that it does not fit.
    pub fn has_negatives(&self) -> bool {
        let pairs = self.ids.len();
        match &self.fits {
            None => pairs > 1,
            Some(fits) => {
                let row = |image: usize| (0..pairs).any(|text| !fits[image * pairs + text]);
                let column = |text: usize| (0..pairs).any(|image| !fits[image * pairs + text]);
                (0..pairs).all(|at| row(at) && column(at))
            }
        }
    }
}

/// Makes [`CaptionBatch`]es. Of several captions of an image, training draws one and evaluation takes the first.
pub struct CaptionCollate {
    images: Arc<ImageProcessor>,
    augment: AugmentConfig,
    tokenizer: Arc<Tokenizer>,
}

impl CaptionCollate {
    /// A collate for images with captions.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `augment` does not make sense.
    pub fn new(
        images: Arc<ImageProcessor>,
        augment: AugmentConfig,
        tokenizer: Arc<Tokenizer>,
    ) -> Result<Self, DataError> {
        augment.check()?;
        Ok(Self {
            images,
            augment,
            tokenizer,
        })
    }

    /// Makes the token ids.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Images as a model reads them, [images, 3, height, width].
    ///
    /// # Errors
    ///
    /// [`DataError::Image`] if one cannot be decoded.
    pub fn images(&self, sources: &[ImageSource], device: &Device) -> Result<Tensor<4>, DataError> {
        let mut pixels = Vec::new();
        for source in sources {
            self.images
                .append(source, &self.augment, None, &mut pixels)?;
        }
        Ok(self.images.upload(pixels, device))
    }

    /// An image as a model reads it, as the bytes of a PNG file.
    ///
    /// # Errors
    ///
    /// [`DataError::Image`] if it cannot be decoded.
    pub fn png(&self, source: &ImageSource) -> Result<Vec<u8>, DataError> {
        let mut pixels = Vec::new();
        let plain = AugmentConfig::default();
        self.images.append(source, &plain, None, &mut pixels)?;
        Ok(self.images.png(&pixels))
    }

    /// Texts as a model reads them.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if one cannot be tokenised.
    pub fn texts(
        &self,
        texts: impl IntoIterator<Item = impl AsRef<str>>,
        device: &Device,
    ) -> Result<Tokens, DataError> {
        let texts = texts.into_iter();
        let texts = texts.map(|text| self.tokenizer.encode(text.as_ref()));
        let texts: Vec<Vec<u32>> = texts.collect::<Result<_, _>>()?;
        Ok(TokensHost::pad(&texts, self.tokenizer.padding()).upload(device))
    }
}

impl Drawn<CaptionSample> {
    /// The caption that this draw is about.
    pub fn caption(&self) -> &str {
        let captions = &self.sample.captions;
        match self.draw {
            Some(_) if captions.len() > 1 => {
                let number = self.choosing().random_range(0..captions.len());
                &captions[number]
            }
            _ => captions.first().map_or("", String::as_str),
        }
    }
}

/// Which image has which of the texts that are drawn among its captions; none where each has its own alone.
fn fits(drawn: &[Drawn<CaptionSample>]) -> Option<Vec<bool>> {
    let texts: Vec<&str> = drawn.iter().map(Drawn::caption).collect();
    let images = drawn.iter().map(|drawn| &drawn.sample.captions);
    let of_image = |captions: &Vec<String>| -> Vec<bool> {
        let has = |text: &&str| captions.iter().any(|caption| caption == text);
        texts.iter().map(has).collect()
    };
    let fits: Vec<bool> = images.flat_map(of_image).collect();
    let count = fits.iter().filter(|&&fits| fits).count();
    (count > texts.len()).then_some(fits)
}

impl Collate for CaptionCollate {
    type Sample = CaptionSample;
    type Host = CaptionHost;
    type Batch = CaptionBatch;

    fn collate(&self, drawn: Vec<Drawn<CaptionSample>>) -> Result<CaptionHost, DataError> {
        let size = self.images.size();
        let mut images = Vec::with_capacity(drawn.len() * 3 * size * size);
        let (mut texts, mut ids) = (Vec::new(), Vec::new());
        let fits = fits(&drawn);
        for drawn in drawn {
            let image = &drawn.sample.image;
            self.images
                .append(image, &self.augment, drawn.draw, &mut images)?;
            texts.push(self.tokenizer.encode(drawn.caption())?);
            ids.push(drawn.sample.id);
        }
        Ok(CaptionHost {
            images,
            texts: TokensHost::pad(&texts, self.tokenizer.padding()),
            fits,
            ids,
        })
    }

    fn upload(&self, host: CaptionHost, device: &Device) -> CaptionBatch {
        let pairs = host.ids.len();
        let fits = host.fits.map(|fits| TensorData::new(fits, [pairs, pairs]));
        CaptionBatch {
            images: self.images.upload(host.images, device),
            texts: host.texts.upload(device),
            fits: fits.map(|fits| Tensor::from_data(fits, device)),
            ids: host.ids,
        }
    }
}
