use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{BiLstm, BiLstmConfig, Initializer, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{ConfigError, linear, project};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{at_least_one, fits};
use super::{Sizes, SoftPrompt};

/// The network of [`PTuning`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptEncoder {
    /// Three linear layers with ReLU between them.
    #[default]
    Mlp,
    /// Two bidirectional LSTMs, then two linear layers with ReLU between them.
    Lstm,
}

/// Configuration of [`PTuning`].
#[derive(Config, Debug, JsonSchema)]
pub struct PTuningConfig {
    /// How many vectors.
    pub tokens: usize,
    /// Which network makes them.
    #[config(default = "PromptEncoder::Mlp")]
    pub encoder: PromptEncoder,
    /// Width of its hidden layers, of each direction of an LSTM; 0 for the model's width.
    #[config(default = 0)]
    pub hidden: usize,
}

/// The vectors of a soft prompt, made by a network from trained inner vectors (P-tuning, Liu et al. 2021, section 3.2; the
/// two networks are those of Hugging Face `peft`).
#[derive(Module, Debug)]
pub struct PTuning {
    /// `[tokens, d_model]`.
    pub inner: Param<Tensor<2>>,
    /// One after the other; none in an MLP.
    pub lstms: Vec<BiLstm>,
    /// With ReLU between them.
    pub layers: Vec<Linear>,
}

impl PTuningConfig {
    fn width(&self, sizes: &Sizes) -> usize {
        match self.hidden {
            0 => sizes.d_model,
            hidden => hidden,
        }
    }

    /// Widths from the inner vectors to those that are made, of LSTMs and of linear layers.
    fn widths(&self, sizes: &Sizes) -> (Vec<usize>, Vec<usize>) {
        let (d_model, hidden) = (sizes.d_model, self.width(sizes));
        match self.encoder {
            PromptEncoder::Mlp => (Vec::new(), vec![d_model, hidden, hidden, d_model]),
            PromptEncoder::Lstm => (
                vec![d_model, 2 * hidden],
                vec![2 * hidden, 2 * hidden, d_model],
            ),
        }
    }

    /// Whether it fits a model of those sizes.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        at_least_one("tokens", self.tokens)?;
        fits(self.tokens, sizes)
    }

    /// Numbers that train.
    pub fn parameters(&self, sizes: &Sizes) -> usize {
        let (lstms, layers) = self.widths(sizes);
        let hidden = self.width(sizes);
        // Two directions of four gates, each with a linear layer of the input and one of the state.
        let lstm = |d_input| 2 * 4 * hidden * (d_input + 1 + hidden + 1);
        let layers = layers.windows(2).map(|pair| (pair[0] + 1) * pair[1]);
        let lstms = lstms.into_iter().map(lstm);
        self.tokens * sizes.d_model + lstms.sum::<usize>() + layers.sum::<usize>()
    }

    /// A prompt that has not been trained.
    pub fn init(&self, sizes: &Sizes, device: &Device) -> PTuning {
        let (lstms, layers) = self.widths(sizes);
        let hidden = self.width(sizes);
        let lstm = |d_input| BiLstmConfig::new(d_input, hidden, true).init(device);
        let layer = |pair: &[usize]| linear(pair[0], pair[1], device);
        // As wide as what a linear layer starts for.
        let inner = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        PTuning {
            inner: inner.init([self.tokens, sizes.d_model], device),
            lstms: lstms.into_iter().map(lstm).collect(),
            layers: layers.windows(2).map(layer).collect(),
        }
    }
}

impl PTuning {
    /// The vectors that the network makes.
    ///
    /// # Shapes
    /// - output: `[tokens, d_model]`
    pub fn vectors(&self) -> Tensor<2> {
        let inner = self.inner.val().unsqueeze::<3>();
        let read = |x, lstm: &BiLstm| lstm.forward(x, None).0;
        let x = self.lstms.iter().fold(inner, read);
        let mut layers = self.layers.iter();
        let first = layers.next().map(|layer| project(layer, x.clone()));
        let x = layers.fold(first.unwrap_or(x), |x, layer| project(layer, relu(x)));
        x.squeeze_dim(0)
    }

    /// The plain prompt that it amounts to.
    pub fn fixed(&self) -> SoftPrompt {
        SoftPrompt {
            vectors: Param::from_tensor(self.vectors().detach()),
        }
    }
}
