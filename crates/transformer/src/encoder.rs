use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use schemars::JsonSchema;

use crate::{
    Activation, AttentionMask, AttentionPattern, Block, BlockConfig, ConfigError, LayerNorm,
    NormPlacement,
};

/// Configuration of an [`Encoder`].
#[derive(Config, Debug, JsonSchema)]
pub struct EncoderConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Number of attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Dropout on attention weights, hidden units and each residual branch.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Non-linearity of the feed-forward networks.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
    /// Normalise before or after each sub-layer.
    #[config(default = "NormPlacement::Pre")]
    pub norm: NormPlacement,
    /// Added to the variance in each LayerNorm.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// Which keys each query of self-attention is compared with.
    #[config(default = "AttentionPattern::Full")]
    pub attention: AttentionPattern,
    /// The activation opens a gate for a second projection (Shazeer 2020).
    #[config(default = false)]
    pub gated: bool,
    /// Each residual branch is scaled channel by channel, by trained numbers that start at this (LayerScale, Touvron et
    /// al. 2021); 0 for no scale.
    #[config(default = 0.0)]
    pub layer_scale: f64,
}

/// A stack of [`Block`]s; pre-norm stacks end with a LayerNorm.
#[derive(Module, Debug)]
pub struct Encoder {
    /// The blocks, first to last.
    pub blocks: Vec<Block>,
    /// After the last block, when pre-norm.
    pub norm: Option<LayerNorm>,
}

impl EncoderConfig {
    /// `layers` blocks shaped like `block`.
    pub fn stack(block: &BlockConfig, layers: usize) -> Self {
        Self {
            d_model: block.d_model,
            heads: block.heads,
            d_ff: block.d_ff,
            layers,
            dropout: block.dropout,
            activation: block.activation,
            norm: block.norm,
            norm_epsilon: block.norm_epsilon,
            attention: block.attention,
            gated: block.gated,
            layer_scale: block.layer_scale,
        }
    }

    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (heads, d_model) = (self.heads, self.d_model);
        ConfigError::unless(d_model > 0, "d_model", || "must be at least 1".into())?;
        ConfigError::unless(self.d_ff > 0, "d_ff", || "must be at least 1".into())?;
        ConfigError::unless(heads > 0 && d_model.is_multiple_of(heads), "heads", || {
            format!("is {heads}, which does not divide d_model ({d_model})")
        })?;
        ConfigError::unless((0.0..1.0).contains(&self.dropout), "dropout", || {
            format!("is {}, but must lie in [0, 1)", self.dropout)
        })?;
        self.attention.check()
    }

    /// The configuration of each block.
    pub fn block(&self) -> BlockConfig {
        BlockConfig {
            d_model: self.d_model,
            heads: self.heads,
            d_ff: self.d_ff,
            dropout: self.dropout,
            activation: self.activation,
            norm: self.norm,
            norm_epsilon: self.norm_epsilon,
            attention: self.attention,
            gated: self.gated,
            layer_scale: self.layer_scale,
        }
    }

    /// The norm after the last block: `None` when post-norm, where the last block ends with one.
    pub fn final_norm(&self, device: &Device) -> Option<LayerNorm> {
        (self.norm == NormPlacement::Pre)
            .then(|| LayerNorm::new(self.d_model, self.norm_epsilon, device))
    }

    /// An encoder with fresh weights.
    pub fn init(&self, device: &Device) -> Encoder {
        let block = self.block();
        Encoder {
            blocks: (0..self.layers).map(|_| block.init(device)).collect(),
            norm: self.final_norm(device),
        }
    }
}

impl Encoder {
    /// The longest sequence, a prompt included, where its attention was made for one.
    pub fn max_length(&self) -> Option<usize> {
        self.blocks.iter().find_map(Block::max_length)
    }

    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`
    /// - `padding`: `[batch, length]`, `true` = padding
    pub fn forward(&self, x: Tensor<3>, padding: Option<Tensor<2, Bool>>) -> Tensor<3> {
        self.forward_masked(x, padding.map(AttentionMask::padding).as_ref())
    }

    /// With any mask: causal, of a prefix, ...
    ///
    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`
    pub fn forward_masked(&self, x: Tensor<3>, mask: Option<&AttentionMask>) -> Tensor<3> {
        let layer = |x, block: &Block| block.forward(x, mask);
        self.end(self.blocks.iter().fold(x, layer))
    }

    /// With vectors of a prompt after the first `after` tokens, which the output leaves out. Each of the first `layers`
    /// blocks reads its own, in place of what the block before made of those it had; after that they go on (VPT, Jia et
    /// al. 2022, section 3.2: shallow with one layer, deep with as many as there are blocks).
    ///
    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`; `mask` covers the prompt as well
    /// - `prompt`: `[layers, batch or 1, tokens, d_model]`, each sequence's own or the same for all
    ///
    /// # Panics
    /// When there are fewer than `after` tokens.
    pub fn forward_prompted(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        prompt: Tensor<4>,
        after: usize,
    ) -> Tensor<3> {
        let [_, _, tokens, _] = prompt.dims();
        let x = self.prompted(x, mask, prompt, after, |_, _| ());
        self.end(without(x, after, tokens))
    }

    /// How much of its attention each token pays to the vectors of a prompt, layer by layer, the mean over the heads; none
    /// where a pattern other than full attention weighs.
    ///
    /// # Shapes
    /// - as [`forward_prompted`](Self::forward_prompted); outputs: `[batch, length]`, between 0 and 1
    ///
    /// # Panics
    /// As there.
    pub fn attention_to_prompt(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        prompt: Tensor<4>,
        after: usize,
    ) -> Option<Vec<Tensor<2>>> {
        let [_, _, tokens, _] = prompt.dims();
        let mut shares = Vec::with_capacity(self.blocks.len());
        self.prompted(x, mask, prompt, after, |block, x| {
            shares.push(block.attention_share(x.clone(), mask, after..after + tokens));
        });
        let share = |share: Option<Tensor<2>>| Some(without(share?, after, tokens));
        shares.into_iter().map(share).collect()
    }

    /// What leaves the last block, the prompt included; `see` is given what enters each.
    fn prompted(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        prompt: Tensor<4>,
        after: usize,
        mut see: impl FnMut(&Block, &Tensor<3>),
    ) -> Tensor<3> {
        let [batch, length, d_model] = x.dims();
        let [layers, _, tokens, _] = prompt.dims();
        let own = |layer| {
            let own = prompt.clone().narrow(0, layer, 1).squeeze_dim::<3>(0);
            own.expand([batch, tokens, d_model])
        };
        let rest = part(&x, after, length - after);
        let parts = [part(&x, 0, after), Some(own(0)), rest];
        let mut x = Tensor::cat(parts.into_iter().flatten().collect(), 1);
        for (layer, block) in self.blocks.iter().enumerate() {
            if (1..layers).contains(&layer) {
                x = x.slice_assign([0..batch, after..after + tokens], own(layer));
            }
            see(block, &x);
            x = block.forward(x, mask);
        }
        x
    }

    /// What enters the first block and what leaves each, before the norm that follows the last.
    ///
    /// # Shapes
    /// - `x` and outputs: `[batch, length, d_model]`
    pub fn hidden_states(&self, x: Tensor<3>, mask: Option<&AttentionMask>) -> Vec<Tensor<3>> {
        let mut states = vec![x.clone()];
        let layer = |x, block: &Block| {
            let x = block.forward(x, mask);
            states.push(x.clone());
            x
        };
        self.blocks.iter().fold(x, layer);
        states
    }

    /// Two-stream self-attention (XLNet, Yang et al. 2019, section 2.3). The content stream starts from the tokens, the
    /// query stream from what is known of a place before its token is: its position and one learnt vector. Its last
    /// states guess the tokens.
    ///
    /// # Shapes
    /// - `streams`, content then query, and output: `[batch, length, d_model]` each
    /// - `masks` of the two: [`AttentionMask::pairs`]
    pub fn two_streams(
        &self,
        streams: [Tensor<3>; 2],
        masks: &[AttentionMask; 2],
    ) -> [Tensor<3>; 2] {
        let layer = |streams, block: &Block| block.two_streams(streams, masks);
        self.blocks.iter().fold(streams, layer).map(|x| self.end(x))
    }

    fn end(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}

/// So many tokens from the one numbered `first`; there are no empty tensors.
fn part<const D: usize>(x: &Tensor<D>, first: usize, count: usize) -> Option<Tensor<D>> {
    (count > 0).then(|| x.clone().narrow(1, first, count))
}

/// All tokens but so many after the first `after`.
fn without<const D: usize>(x: Tensor<D>, after: usize, tokens: usize) -> Tensor<D> {
    let rest = x.dims()[1] - after - tokens;
    let parts = [part(&x, 0, after), part(&x, after + tokens, rest)];
    Tensor::cat(parts.into_iter().flatten().collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::TensorData;

    #[test]
    fn trains_everything_and_ends_with_a_norm_when_pre_norm() {
        for (norm, last) in [(NormPlacement::Pre, true), (NormPlacement::Post, false)] {
            let encoder = EncoderConfig::new(8, 2, 12, 3)
                .with_norm(norm)
                .init(&device());
            assert_eq!((encoder.blocks.len(), encoder.norm.is_some()), (3, last));
            let output = encoder.forward(values([2, 5, 8], 1, &device()), None);
            assert_eq!(output.dims(), [2, 5, 8]);
            assert_gradients_reach_everything(&encoder, output);
        }
    }

    #[test]
    fn hidden_states_lead_to_what_forward_gives() {
        let encoder = EncoderConfig::new(8, 2, 12, 3).init(&device());
        let (x, mask) = (values([2, 4, 8], 1, &device()), AttentionMask::causal());
        let states = encoder.hidden_states(x.clone(), Some(&mask));
        assert_eq!(states.len(), 4);
        assert_eq!(difference(states[0].clone(), x.clone()), 0.0);
        let second = encoder.blocks[1].forward(states[1].clone(), Some(&mask));
        assert_eq!(difference(states[2].clone(), second), 0.0);
        let last = encoder.norm.as_ref().unwrap().forward(states[3].clone());
        assert_eq!(
            difference(last, encoder.forward_masked(x, Some(&mask))),
            0.0
        );
    }

    #[test]
    fn vectors_of_a_prompt_are_tokens_that_are_left_out_and_replaced_layer_by_layer() {
        let encoder = EncoderConfig::new(8, 2, 12, 3).init(&device());
        let (x, prompt) = (
            values([2, 4, 8], 1, &device()),
            values([3, 2, 8], 2, &device()),
        );
        let own = |layer| prompt.clone().narrow(0, layer, 1).expand([2, 2, 8]);
        let part = |x: &Tensor<3>, first, count| x.clone().narrow(1, first, count);
        let joined = |x: &Tensor<3>, vectors: Tensor<3>, rest| {
            Tensor::cat(vec![part(x, 0, 1), vectors, part(x, rest, 3)], 1)
        };
        let first = encoder.blocks[0].forward(joined(&x, own(0), 1), None);
        // Those of one layer go on; those of three are put in the places of the ones before.
        let [shallow, deep] = [first.clone(), joined(&first, own(1), 3)];
        let shallow = encoder.blocks[1..]
            .iter()
            .fold(shallow, |x, block| block.forward(x, None));
        let deep = encoder.blocks[1].forward(deep, None);
        let deep = encoder.blocks[2].forward(joined(&deep, own(2), 3), None);
        for (layers, states) in [(1, shallow), (3, deep)] {
            let states = Tensor::cat(vec![part(&states, 0, 1), part(&states, 3, 3)], 1);
            let prompt = prompt.clone().narrow(0, 0, layers).unsqueeze_dim(1);
            let output = encoder.forward_prompted(x.clone(), None, prompt, 1);
            assert!(
                difference(output, encoder.end(states)) < 1e-6,
                "{layers} layers"
            );
        }
        let before = Tensor::cat(vec![own(0), x.clone()], 1);
        let before = part(&encoder.forward_masked(before, None), 2, 4);
        let output = encoder.forward_prompted(x, None, prompt.narrow(0, 0, 1).unsqueeze_dim(1), 0);
        assert_eq!(difference(output, before), 0.0);
    }

    #[test]
    fn each_sequence_may_have_a_prompt_of_its_own() {
        let encoder = EncoderConfig::new(8, 2, 12, 3).init(&device());
        let x: Tensor<3> = values([2, 4, 8], 1, &device());
        let prompt: Tensor<4> = values([2, 2, 3, 8], 2, &device());
        let output = encoder.forward_prompted(x.clone(), None, prompt.clone(), 1);
        for row in 0..2 {
            let (x, own) = (
                x.clone().narrow(0, row, 1),
                prompt.clone().narrow(1, row, 1),
            );
            let alone = encoder.forward_prompted(x, None, own, 1);
            assert!(difference(output.clone().narrow(0, row, 1), alone) < 1e-5);
        }
    }

    #[test]
    fn attention_to_a_prompt_is_seen_layer_by_layer() {
        let encoder = EncoderConfig::new(8, 2, 12, 2).init(&device());
        let x: Tensor<3> = values([2, 4, 8], 1, &device());
        let prompt: Tensor<4> = values([1, 1, 2, 8], 2, &device());
        let shares = encoder.attention_to_prompt(x.clone(), None, prompt.clone(), 1);
        let shares = shares.unwrap();
        let vectors = prompt.squeeze_dim::<3>(0).expand([2, 2, 8]);
        let parts = [
            x.clone().narrow(1, 0, 1),
            vectors,
            x.clone().narrow(1, 1, 3),
        ];
        let whole = Tensor::cat(parts.to_vec(), 1);
        let states = encoder.hidden_states(whole, None);
        for ((found, block), state) in shares.iter().zip(&encoder.blocks).zip(&states) {
            let share = block.attention_share(state.clone(), None, 1..3).unwrap();
            let expected = [share.clone().narrow(1, 0, 1), share.narrow(1, 3, 3)];
            assert_eq!(
                difference(found.clone(), Tensor::cat(expected.to_vec(), 1)),
                0.0
            );
        }
        assert_eq!(shares.len(), 2);
        let window = AttentionPattern::Window(crate::WindowAttentionConfig {
            window: 2,
            global: 1,
        });
        let windows = EncoderConfig::new(8, 2, 12, 2).with_attention(window);
        let prompt = values([1, 1, 2, 8], 2, &device());
        let none = windows
            .init(&device())
            .attention_to_prompt(x, None, prompt, 1);
        assert!(none.is_none());
    }

    #[test]
    fn gates_and_scales_of_branches_train_as_well() {
        let encoder = EncoderConfig::new(8, 2, 12, 2)
            .with_gated(true)
            .with_layer_scale(0.5)
            .init(&device());
        let x = values([2, 5, 8], 1, &device());
        assert_gradients_reach_everything(&encoder, encoder.forward(x, None));
    }

    #[test]
    fn content_at_padded_positions_is_ignored() {
        let encoder = EncoderConfig::new(8, 2, 12, 2).init(&device());
        let padding = [[false, false, false, true], [false, true, true, true]];
        let padding = Tensor::<2, Bool>::from_data(TensorData::from(padding), &device());
        let x = values([2, 4, 8], 1, &device());
        let hidden = padding.clone().unsqueeze_dim::<3>(2).expand([2, 4, 8]);
        let changed = x
            .clone()
            .mask_where(hidden.clone(), values([2, 4, 8], 2, &device()));
        let [a, b] = [x, changed].map(|x| {
            let output = encoder.forward(x, Some(padding.clone()));
            output.mask_fill(hidden.clone(), 0.0)
        });
        assert_eq!(difference(a, b), 0.0);
    }

    #[test]
    fn sizes_that_do_not_fit_name_the_field() {
        let good = EncoderConfig::new(8, 2, 12, 2);
        assert_eq!(good.check(), Ok(()));
        for (config, field) in [
            (EncoderConfig::new(0, 2, 12, 2), "d_model"),
            (EncoderConfig::new(8, 3, 12, 2), "heads"),
            (EncoderConfig::new(8, 0, 12, 2), "heads"),
            (EncoderConfig::new(8, 2, 0, 2), "d_ff"),
            (good.clone().with_dropout(1.0), "dropout"),
            (good.with_dropout(f64::NAN), "dropout"),
        ] {
            assert_eq!(config.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn every_field_is_described() {
        let schema = schemars::schema_for!(EncoderConfig);
        let fields = schema
            .get("properties")
            .and_then(|fields| fields.as_object())
            .unwrap();
        assert_eq!(fields.len(), 11);
        for (name, field) in fields {
            assert!(field.get("description").is_some(), "{name}");
        }
    }
}
