use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use crate::{linear, project};

/// A linear layer and tanh over what is pooled (BERT, Devlin et al. 2019; ViT as published by Hugging Face).
#[derive(Module, Debug)]
pub struct Pooler {
    /// `d_model` to `d_model`.
    pub linear: Linear,
}

impl Pooler {
    /// A layer with fresh weights.
    pub fn new(d_model: usize, device: &Device) -> Self {
        Self {
            linear: linear(d_model, d_model, device),
        }
    }

    /// # Shapes
    /// - input and output: `[batch, d_model]`
    pub fn forward(&self, pooled: Tensor<2>) -> Tensor<2> {
        project(&self.linear, pooled).tanh()
    }
}
