use std::ops::Range;

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Bool, Device, Tensor};
use crucible_kernels::{Attention, attention};
use schemars::JsonSchema;

use crate::dropout::chance;
use crate::{AttentionMask, linear, project};
use pattern::Pattern;

mod linformer;
mod lsh;
mod pattern;
mod rotations;
mod window;

pub use linformer::LinearAttentionConfig;
pub use lsh::LshAttentionConfig;
pub use pattern::AttentionPattern;
pub use window::WindowAttentionConfig;

/// Configuration of [`MultiHeadAttention`].
#[derive(Config, Debug, JsonSchema)]
pub struct MultiHeadAttentionConfig {
    /// Width of the queries and of the output.
    pub d_model: usize,
    /// Number of heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the sequence that is attended to; 0 means `d_model`.
    #[config(default = 0)]
    pub d_context: usize,
    /// Chance that an attention weight is dropped in training.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Which keys each query is compared with; all but full are for self-attention.
    #[config(default = "AttentionPattern::Full")]
    pub pattern: AttentionPattern,
}

/// Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2.2).
///
/// Self-attention keeps three projections, as cross-attention does, rather than one packed matrix: on the
/// CPU backend a training step of the packed product costs what the three cost (12 ms either way at 2048
/// tokens of width 128), and the gradient of each slice of its output is one more zero-filled copy of it.
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    /// `d_model` to `d_model`.
    pub query: Linear,
    /// `d_context` to `d_model`; `None` where the queries are the keys (LSH).
    pub key: Option<Linear>,
    /// `d_context` to `d_model`.
    pub value: Linear,
    /// `d_model` to `d_model`, over the concatenated heads.
    pub output: Linear,
    dropout: Dropout,
    heads: usize,
    /// What other patterns than full attention have beyond it.
    pattern: Option<Pattern>,
}

impl MultiHeadAttentionConfig {
    /// A layer with fresh weights.
    ///
    /// # Panics
    /// When `heads` does not divide `d_model`, or the sizes of the pattern do not fit.
    pub fn init(&self, device: &Device) -> MultiHeadAttention {
        assert!(
            self.heads > 0 && self.d_model.is_multiple_of(self.heads),
            "d_model ({}) must be a multiple of heads ({})",
            self.d_model,
            self.heads
        );
        if let Err(error) = self.pattern.check() {
            panic!("{error}");
        }
        let d_context = if self.d_context == 0 {
            self.d_model
        } else {
            self.d_context
        };
        MultiHeadAttention {
            query: linear(self.d_model, self.d_model, device),
            key: (!self.pattern.shares_queries_and_keys())
                .then(|| linear(d_context, self.d_model, device)),
            value: linear(d_context, self.d_model, device),
            output: linear(self.d_model, self.d_model, device),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
            pattern: self.pattern.init(self.d_model, self.heads, device),
        }
    }
}

impl MultiHeadAttention {
    /// Each position of `x` attends to `context`; self-attention passes the same sequence twice, and patterns other
    /// than full attention are for self-attention alone.
    ///
    /// # Shapes
    /// - `x`: `[batch, queries, d_model]`
    /// - `context`: `[batch, keys, d_context]`
    /// - output: `[batch, queries, d_model]`
    ///
    /// # Panics
    /// With a pattern other than full attention: when `context` has not the shape of `x`, when the mask is causal, and
    /// when the sequence is longer than linear attention was made for.
    pub fn forward(
        &self,
        x: Tensor<3>,
        context: Tensor<3>,
        mask: Option<&AttentionMask>,
    ) -> Tensor<3> {
        let attended = match &self.pattern {
            None => self.full(x, context, mask),
            Some(pattern) => {
                assert_eq!(
                    x.dims(),
                    context.dims(),
                    "only self-attention has a pattern"
                );
                let causal = mask.is_some_and(AttentionMask::is_causal);
                assert!(!causal, "attention with a pattern is not causal");
                let padding = mask.and_then(|mask| mask.hidden_keys(&x));
                pattern.forward(self, x, padding)
            }
        };
        project(&self.output, attended)
    }

    /// The longest sequence, where its pattern was made for one.
    pub(crate) fn max_length(&self) -> Option<usize> {
        match &self.pattern {
            Some(Pattern::Linear(linformer)) => Some(linformer.max_length()),
            Some(Pattern::Window(_) | Pattern::Lsh(_)) | None => None,
        }
    }

    fn full(&self, x: Tensor<3>, context: Tensor<3>, mask: Option<&AttentionMask>) -> Tensor<3> {
        let query = project(&self.query, x);
        let key = project(self.key(), context.clone());
        let value = project(&self.value, context);
        let weighs = self.weighs_masked(&query, mask);
        attention(query, key, value, weighs)
    }

    /// How much of its attention each token of a sequence pays to some places of it, the mean over the heads; none where
    /// a pattern other than full attention weighs.
    ///
    /// # Shapes
    /// - `x`: `[batch, length, d_model]`; output: `[batch, length]`, between 0 and 1
    pub fn share(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        places: Range<usize>,
    ) -> Option<Tensor<2>> {
        if self.pattern.is_some() {
            return None;
        }
        let query = project(&self.query, x.clone());
        let key = project(self.key(), x);
        // Values of one there and of zero elsewhere: what a head makes of them is the sum of its weights there.
        let [batch, _, width] = key.dims();
        let ones = Tensor::ones([batch, places.len(), width], &key.device());
        let there = key.zeros_like().slice_assign([0..batch, places], ones);
        let weighs = self.weighs_masked(&query, mask);
        let shares = attention(query, key, there, weighs);
        Some(shares.mean_dim(2).squeeze_dim(2))
    }

    fn key(&self) -> &Linear {
        let key = self.key.as_ref();
        key.expect("there are keys wherever queries do not serve as such")
    }

    /// Queries, keys and values of a sequence.
    fn projections(&self, x: Tensor<3>) -> [Tensor<3>; 3] {
        [&self.query, self.key(), &self.value].map(|side| project(side, x.clone()))
    }

    fn weighs_masked(&self, query: &Tensor<3>, mask: Option<&AttentionMask>) -> Attention {
        Attention {
            causal: mask.is_some_and(AttentionMask::is_causal),
            ..self.weighs(query, mask.and_then(AttentionMask::hidden))
        }
    }

    /// Without causality.
    fn weighs(&self, query: &Tensor<3>, hidden: Option<Tensor<4, Bool>>) -> Attention {
        Attention {
            heads: self.heads,
            hidden,
            causal: false,
            dropout: chance(&self.dropout, query),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::{Bool, TensorData};
    use proptest::prelude::*;

    fn padding<const B: usize, const L: usize>(rows: [[bool; L]; B]) -> AttentionMask {
        AttentionMask::padding(Tensor::<2, Bool>::from_data(
            TensorData::from(rows),
            &device(),
        ))
    }

    #[test]
    fn cross_attention_has_the_shape_of_the_queries_and_trains_everything() {
        let layer = MultiHeadAttentionConfig::new(8, 2)
            .with_d_context(6)
            .init(&device());
        let (x, context) = (
            values([3, 4, 8], 1, &device()),
            values([3, 5, 6], 2, &device()),
        );
        let output = layer.forward(x, context, None);
        assert_eq!(output.dims(), [3, 4, 8]);
        assert_gradients_reach_everything(&layer, output);
    }

    #[test]
    fn future_changes_leave_the_past_unchanged() {
        let layer = MultiHeadAttentionConfig::new(8, 2).init(&device());
        let mask = AttentionMask::causal();
        let x = values([2, 5, 8], 1, &device());
        let changed = x
            .clone()
            .slice_assign([0..2, 3..5, 0..8], values([2, 2, 8], 2, &device()));
        let [a, b] = [x, changed].map(|x| layer.forward(x.clone(), x, Some(&mask)));
        assert_eq!(
            difference(a.clone().narrow(1, 0, 3), b.clone().narrow(1, 0, 3)),
            0.0
        );
        assert!(difference(a.narrow(1, 3, 2), b.narrow(1, 3, 2)) > 1e-3);
    }

    #[test]
    fn a_row_with_nothing_to_attend_to_averages_and_is_not_nan() {
        let layer = MultiHeadAttentionConfig::new(8, 2).init(&device());
        let x = values([2, 3, 8], 1, &device()).require_grad();
        let mask = padding([[true, true, true], [false, false, true]]);
        let output = layer.forward(x.clone(), x.clone(), Some(&mask));
        let mean = project(&layer.value, x.clone())
            .mean_dim(1)
            .expand([2, 3, 8]);
        let expected = project(&layer.output, mean);
        assert!(difference(output.clone().narrow(0, 0, 1), expected.narrow(0, 0, 1)) < 1e-6);
        let gradient = x.grad(&output.sum().backward()).unwrap();
        assert!(gradient.abs().max().into_scalar::<f32>().is_finite());
    }

    #[test]
    fn a_mask_that_hides_nothing_changes_nothing() {
        let layer = MultiHeadAttentionConfig::new(8, 2).init(&device());
        let x = values([2, 3, 8], 1, &device());
        let mask = padding([[false; 3]; 2]);
        let [a, b] = [None, Some(&mask)].map(|mask| layer.forward(x.clone(), x.clone(), mask));
        assert_eq!(difference(a, b), 0.0);
    }

    #[test]
    fn shares_of_all_places_are_one_and_those_of_a_place_are_its_weight() {
        let layer = MultiHeadAttentionConfig::new(8, 1).init(&device());
        let x = values([2, 4, 8], 1, &device()) * 3.0;
        let mask = padding([[false, false, false, true], [false; 4]]);
        let mask = AttentionMask::causal().or(mask);
        let share = |places| layer.share(x.clone(), Some(&mask), places).unwrap();
        let parts = share(0..1) + share(1..2) + share(2..3);
        assert!(difference(parts.clone() + share(3..4), Tensor::ones([2, 4], &device())) < 1e-6);
        assert_eq!(
            difference(
                share(3..4).narrow(0, 0, 1),
                Tensor::zeros([1, 4], &device())
            ),
            0.0
        );
        assert!(difference(parts, share(0..3)) < 1e-6);
        // Of two places that the second token sees, softmax over the two products.
        let [query, key, _] = layer.projections(x.clone());
        let of = |side: &Tensor<3>, place| side.clone().narrow(0, 1, 1).narrow(1, place, 1);
        let product = |place| (of(&query, 1) * of(&key, place)).sum().into_scalar::<f32>();
        let [first, second] = [0, 1].map(|place| (product(place) / 8f32.sqrt()).exp());
        let found = share(0..1)
            .narrow(0, 1, 1)
            .narrow(1, 1, 1)
            .into_scalar::<f32>();
        assert!((found - first / (first + second)).abs() < 1e-6);
    }

    #[test]
    fn dropout_acts_in_training_alone() {
        let layer = MultiHeadAttentionConfig::new(8, 2)
            .with_dropout(0.5)
            .init(&device());
        let x = values([2, 6, 8], 1, &device());
        let [a, b] = [(); 2].map(|()| layer.forward(x.clone(), x.clone(), None));
        assert!(difference(a, b) > 1e-3);
        let (layer, x) = (layer.valid(), x.inner());
        let [a, b] = [(); 2].map(|()| layer.forward(x.clone(), x.clone(), None));
        assert_eq!(difference(a, b), 0.0);
    }

    #[test]
    #[should_panic(expected = "d_model (8) must be a multiple of heads (3)")]
    fn heads_must_divide_the_width() {
        MultiHeadAttentionConfig::new(8, 3).init(&device());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn content_at_padded_positions_is_ignored(
            heads in 1usize..4, queries in 1usize..5, lengths in prop::collection::vec(1usize..6, 1..4), scale in 0.1f64..50.0,
        ) {
            let (batch, keys, width) = (lengths.len(), 6, 4 * heads);
            let layer = MultiHeadAttentionConfig::new(width, heads).init(&device());
            let hidden: Vec<bool> = lengths.iter().flat_map(|&n| (0..keys).map(move |i| i >= n)).collect();
            let hidden = Tensor::<2, Bool>::from_data(TensorData::new(hidden, [batch, keys]), &device());
            let x = values([batch, queries, width], 1, &device());
            let context = values([batch, keys, width], 2, &device());
            let other = values([batch, keys, width], 3, &device()) * scale;
            let changed = context.clone().mask_where(hidden.clone().unsqueeze_dim::<3>(2).expand([batch, keys, width]), other);
            let mask = AttentionMask::padding(hidden);
            let [a, b] = [context, changed].map(|context| layer.forward(x.clone(), context, Some(&mask)));
            prop_assert_eq!(difference(a, b), 0.0);
        }
    }
}
