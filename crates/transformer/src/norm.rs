use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which kind of [`Norm`] a model has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// [`LayerNorm`] (GPT-2).
    #[default]
    Layer,
    /// [`RmsNorm`] (Llama, T5).
    Rms,
}

/// A norm over the last axis.
#[derive(Module, Debug)]
pub enum Norm {
    /// With mean and shift.
    Layer(LayerNorm),
    /// Without.
    Rms(RmsNorm),
}

/// LayerNorm over the last axis (Ba et al. 2016).
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[width]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[width]`.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

/// Root mean square norm over the last axis (Zhang and Sennrich 2019): no mean, no shift.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Scale, `[width]`.
    pub gamma: Param<Tensor<1>>,
    epsilon: f64,
}

impl NormKind {
    /// A norm that does not scale yet; `epsilon` is added to the variance or the mean square.
    pub fn init(self, width: usize, epsilon: f64, device: &Device) -> Norm {
        match self {
            Self::Layer => Norm::Layer(LayerNorm::new(width, epsilon, device)),
            Self::Rms => Norm::Rms(RmsNorm::new(width, epsilon, device)),
        }
    }
}

impl Norm {
    /// # Shapes
    /// - input and output: `[..., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }
}

impl LayerNorm {
    /// A norm that neither scales nor shifts yet; `epsilon` is added to the variance.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([width], device),
            beta: Initializer::Zeros.init([width], device),
            epsilon,
        }
    }

    /// # Shapes
    /// - input and output: `[..., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        crucible_kernels::layer_norm(x, gamma, Some(beta), self.epsilon)
    }
}

impl RmsNorm {
    /// A norm that does not scale yet; `epsilon` is added to the mean square.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([width], device),
            epsilon,
        }
    }

    /// # Shapes
    /// - input and output: `[..., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        crucible_kernels::rms_norm(x, self.gamma.val(), self.epsilon)
    }
}
