//! Conversations on their way to a model.

use std::collections::HashMap;
use std::sync::Arc;

use burn::prelude::*;
use crucible_datasets::instruction::{Family, Renderer};
use crucible_datasets::{
    AugmentConfig, Collate, DataError, Drawn, ImageProcessor, ImageSource, indices,
};
use crucible_transformer::Places;
use sha2::{Digest, Sha256};

use super::rows::{Member, Rows, Told};

/// Conversations, and what is to be said in them.
#[derive(Clone, Debug)]
pub struct InstructionBatch {
    /// Token ids, `[rows, length]`; 0 where a picture stands and after the end.
    pub ids: Tensor<2, Int>,
    /// The pictures, `[images, 3, height, width]`; none in a batch of text alone.
    pub images: Option<Tensor<4>>,
    /// Where the vector of each place comes from, `[rows * length]`: its own word, or a picture's token.
    pub sources: Tensor<1, Int>,
    /// Where the tokens stand, and what each sees.
    pub places: Places,
    /// The places from which a token is told that the assistant has to say, `[tokens]`.
    pub telling: Tensor<1, Int>,
    /// These tokens, `[tokens]`.
    pub targets: Tensor<1, Int>,
    /// Those of them that are said of one picture, by their numbers, and the picture of each: `[named]` both.
    pub named: [Tensor<1, Int>; 2],
    /// The conversations' ids.
    pub names: Vec<String>,
}

/// An [`InstructionBatch`] in host memory.
#[derive(Debug)]
pub struct InstructionHost {
    rows: Rows,
    told: Told,
    pixels: Vec<f32>,
    images: usize,
    names: Vec<String>,
}

/// Pictures of a batch, each once.
#[derive(Default)]
pub(super) struct Gallery {
    numbers: HashMap<String, usize>,
    pub pixels: Vec<f32>,
}

impl Gallery {
    /// The number of a picture that is prepared by `add`, which is not asked again for one that is there.
    pub fn number(
        &mut self,
        source: &ImageSource,
        add: impl FnOnce(&mut Vec<f32>) -> Result<(), DataError>,
    ) -> Result<usize, DataError> {
        let key = source.name();
        if let Some(&number) = self.numbers.get(&key) {
            return Ok(number);
        }
        add(&mut self.pixels)?;
        let number = self.numbers.len();
        self.numbers.insert(key, number);
        Ok(number)
    }

    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// What tells apart who is shown these pictures, by their numbers: a digest of their pixels, in that order; 0 where
    /// nothing is seen.
    pub fn key(&self, shown: &[usize]) -> u64 {
        let each = self.pixels.len() / self.len().max(1);
        let seen = shown
            .iter()
            .map(|&number| &self.pixels[number * each..][..each]);
        let mut digest = Sha256::new();
        for pixel in seen.flatten() {
            digest.update(pixel.to_le_bytes());
        }
        match shown.is_empty() || each == 0 {
            true => 0,
            false => {
                let mut head = [0; 8];
                head.copy_from_slice(&digest.finalize()[..8]);
                u64::from_le_bytes(head)
            }
        }
    }
}

/// Makes [`InstructionBatch`]es of families of conversations, whose pictures are seen once.
pub struct InstructionCollate {
    renderer: Arc<Renderer>,
    images: Option<Arc<ImageProcessor>>,
    augment: AugmentConfig,
    packing: bool,
}

impl InstructionCollate {
    /// For conversations about pictures if there is what prepares them. When packing, several share a row.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `augment` does not make sense.
    pub fn new(
        renderer: Arc<Renderer>,
        images: Option<Arc<ImageProcessor>>,
        augment: AugmentConfig,
        packing: bool,
    ) -> Result<Self, DataError> {
        augment.check()?;
        Ok(Self {
            renderer,
            images,
            augment,
            packing,
        })
    }
}

impl Collate for InstructionCollate {
    type Sample = Family;
    type Host = InstructionHost;
    type Batch = InstructionBatch;

    fn collate(&self, drawn: Vec<Drawn<Family>>) -> Result<InstructionHost, DataError> {
        let mut gallery = Gallery::default();
        let (mut members, mut families, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for drawn in drawn {
            families.push(drawn.sample.len());
            for conversation in drawn.sample {
                let rendered = self.renderer.render(&conversation);
                let rendered = rendered.map_err(|source| DataError::Chat {
                    id: conversation.id.clone(),
                    source,
                })?;
                let mut shown = Vec::with_capacity(conversation.images.len());
                if let Some(images) = &self.images {
                    for source in &conversation.images {
                        let add = |pixels: &mut Vec<f32>| {
                            images.append(source, &self.augment, drawn.draw, pixels)
                        };
                        shown.push(gallery.number(source, add)?);
                    }
                }
                members.push(Member { rendered, shown });
                names.push(conversation.id);
            }
        }
        let (rows, told) = match self.packing {
            true => {
                let packed = Rows::packed(&members, &families, self.renderer.max_length());
                packed.map_err(|source| DataError::Chat {
                    id: "packing".into(),
                    source,
                })?
            }
            false => Rows::apart(&members),
        };
        Ok(InstructionHost {
            rows,
            told,
            images: gallery.len(),
            pixels: gallery.pixels,
            names,
        })
    }

    fn upload(&self, host: InstructionHost, device: &Device) -> InstructionBatch {
        let (ids, sources) = host.rows.upload(device);
        let images = self.images.as_ref().filter(|_| host.images > 0);
        InstructionBatch {
            ids,
            images: images.map(|images| images.upload(host.pixels, device)),
            sources,
            places: host.rows.places(device),
            telling: indices(host.told.places, device),
            targets: indices(host.told.tokens, device),
            named: host.told.named.map(|numbers| indices(numbers, device)),
            names: host.names,
        }
    }
}
