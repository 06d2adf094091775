//! Images with a caption.

use std::sync::Arc;

use burn::prelude::*;
use rand::RngExt;

use super::{Collate, Drawn, Tokens, TokensHost};
use crate::{AugmentConfig, CaptionSample, DataError, ImageProcessor, Tokenizer};

/// Images, each with one caption.
#[derive(Clone, Debug)]
pub struct CaptionBatch {
    /// Normalised images, [pairs, 3, height, width].
    pub images: Tensor<4>,
    /// Their captions.
    pub texts: Tokens,
    /// The images' ids.
    pub ids: Vec<String>,
}

/// A [`CaptionBatch`] in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionHost {
    images: Vec<f32>,
    texts: TokensHost,
    ids: Vec<String>,
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

    /// Images as a model reads them, [images, 3, height, width].
    ///
    /// # Errors
    ///
    /// [`DataError::Image`] if one cannot be decoded.
    pub fn images(
        &self,
        sources: &[crate::ImageSource],
        device: &Device,
    ) -> Result<Tensor<4>, DataError> {
        let mut pixels = Vec::new();
        for source in sources {
            self.images
                .append(source, &self.augment, None, &mut pixels)?;
        }
        Ok(self.images.upload(pixels, device))
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

impl Collate for CaptionCollate {
    type Sample = CaptionSample;
    type Host = CaptionHost;
    type Batch = CaptionBatch;

    fn collate(&self, drawn: Vec<Drawn<CaptionSample>>) -> Result<CaptionHost, DataError> {
        let size = self.images.size();
        let mut images = Vec::with_capacity(drawn.len() * 3 * size * size);
        let (mut texts, mut ids) = (Vec::new(), Vec::new());
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
            ids,
        })
    }

    fn upload(&self, host: CaptionHost, device: &Device) -> CaptionBatch {
        CaptionBatch {
            images: self.images.upload(host.images, device),
            texts: host.texts.upload(device),
            ids: host.ids,
        }
    }
}
