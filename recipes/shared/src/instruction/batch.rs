//! Conversations on their way to a model.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use burn::prelude::*;
use crucible_datasets::instruction::{Conversation, Renderer, Row, pack};
use crucible_datasets::{
    AugmentConfig, Collate, DataError, Drawn, ImageProcessor, ImageSource, indices,
};
use crucible_transformer::{AttentionMask, Places};

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
    /// The conversations' ids.
    pub names: Vec<String>,
}

/// An [`InstructionBatch`] in host memory.
#[derive(Debug)]
pub struct InstructionHost {
    rows: Rows,
    pixels: Vec<f32>,
    images: usize,
    telling: Vec<i32>,
    targets: Vec<i32>,
    /// Where rows hold several conversations each.
    segments: Option<Vec<Vec<u32>>>,
    names: Vec<String>,
}

/// Sequences of one length.
#[derive(Debug)]
pub(super) struct Rows {
    length: usize,
    ids: Vec<i32>,
    sources: Vec<i32>,
    positions: Vec<Vec<u32>>,
}

impl Rows {
    /// With room for `rows` sequences of `length`.
    pub fn new(rows: usize, length: usize) -> Self {
        let places = rows * length;
        Self {
            length,
            ids: vec![0; places],
            sources: (0..places as i32).collect(),
            positions: vec![vec![0; length]; rows],
        }
    }

    /// Puts tokens into a row from a column on, their pictures at those places of them; `images` are the numbers of the
    /// pictures among all of the batch.
    pub fn put(
        &mut self,
        [row, column]: [usize; 2],
        ids: &[u32],
        pictures: &[Range<usize>],
        images: &[usize],
    ) {
        let start = row * self.length + column;
        let places = self.ids.len();
        for (place, &id) in ids.iter().enumerate() {
            self.ids[start + place] = id as i32;
        }
        for (range, &image) in pictures.iter().zip(images) {
            for (token, place) in range.clone().enumerate() {
                // The image token itself may be beyond the model's vocabulary.
                self.ids[start + place] = 0;
                self.sources[start + place] = (places + image * range.len() + token) as i32;
            }
        }
    }

    /// Ids and sources on a device.
    pub fn upload(&self, device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
        let shape = [self.positions.len(), self.length];
        let ids = Tensor::from_data(TensorData::new(self.ids.clone(), shape), device);
        (ids, indices(self.sources.clone(), device))
    }
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
        let key = format!("{source:?}");
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
}

/// Makes [`InstructionBatch`]es.
pub struct InstructionCollate {
    renderer: Arc<Renderer>,
    images: Option<Arc<ImageProcessor>>,
    augment: AugmentConfig,
    packing: bool,
}

impl InstructionCollate {
    /// For conversations about pictures if there is what prepares them. When packing, short conversations share a row.
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
    type Sample = Conversation;
    type Host = InstructionHost;
    type Batch = InstructionBatch;

    fn collate(&self, drawn: Vec<Drawn<Conversation>>) -> Result<InstructionHost, DataError> {
        let mut gallery = Gallery::default();
        let (mut rendered, mut shown, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for drawn in drawn {
            let conversation = &drawn.sample;
            let tokens = self.renderer.render(conversation);
            rendered.push(tokens.map_err(|error| DataError::Chat {
                id: conversation.id.clone(),
                source: error,
            })?);
            let mut numbers = Vec::with_capacity(conversation.images.len());
            if let Some(images) = &self.images {
                for source in &conversation.images {
                    let add = |pixels: &mut Vec<f32>| {
                        images.append(source, &self.augment, drawn.draw, pixels)
                    };
                    numbers.push(gallery.number(source, add)?);
                }
            }
            shown.push(numbers);
            names.push(drawn.sample.id);
        }
        let lengths: Vec<usize> = rendered.iter().map(|rendered| rendered.ids.len()).collect();
        let together = match self.packing {
            true => {
                pack(&lengths, self.renderer.max_length()).map_err(|source| DataError::Chat {
                    id: "packing".into(),
                    source,
                })?
            }
            false => (0..lengths.len()).map(|number| vec![number]).collect(),
        };
        let joined = |row: &Vec<usize>| Row::join(row.iter().map(|&number| &rendered[number]));
        let joined: Vec<Row> = together.iter().map(joined).collect();
        let length = joined.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let mut rows = Rows::new(joined.len(), length);
        let (mut telling, mut targets) = (Vec::new(), Vec::new());
        let mut segments = Vec::with_capacity(joined.len());
        for (number, (mut row, members)) in joined.into_iter().zip(&together).enumerate() {
            let shown: Vec<usize> = members
                .iter()
                .flat_map(|&member| shown[member].clone())
                .collect();
            rows.put([number, 0], &row.ids, &row.images, &shown);
            for (place, (&id, &said)) in row.ids.iter().zip(&row.labels).enumerate() {
                // The first token of a conversation is told by nothing.
                if said && row.positions[place] > 0 {
                    telling.push((number * length + place - 1) as i32);
                    targets.push(id as i32);
                }
            }
            row.positions.resize(length, 0);
            row.segments.resize(length, 0);
            rows.positions[number] = row.positions;
            segments.push(row.segments);
        }
        Ok(InstructionHost {
            rows,
            images: gallery.len(),
            pixels: gallery.pixels,
            telling,
            targets,
            segments: self.packing.then_some(segments),
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
            places: Places {
                positions: host.rows.positions,
                mask: match host.segments {
                    // What stands after the end is told by nobody and seen by nobody before it.
                    None => AttentionMask::causal(),
                    Some(segments) => apart(&segments, device),
                },
            },
            telling: indices(host.telling, device),
            targets: indices(host.targets, device),
            names: host.names,
        }
    }
}

/// Each token sees those before it in its own segment.
fn apart(segments: &[Vec<u32>], device: &Device) -> AttentionMask {
    let length = segments.first().map_or(0, Vec::len);
    let hidden = segments.iter().flat_map(|row| {
        let queries = row.iter().enumerate();
        queries.flat_map(move |(query, segment)| {
            let keys = row.iter().enumerate();
            keys.map(move |(key, other)| key > query || other != segment)
        })
    });
    let hidden: Vec<bool> = hidden.collect();
    let shape = [segments.len(), length, length];
    AttentionMask::pairs(Tensor::from_data(TensorData::new(hidden, shape), device))
}
