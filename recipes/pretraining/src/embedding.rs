//! Images and texts as vectors of one space.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_datasets::{CaptionCollate, DataError, ImageSource, LoaderConfig, Tokens};
use crucible_evaluation::retrieval::Vectors;
use crucible_fusion::DualEncoder;
use crucible_kernels::among_threads;
use crucible_training::{Error, tell};

/// How many images or texts are embedded at a time.
const AT_A_TIME: usize = 64;

/// A model that has a vector for an image and one for a text, which point the same way where the two belong together.
pub trait Embed: Module {
    /// # Shapes
    /// - `images`: `[images, 3, height, width]`; output: `[images, d_embedding]`, of any length
    fn embed_images(&self, images: Tensor<4>) -> Tensor<2>;

    /// # Shapes
    /// - output: `[texts, d_embedding]`, of any length
    fn embed_texts(&self, texts: Tokens) -> Tensor<2>;

    /// What similarities are multiplied by, `[1]`.
    fn scale(&self) -> Tensor<1>;
}

impl Embed for DualEncoder {
    fn embed_images(&self, images: Tensor<4>) -> Tensor<2> {
        DualEncoder::embed_images(self, images)
    }

    fn embed_texts(&self, texts: Tokens) -> Tensor<2> {
        DualEncoder::embed_texts(self, texts.ids, texts.padding)
    }

    fn scale(&self) -> Tensor<1> {
        DualEncoder::scale(self)
    }
}

/// Whether there is anything to compare a pair with.
pub fn check_batch(loader: &LoaderConfig) -> Result<(), Error> {
    match loader.batch_size {
        0 | 1 => Err(Error::Usage(format!(
            "loader.batch_size is {}; each pair is compared with the others of its batch, so that there must be two at least",
            loader.batch_size
        ))),
        _ => Ok(()),
    }
}

/// A trained encoder and what prepares its inputs.
pub struct Embedder<'a, E> {
    pub encoder: &'a E,
    pub collate: &'a CaptionCollate,
    pub device: &'a Device,
}

impl<E: Embed> Embedder<'_, E> {
    /// Says so when the model has never seen a word of `text`, nor its pieces.
    pub fn known(&self, text: &str) -> Result<&Self, Error> {
        let unknown = self.collate.tokenizer().unknown(text);
        if unknown.map_err(Error::data)? > 0.0 {
            tell!("warning: the model's tokenizer does not know all of \"{text}\"");
        }
        Ok(self)
    }

    pub fn images(&self, images: &[ImageSource]) -> Result<Vectors, Error> {
        let embed = |images: &[ImageSource]| {
            let images = self.collate.images(images, self.device)?;
            let encoder = self.encoder.clone();
            Ok(self.read(move || encoder.embed_images(images)))
        };
        collect(images, embed)
    }

    pub fn texts<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vectors, Error> {
        let embed = |texts: &[T]| {
            let texts = self.collate.texts(texts, self.device)?;
            let encoder = self.encoder.clone();
            Ok(self.read(move || encoder.embed_texts(texts)))
        };
        collect(texts, embed)
    }

    fn read(&self, embed: impl FnOnce() -> Tensor<2> + Send) -> (Vec<f32>, usize) {
        let embedded = among_threads(self.device, embed);
        let [_, width] = embedded.dims();
        (embedded.into_data().iter().collect(), width)
    }
}

fn collect<T>(
    items: &[T],
    embed: impl Fn(&[T]) -> Result<(Vec<f32>, usize), DataError>,
) -> Result<Vectors, Error> {
    let (mut values, mut width) = (Vec::new(), 1);
    for items in items.chunks(AT_A_TIME) {
        let (more, of) = embed(items).map_err(Error::data)?;
        values.extend(more);
        width = of;
    }
    Ok(Vectors::new(values, width))
}
