use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};
use crucible_kernels::attention;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MultiHeadAttention;
use crate::{ConfigError, linear, project};

/// Sliding-window attention with global tokens (Longformer, Beltagy et al. 2020, section 3.1).
///
/// Each token sees its neighbours and the global tokens; the global tokens see all, through projections of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowAttentionConfig {
    /// Tokens that each token sees on either side.
    pub window: usize,
    /// How many of the first tokens are global; 1 for `[CLS]`, 0 for none.
    pub global: usize,
}

impl WindowAttentionConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        ConfigError::unless(self.window > 0, "attention.window", || {
            "must be at least 1".into()
        })
    }

    pub(super) fn init(&self, d_model: usize, device: &Device) -> Window {
        let projection = || linear(d_model, d_model, device);
        Window {
            window: self.window,
            tokens: self.global,
            global: (self.global > 0).then(|| Global {
                query: projection(),
                key: projection(),
                value: projection(),
            }),
        }
    }
}

/// What windows have beyond full attention.
#[derive(Module, Debug)]
pub struct Window {
    window: usize,
    /// Global tokens.
    tokens: usize,
    global: Option<Global>,
}

/// The projections through which global tokens see.
#[derive(Module, Debug)]
struct Global {
    query: Linear,
    key: Linear,
    value: Linear,
}

impl Window {
    pub fn forward(
        &self,
        layer: &MultiHeadAttention,
        x: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, length, _] = x.dims();
        let Some(global) = &self.global else {
            return self.local(layer, x, padding, 0);
        };
        let tokens = self.tokens.min(length);
        let hidden = padding.clone().map(|p| p.reshape([batch, 1, 1, length]));
        let query = project(&global.query, x.clone().narrow(1, 0, tokens));
        let weighs = layer.weighs(&query, hidden);
        let [key, value] = [&global.key, &global.value].map(|side| project(side, x.clone()));
        let first = attention(query, key, value, weighs);
        if tokens == length {
            return first;
        }
        let others = self.local(layer, x, padding, tokens);
        Tensor::cat(vec![first, others.narrow(1, tokens, length - tokens)], 1)
    }

    /// All tokens as those that are not global see: their window, and the first `tokens` beside it.
    fn local(
        &self,
        layer: &MultiHeadAttention,
        x: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
        tokens: usize,
    ) -> Tensor<3> {
        let [batch, length, width] = x.dims();
        let cut = Cut::new(length, self.window);
        let visible = match padding {
            Some(padding) => padding.bool_not().float().unsqueeze_dim(2),
            None => Tensor::ones([batch, length, 1], &x.device()),
        };
        let hidden = cut.hidden(visible, tokens);
        let [query, key, value] = layer.projections(x);
        let [key, value] = [key, value].map(|side| cut.seen(side.clone(), side, tokens));
        let query = cut.blocks(query);
        let weighs = layer.weighs(&query, Some(hidden));
        attention(query, key, value, weighs)
            .reshape([batch, cut.count * cut.block, width])
            .narrow(1, 0, length)
    }
}

/// A sequence cut into blocks of queries, each of which sees itself and `reach` positions on either side: every key
/// in the window of one of its queries. Behind the last token there is as much padding as fills the last block.
struct Cut {
    length: usize,
    window: usize,
    block: usize,
    count: usize,
    reach: usize,
}

/// Queries of a block at least: a product of fewer rows costs hardly less.
const LEAST: usize = 32;

impl Cut {
    fn new(length: usize, window: usize) -> Self {
        let window = window.min(length);
        // No block is shorter than the window, so that no query sees beyond the next one.
        let block = window.max(LEAST).min(length);
        let count = length.div_ceil(block);
        Self {
            length,
            window,
            block,
            count,
            reach: if count > 1 { window } else { 0 },
        }
    }

    /// # Shapes
    /// - from `[batch, length, width]` to `[batch * count, block, width]`
    fn blocks(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, width] = x.dims();
        let behind = self.count * self.block - self.length;
        x.pad([(0, behind), (0, 0)], 0.0)
            .reshape([batch * self.count, self.block, width])
    }

    /// What each block sees: the first `tokens` of `first`, then its part of `x`; zero where there is no token.
    ///
    /// # Shapes
    /// - from `[batch, length, width]` to `[batch * count, tokens + block + 2 * reach, width]`
    fn seen(&self, first: Tensor<3>, x: Tensor<3>, tokens: usize) -> Tensor<3> {
        let [batch, _, width] = x.dims();
        let (block, count, reach) = (self.block, self.count, self.reach);
        let mut parts = Vec::with_capacity(4);
        if tokens > 0 {
            let first = first.narrow(1, 0, tokens).unsqueeze_dim::<4>(1);
            parts.push(first.expand([batch, count, tokens, width]));
        }
        if reach == 0 {
            parts.push(x.unsqueeze_dim(1));
        } else {
            // A block of zeros on either side is what the first and the last see there.
            let behind = (count + 1) * block - self.length;
            let blocks = x.pad([(block, behind), (0, 0)], 0.0);
            let blocks = blocks.reshape([batch, count + 2, block, width]);
            let shifted = |by| blocks.clone().narrow(1, by, count);
            parts.push(shifted(0).narrow(2, block - reach, reach));
            parts.push(shifted(1));
            parts.push(shifted(2).narrow(2, 0, reach));
        }
        let keys = tokens + block + 2 * reach;
        Tensor::cat(parts, 2).reshape([batch * count, keys, width])
    }

    /// Which of the keys that a block sees are hidden from which of its queries: those outside of the query's window,
    /// padding, and global tokens within the window, which are seen beside it.
    ///
    /// # Shapes
    /// - `visible`: `[batch, length, 1]`, 0 for padding
    /// - output: `[batch * count, 1, block, tokens + block + 2 * reach]`
    fn hidden(&self, visible: Tensor<3>, tokens: usize) -> Tensor<4, Bool> {
        let [batch, _, _] = visible.dims();
        let (block, device) = (self.block, visible.device());
        let others = match tokens {
            0 => visible.clone(),
            tokens => visible.clone().slice_fill([0..batch, 0..tokens], 0.0),
        };
        let keys = tokens + block + 2 * self.reach;
        let rows = batch * self.count;
        let absent = self.seen(visible, others, tokens).equal_elem(0.0);

        let span = [block, block + 2 * self.reach];
        let (reach, window) = (self.reach as i64, self.window as i64);
        let after = Tensor::<2, Bool>::tril_mask(span, reach + window, &device);
        let before = Tensor::<2, Bool>::triu_mask(span, reach - window, &device);
        let mut outside = vec![after.bool_or(before)];
        if tokens > 0 {
            outside.insert(0, Tensor::zeros([block, tokens], &device));
        }
        let outside = Tensor::cat(outside, 1).reshape([1, 1, block, keys]);
        let shape = [rows, 1, block, keys];
        absent
            .reshape([rows, 1, 1, keys])
            .expand(shape)
            .bool_or(outside.expand(shape))
    }
}
