use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};
use crucible_kernels::{Attention, attention};

use super::cache::LayerCache;
use super::config::{CausalLmConfig, QkvBias};
use super::lora::Projection;
use super::rotary::Rotation;
use crate::AttentionMask;
use crate::dropout::chance;

/// Causal self-attention whose keys and values may have fewer heads than its queries (Ainslie et al. 2023).
#[derive(Module, Debug)]
pub struct GroupedQueryAttention {
    /// `d_model` to `heads * d_head`.
    pub query: Projection,
    /// `d_model` to `kv_heads * d_head`.
    pub key: Projection,
    /// `d_model` to `kv_heads * d_head`.
    pub value: Projection,
    /// `heads * d_head` to `d_model`.
    pub output: Projection,
    dropout: Dropout,
    heads: usize,
    kv_heads: usize,
}

impl GroupedQueryAttention {
    pub(super) fn new(config: &CausalLmConfig, device: &Device) -> Self {
        let (heads, kv_heads) = (config.heads, config.key_value_heads());
        let (d_model, width) = (config.d_model, config.head_width());
        let inputs = config.bias != QkvBias::None;
        let projection = |d_input, d_output, bias| Projection::new(d_input, d_output, bias, device);
        Self {
            query: projection(d_model, heads * width, inputs),
            key: projection(d_model, kv_heads * width, inputs),
            value: projection(d_model, kv_heads * width, inputs),
            output: projection(heads * width, d_model, config.bias == QkvBias::All),
            dropout: DropoutConfig::new(config.dropout).init(),
            heads,
            kv_heads,
        }
    }

    /// Each position sees itself and those before it, the cached ones among them.
    ///
    /// # Shapes
    /// - `x` and output: `[sequences, length, d_model]`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        rotation: Option<&Rotation>,
        mask: &AttentionMask,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let turn = |x: Tensor<3>, heads| match rotation {
            Some(rotation) => rotation.turn(x, heads),
            None => x,
        };
        let query = turn(self.query.forward(x.clone()), self.heads);
        let key = turn(self.key.forward(x.clone()), self.kv_heads);
        let value = self.value.forward(x);
        let (key, value) = match cache {
            Some(cache) => cache.extend(key, value),
            None => (key, value),
        };
        let dropout = chance(&self.dropout, &query);
        let weighs = |heads, causal| Attention {
            heads,
            hidden: mask.hidden(),
            causal,
            dropout,
        };
        let [sequences, length, width] = query.dims();
        let shared = self.heads / self.kv_heads;
        let attended = if shared > 1 && length == 1 {
            // The heads that share keys and values become queries of one head: nothing is copied.
            let d_head = width / self.heads;
            let rows = query
                .reshape([sequences, self.kv_heads, shared, d_head])
                .swap_dims(1, 2)
                .reshape([sequences, shared, self.kv_heads * d_head]);
            attention(rows, key, value, weighs(self.kv_heads, false))
                .reshape([sequences, shared, self.kv_heads, d_head])
                .swap_dims(1, 2)
                .reshape([sequences, 1, width])
        } else {
            let [key, value] = [key, value].map(|side| self.spread(side));
            attention(query, key, value, weighs(self.heads, mask.is_causal()))
        };
        self.output.forward(attended)
    }

    /// Each head of keys or values as many times as queries share it.
    ///
    /// # Shapes
    /// - from `[sequences, length, kv_heads * d_head]` to `[sequences, length, heads * d_head]`
    fn spread(&self, x: Tensor<3>) -> Tensor<3> {
        let shared = self.heads / self.kv_heads;
        if shared == 1 {
            return x;
        }
        let [sequences, length, width] = x.dims();
        let d_head = width / self.kv_heads;
        x.reshape([sequences, length, self.kv_heads, 1, d_head])
            .expand([sequences, length, self.kv_heads, shared, d_head])
            .reshape([sequences, length, self.heads * d_head])
    }
}
