use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Device, Tensor};
use crucible_kernels::{matmul, softmax};

use super::config::Seq2SeqConfig;
use crate::Projection;

/// Attention whose scores are not scaled and have numbers added to them: T5 counts the scale among what the weights of
/// the queries learn.
#[derive(Module, Debug)]
pub struct RelativeAttention {
    /// `d_model` to `heads * d_head`.
    pub query: Projection,
    /// `d_model` to `heads * d_head`.
    pub key: Projection,
    /// `d_model` to `heads * d_head`.
    pub value: Projection,
    /// `heads * d_head` to `d_model`.
    pub output: Projection,
    dropout: Dropout,
    heads: usize,
}

impl RelativeAttention {
    pub(super) fn new(config: &Seq2SeqConfig, device: &Device) -> Self {
        let (d_model, width) = (config.d_model, config.heads * config.head_width());
        let projection = |d_input, d_output| Projection::new(d_input, d_output, false, device);
        let mut query = projection(d_model, width);
        // What others divide the scores by.
        let narrow = Initializer::XavierUniform {
            gain: (config.head_width() as f64).powf(-0.5),
        };
        let weight: Param<Tensor<2>> =
            narrow.init_with([d_model, width], Some(d_model), Some(width), device);
        query.linear.weight = weight;
        Self {
            query,
            key: projection(d_model, width),
            value: projection(d_model, width),
            output: projection(width, d_model),
            dropout: DropoutConfig::new(config.dropout).init(),
            heads: config.heads,
        }
    }

    /// Keys and values of a sequence.
    ///
    /// # Shapes
    /// - from `[sequences, keys, d_model]` to `[sequences, keys, heads * d_head]`, twice
    pub(super) fn pair(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        (self.key.forward(x.clone()), self.value.forward(x))
    }

    /// # Shapes
    /// - `x` and output: `[sequences, queries, d_model]`
    /// - keys and values: `[sequences, keys, heads * d_head]`
    /// - `bias`, which is added to the scores: `[sequences or 1, heads or 1, queries or 1, keys]`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        (key, value): (Tensor<3>, Tensor<3>),
        bias: Option<&Tensor<4>>,
    ) -> Tensor<3> {
        let query = self.query.forward(x);
        let [sequences, queries, width] = query.dims();
        let split = |x: Tensor<3>| {
            let [sequences, length, width] = x.dims();
            x.reshape([sequences, length, self.heads, width / self.heads])
                .swap_dims(1, 2)
        };
        let scores = matmul(split(query), split(key).swap_dims(2, 3));
        let scores = match bias {
            Some(bias) => scores + bias.clone(),
            None => scores,
        };
        let weights = self.dropout.forward(softmax(scores));
        let attended = matmul(weights, split(value)).swap_dims(1, 2);
        self.output
            .forward(attended.reshape([sequences, queries, width]))
    }

    pub(super) fn projections(&mut self, change: &impl Fn(Projection) -> Projection) {
        for side in [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.output,
        ] {
            *side = change(side.clone());
        }
    }
}
