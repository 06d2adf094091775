//! How to train.

use crate::Error;
use crate::schedule::{Decay, Schedule};
use crate::strategy::{Monitor, NonFinite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to train: optimizer, schedule, how often to look and to save, when to stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingConfig {
    /// Updates of the weights.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Batches whose gradients make one update; the mean is over all their samples.
    #[schemars(range(min = 1))]
    pub accumulate: usize,
    /// Highest learning rate, reached after warmup.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub learning_rate: f64,
    /// Learning rate at the end of a linear or cosine decay, and the least of rsqrt.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_learning_rate: f64,
    /// Steps of linear warmup.
    pub warmup_steps: usize,
    /// The learning rate after warmup: constant, linear, cosine or rsqrt.
    pub decay: Decay,
    /// The learning rate of a layer over that of the layer above it; 1 for the same in all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub layer_decay: f64,
    /// Parts of the model that do not train, by the beginning of their path, such as `encoder.vision`.
    pub freeze: Vec<String>,
    /// Decoupled weight decay; biases, norms and embeddings have none.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Decay of AdamW's mean of gradients.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta_1: f64,
    /// Decay of AdamW's mean of squared gradients.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta_2: f64,
    /// Added to AdamW's denominator.
    #[schemars(range(min = 0.0))]
    pub epsilon: f64,
    /// Largest L2 norm of all gradients together; 0 clips nothing.
    #[schemars(range(min = 0.0))]
    pub clip_norm: f64,
    /// Decay of the moving average of the weights, which is then what is validated and tested; 0 for none.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub ema_decay: f64,
    /// Compute cheap activations a second time instead of keeping them: less memory, more time.
    pub gradient_checkpointing: bool,
    /// When a loss or a gradient is no number: stop, skip or roll-back (to the newest checkpoint).
    pub non_finite: NonFinite,
    /// Most steps in a row that may be skipped or rolled back.
    pub non_finite_limit: usize,
    /// Steps between two passes over the validation split; 0 for one at the end.
    pub evaluate_every: usize,
    /// Minutes between two passes over the validation split, beside those every so many steps; 0 for none.
    #[schemars(range(min = 0.0))]
    pub evaluate_minutes: f64,
    /// Steps between two checkpoints; 0 for one at the end.
    pub checkpoint_every: usize,
    /// Minutes between two checkpoints, beside those every so many steps; 0 for none.
    #[schemars(range(min = 0.0))]
    pub checkpoint_minutes: f64,
    /// How many of the newest checkpoints to keep.
    #[schemars(range(min = 1))]
    pub keep_checkpoints: usize,
    /// How many of the best checkpoints to keep beside them; with 1 or more, the best is what is tested.
    pub keep_best: usize,
    /// What makes a validation better: loss or accuracy.
    pub monitor: Monitor,
    /// Validations without a better one after which training ends; 0 for never.
    pub patience: usize,
    /// Minutes after which training ends; 0 for never.
    #[schemars(range(min = 0.0))]
    pub max_minutes: f64,
    /// Steps between two logged training values; 0 for the first and the last step only.
    pub log_every: usize,
}

impl TrainingConfig {
    /// AdamW with the usual constants, 5% of warmup, cosine decay, ten validations, a checkpoint with each.
    pub fn new(steps: usize, learning_rate: f64) -> Self {
        Self {
            steps,
            accumulate: 1,
            learning_rate,
            min_learning_rate: learning_rate / 100.0,
            warmup_steps: steps / 20,
            decay: Decay::Cosine,
            layer_decay: 1.0,
            freeze: Vec::new(),
            weight_decay: 0.05,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip_norm: 1.0,
            ema_decay: 0.0,
            gradient_checkpointing: false,
            non_finite: NonFinite::Stop,
            non_finite_limit: 10,
            evaluate_every: steps.div_ceil(10),
            evaluate_minutes: 0.0,
            checkpoint_every: steps.div_ceil(10),
            checkpoint_minutes: 0.0,
            keep_checkpoints: 2,
            keep_best: 0,
            monitor: Monitor::Loss,
            patience: 0,
            max_minutes: 0.0,
            log_every: 10,
        }
    }

    /// Batches of the whole training: what its loader must hold.
    pub fn batches(&self) -> usize {
        self.steps * self.accumulate
    }

    /// The learning rate as a function of the step.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(
            self.decay,
            self.learning_rate,
            self.min_learning_rate,
            self.warmup_steps,
            self.steps,
        )
    }

    /// What the ranges of single keys cannot say.
    pub(crate) fn check(&self, batches: usize, devices: usize) -> Result<(), Error> {
        if self.min_learning_rate > self.learning_rate {
            return Err(Error::Usage(format!(
                "`min_learning_rate` ({}) is above `learning_rate` ({})",
                self.min_learning_rate, self.learning_rate
            )));
        }
        let decays = [
            ("ema_decay", self.ema_decay),
            ("beta_1", self.beta_1),
            ("beta_2", self.beta_2),
        ];
        for (name, decay) in decays {
            if decay as f32 >= 1.0 {
                return Err(Error::Usage(format!(
                    "`{name}` must be below 1: an average with 1 never moves"
                )));
            }
        }
        if self.epsilon as f32 <= 0.0 {
            return Err(Error::Usage(
                "`epsilon` must be above 0: a parameter without gradients would be divided by it"
                    .into(),
            ));
        }
        if !self.accumulate.is_multiple_of(devices) {
            return Err(Error::Usage(format!(
                "`training.accumulate` ({}) must be a multiple of the {devices} devices, which share the batches of \
                 an update",
                self.accumulate
            )));
        }
        if batches != self.batches() {
            return Err(Error::Usage(format!(
                "the training loader has {batches} batches, the configuration {} steps of {}",
                self.steps, self.accumulate
            )));
        }
        Ok(())
    }
}
