//! What a backend with own code implements.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, ExtensionType, backend_extension};

use crate::Activation;
use crate::dropout::Dropout;

/// Which statistics of a row normalise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Mean and variance.
    Layer,
    /// The mean of the squares.
    RootMeanSquare,
}

/// How attention weighs its values, but for the mask.
#[derive(Clone, Copy, Debug)]
pub struct Scores {
    pub heads: usize,
    pub causal: bool,
    pub dropout: Dropout,
}

/// A tensor of numbers that may be missing, as dispatch understands it.
#[derive(ExtensionType)]
pub enum Floats<B: Backend> {
    Some(FloatTensor<B>),
    None,
}

/// A tensor of truth values that may be missing, as dispatch understands it.
#[derive(ExtensionType)]
pub enum Bools<B: Backend> {
    Some(BoolTensor<B>),
    None,
}

impl<B: Backend> Floats<B> {
    pub fn new(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Self::None, Self::Some)
    }

    pub fn get(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Some(tensor) => Some(tensor),
            Self::None => None,
        }
    }
}

impl<B: Backend> Bools<B> {
    pub fn new(tensor: Option<BoolTensor<B>>) -> Self {
        tensor.map_or(Self::None, Self::Some)
    }

    pub fn get(self) -> Option<BoolTensor<B>> {
        match self {
            Self::Some(tensor) => Some(tensor),
            Self::None => None,
        }
    }
}

/// The operations that models call, differentiable on an autodiff backend. Shapes have been checked.
#[backend_extension(Autodiff, Flex: cfg(feature = "flex"))]
pub trait Fused: Backend {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Floats<Self>,
        activation: Option<Activation>,
    ) -> FloatTensor<Self>;

    fn feed_forward(
        x: FloatTensor<Self>,
        inner: FloatTensor<Self>,
        inner_bias: FloatTensor<Self>,
        outer: FloatTensor<Self>,
        outer_bias: FloatTensor<Self>,
        activation: Activation,
        dropout: Dropout,
    ) -> FloatTensor<Self>;

    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        #[extension_type] beta: Floats<Self>,
        norm: Norm,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    fn softmax(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        smoothing: f32,
    ) -> FloatTensor<Self>;

    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] hidden: Bools<Self>,
        scores: Scores,
    ) -> FloatTensor<Self>;
}

/// Forward and backward of each operation on plain tensors: what [`Fused`] is made of on autodiff backends.
///
/// A forward pass returns its output and what its backward pass needs beside the inputs. Backward passes own the
/// gradient they are given and may write into it.
pub trait Passes: Backend {
    fn activate_forward(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
    fn activate_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// Keeps what the derivative of the activation is computed from, when `keep` asks for it.
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        activation: Option<Activation>,
        keep: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);
    /// Gradients of input, weight and bias, those that `wanted` asks for.
    fn linear_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kept: Option<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        activation: Option<Activation>,
        wanted: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3];

    /// Keeps what the derivative of the activation is computed from, when `keep` asks for it.
    fn feed_forward_forward(
        x: FloatTensor<Self>,
        weights: [FloatTensor<Self>; 2],
        biases: [FloatTensor<Self>; 2],
        activation: Activation,
        dropout: Dropout,
        keep: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);
    /// Gradients of input, inner weight and bias, outer weight and bias, those that `wanted` asks for.
    fn feed_forward_backward(
        x: FloatTensor<Self>,
        weights: [FloatTensor<Self>; 2],
        kept: Option<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        activation: Activation,
        dropout: Dropout,
        wanted: [bool; 5],
    ) -> [Option<FloatTensor<Self>>; 5];

    /// Keeps mean and reciprocal deviation of each row, `[rows, 2]`.
    fn normalize_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: Option<FloatTensor<Self>>,
        norm: Norm,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Gradients of input, scale and shift.
    fn normalize_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        norm: Norm,
    ) -> [FloatTensor<Self>; 3];

    fn softmax_forward(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn softmax_backward(output: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Keeps the logarithm of each row's normaliser.
    fn cross_entropy_forward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        smoothing: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn cross_entropy_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        smoothing: f32,
    ) -> FloatTensor<Self>;

    /// Keeps the logarithm of each row's normaliser, `[batch, heads, queries]`.
    fn attention_forward(
        inputs: [FloatTensor<Self>; 3],
        hidden: Option<BoolTensor<Self>>,
        scores: Scores,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Gradients of query, key and value.
    fn attention_backward(
        inputs: [FloatTensor<Self>; 3],
        hidden: Option<BoolTensor<Self>>,
        output: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scores: Scores,
    ) -> [FloatTensor<Self>; 3];
}
