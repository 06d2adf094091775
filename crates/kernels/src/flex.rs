//! The operations for the flex backend: vectorised for the instruction set found at run time, on the threads
//! of rayon's pool.
//!
//! Work is cut into blocks whose size depends on the shapes alone, and sums over blocks are added in their
//! order: results do not depend on how many threads there are.

// `pulp::with_simd` wants them named.
#![allow(clippy::needless_lifetimes)]

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Flex, TensorMetadata};

use crate::Activation;
use crate::dropout::Dropout;
use crate::fused::{Bools, Floats, Fused, Norm, Passes, Scores};

mod activation;
mod adamw;
mod attention;
mod cross_entropy;
mod dropout;
mod feed_forward;
mod few_rows;
mod gemm;
mod lanes;
mod linear;
mod math;
mod norm;
mod parallel;
mod softmax;
mod squared_norm;
mod tensor;

pub use adamw::adamw;
pub use squared_norm::squared_norm;

type Float = FloatTensor<Flex>;

impl Fused for Flex {
    fn activate(x: Float, activation: Activation) -> Float {
        Self::activate_forward(x, activation)
    }

    fn linear(
        x: Float,
        weight: Float,
        bias: Floats<Self>,
        activation: Option<Activation>,
    ) -> Float {
        linear::forward(x, weight, bias.get(), activation, false).0
    }

    fn feed_forward(
        x: Float,
        inner: Float,
        inner_bias: Float,
        outer: Float,
        outer_bias: Float,
        activation: Activation,
        dropout: Dropout,
    ) -> Float {
        let (weights, biases) = ([inner, outer], [inner_bias, outer_bias]);
        feed_forward::forward(x, weights, biases, activation, dropout, false).0
    }

    fn normalize(x: Float, gamma: Float, beta: Floats<Self>, norm: Norm, epsilon: f32) -> Float {
        norm::forward(x, gamma, beta.get(), norm, epsilon).0
    }

    fn softmax(x: Float) -> Float {
        softmax::forward(x)
    }

    fn cross_entropy(logits: Float, targets: IntTensor<Flex>, smoothing: f32) -> Float {
        cross_entropy::forward(logits, targets, smoothing).0
    }

    fn attention(
        query: Float,
        key: Float,
        value: Float,
        hidden: Bools<Self>,
        scores: Scores,
    ) -> Float {
        attention::forward([query, key, value], hidden.get(), scores).0
    }
}

impl Passes for Flex {
    fn activate_forward(x: Float, activation: Activation) -> Float {
        activation::forward(x, activation)
    }

    fn activate_backward(x: Float, grad: Float, activation: Activation) -> Float {
        activation::backward(x, grad, activation)
    }

    fn linear_forward(
        x: Float,
        weight: Float,
        bias: Option<Float>,
        activation: Option<Activation>,
        keep: bool,
    ) -> (Float, Option<Float>) {
        linear::forward(x, weight, bias, activation, keep)
    }

    fn linear_backward(
        x: Float,
        weight: Float,
        kept: Option<Float>,
        grad: Float,
        activation: Option<Activation>,
        wanted: [bool; 3],
    ) -> [Option<Float>; 3] {
        linear::backward(x, weight, kept, grad, activation, wanted)
    }

    fn feed_forward_forward(
        x: Float,
        weights: [Float; 2],
        biases: [Float; 2],
        activation: Activation,
        dropout: Dropout,
        keep: bool,
    ) -> (Float, Option<Float>) {
        feed_forward::forward(x, weights, biases, activation, dropout, keep)
    }

    fn feed_forward_backward(
        x: Float,
        weights: [Float; 2],
        kept: Option<Float>,
        grad: Float,
        activation: Activation,
        dropout: Dropout,
        wanted: [bool; 5],
    ) -> [Option<Float>; 5] {
        feed_forward::backward(x, weights, kept, grad, activation, dropout, wanted)
    }

    fn normalize_forward(
        x: Float,
        gamma: Float,
        beta: Option<Float>,
        norm: Norm,
        epsilon: f32,
    ) -> (Float, Float) {
        norm::forward(x, gamma, beta, norm, epsilon)
    }

    fn normalize_backward(
        x: Float,
        gamma: Float,
        kept: Float,
        grad: Float,
        norm: Norm,
    ) -> [Float; 3] {
        norm::backward(x, gamma, kept, grad, norm)
    }

    fn softmax_forward(x: Float) -> Float {
        softmax::forward(x)
    }

    fn softmax_backward(output: Float, grad: Float) -> Float {
        softmax::backward(output, grad)
    }

    fn cross_entropy_forward(
        logits: Float,
        targets: IntTensor<Flex>,
        smoothing: f32,
    ) -> (Float, Float) {
        cross_entropy::forward(logits, targets, smoothing)
    }

    fn cross_entropy_backward(
        logits: Float,
        targets: IntTensor<Flex>,
        kept: Float,
        grad: Float,
        smoothing: f32,
    ) -> Float {
        cross_entropy::backward(logits, targets, kept, grad, smoothing)
    }

    fn attention_forward(
        inputs: [Float; 3],
        hidden: Option<BoolTensor<Flex>>,
        scores: Scores,
    ) -> (Float, Float) {
        attention::forward(inputs, hidden, scores)
    }

    fn attention_backward(
        inputs: [Float; 3],
        hidden: Option<BoolTensor<Flex>>,
        output: Float,
        kept: Float,
        grad: Float,
        scores: Scores,
    ) -> [Float; 3] {
        attention::backward(inputs, hidden, output, kept, grad, scores)
    }
}

/// Leading axes as rows, the last one as their width.
fn rows_and_width(tensor: &Float) -> (usize, usize) {
    let shape = tensor.shape();
    let width = shape[shape.num_dims() - 1];
    (shape.iter().take(shape.num_dims() - 1).product(), width)
}
