use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{linear, project};

/// The hidden layer is so many times narrower than its input.
const BOTTLENECK: usize = 16;

/// What an image adds to the vectors before the words: two linear layers with ReLU between them (the Meta-Net of Zhou et al.
/// 2022b, section 3.2).
#[derive(Module, Debug)]
pub struct MetaNetwork {
    /// `d_embedding` to a sixteenth of it, at least 1.
    pub inner: Linear,
    /// From there to `d_text`.
    pub outer: Linear,
}

impl MetaNetwork {
    /// With fresh weights.
    pub fn new(d_embedding: usize, d_text: usize, device: &Device) -> Self {
        let hidden = (d_embedding / BOTTLENECK).max(1);
        Self {
            inner: linear(d_embedding, hidden, device),
            outer: linear(hidden, d_text, device),
        }
    }

    /// # Shapes
    /// - `images`: `[images, d_embedding]`, of length one; output: `[images, d_text]`
    pub fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        project(&self.outer, relu(project(&self.inner, images)))
    }
}
