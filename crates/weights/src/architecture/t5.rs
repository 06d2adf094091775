//! T5 and Flan-T5.

use std::path::Path;

use burn::tensor::Device;
use crucible_transformer::{Seq2Seq, Seq2SeqConfig};
use serde_json::Value;

use super::fields::Fields;
use super::{activation, head, unsupported};
use crate::Error;
use crate::files::{self, Tensors};
use crate::load::{Loaded, load};
use crate::rules::Rules;

/// `model_type` of each architecture with an encoder and a decoder.
const SUPPORTED: &[&str] = &["t5"];
const START: &str = "decoder_start_token_id";
const BUCKETS: &str = "relative_attention_num_buckets";
const MAX_DISTANCE: &str = "relative_attention_max_distance";

/// An encoder-decoder language model with what its checkpoint tells of it.
#[derive(Clone, Debug)]
pub struct Seq2SeqCheckpoint {
    /// The sizes.
    pub config: Seq2SeqConfig,
    /// Which tensor is which.
    pub rules: Rules,
    /// Its `config.json`.
    pub json: Value,
}

impl Seq2SeqCheckpoint {
    /// Reads what a folder or a file says of its model, and no tensor yet.
    ///
    /// # Errors
    ///
    /// [`Error::Architecture`] for one that is no encoder-decoder, [`Error::Config`] for a key that makes no sense, and
    /// those of reading.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let json = files::config(path)?;
        let fields = Fields::new(path, json.clone())?;
        let model_type = fields.word_or("model_type", "")?;
        if !SUPPORTED.contains(&model_type) {
            return Err(unsupported(path, model_type, SUPPORTED));
        }
        let config = config(&fields)?;
        Ok(Self {
            rules: rules(&config),
            config,
            json,
        })
    }

    /// The model with its weights.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Shapes`] with the names of the tensors, and those of reading.
    pub fn load(&self, path: &Path, device: &Device) -> Result<(Seq2Seq, Loaded), Error> {
        let tensors = Tensors::open(path)?;
        let (model, loaded) = load(self.config.init(device), &self.rules, &tensors)?;
        let loaded = loaded.complete(&tensors)?;
        Ok((model, loaded))
    }
}

fn config(fields: &Fields) -> Result<Seq2SeqConfig, Error> {
    fields.only("is_encoder_decoder", true)?;
    let (vocabulary, layers) = (fields.size("vocab_size")?, fields.layers("num_layers")?);
    let decoder_layers = match fields.has("num_decoder_layers") {
        true => fields.layers("num_decoder_layers")?,
        false => layers,
    };
    // One word says both, which newer configurations take apart.
    let network = fields.word_or("feed_forward_proj", "relu")?;
    let (gated, name) = match network.strip_prefix("gated-") {
        // The first T5 with gates meant the approximation.
        Some("gelu") => (true, "gelu_new"),
        Some(name) => (true, name),
        None => (false, network),
    };
    fields.only("is_gated_act", gated)?;
    let start = fields.number_or(START, 0.0)?;
    if start.fract() != 0.0 || !(0.0..vocabulary as f64).contains(&start) {
        return Err(fields.wrong(
            START,
            format!("is {start}, not one of the {vocabulary} tokens"),
        ));
    }
    let config = Seq2SeqConfig::new(
        vocabulary,
        fields.size("d_model")?,
        fields.size("num_heads")?,
        fields.size("d_ff")?,
        layers,
    )
    .with_decoder_layers(decoder_layers)
    .with_d_head(fields.size("d_kv")?)
    .with_max_length(fields.size_or("n_positions", 512)?)
    .with_buckets(fields.size_or(BUCKETS, 32)?)
    .with_max_distance(fields.size_or(MAX_DISTANCE, 128)?)
    .with_norm_epsilon(fields.number_or("layer_norm_epsilon", 1e-6)?)
    .with_activation(activation(fields, "dense_act_fn", name)?)
    .with_gated(gated)
    .with_tied(fields.flag_or("tie_word_embeddings", true)?)
    .with_decoder_start(start as u32);
    let check = config.check();
    check.map_err(|error| {
        let key = match error.field {
            "buckets" => BUCKETS,
            "max_distance" => MAX_DISTANCE,
            other => other,
        };
        fields.wrong(key, error.reason)
    })?;
    Ok(config)
}

fn rules(config: &Seq2SeqConfig) -> Rules {
    let mut rules = Rules::default();
    rules.same("word.weight", "shared.weight");
    // What both stacks call it.
    rules.ignore("coder.embed_tokens.weight");
    // The first checkpoints hold one that was never read.
    rules.ignore("EncDecAttention.relative_attention_bias.weight");
    for (stack, layers) in [
        ("encoder", config.layers),
        ("decoder", config.blocks_of_decoder()),
    ] {
        rules.same(
            format!("{stack}.relative.table.weight"),
            format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        );
        rules.same(
            format!("{stack}.norm.gamma"),
            format!("{stack}.final_layer_norm.weight"),
        );
        for layer in 0..layers {
            block(&mut rules, stack, layer, config.gated);
        }
    }
    head(&mut rules, config.tied);
    rules
}

/// Parts of a block are layers by number there.
fn block(rules: &mut Rules, stack: &str, layer: usize, gated: bool) {
    let (ours, theirs) = (
        format!("{stack}.blocks.{layer}"),
        format!("{stack}.block.{layer}.layer"),
    );
    let parts: &[_] = match stack {
        "encoder" => &["attention", "feed_forward"],
        _ => &["attention", "cross", "feed_forward"],
    };
    for (number, part) in parts.iter().enumerate() {
        rules.same(
            format!("{ours}.{part}_norm.gamma"),
            format!("{theirs}.{number}.layer_norm.weight"),
        );
        let (module, layers): (_, &[_]) = match (*part, gated) {
            ("feed_forward", true) => (
                "DenseReluDense",
                &[("gate", "wi_0"), ("inner", "wi_1"), ("outer", "wo")],
            ),
            ("feed_forward", false) => ("DenseReluDense", &[("inner", "wi"), ("outer", "wo")]),
            ("cross", _) => ("EncDecAttention", SIDES),
            _ => ("SelfAttention", SIDES),
        };
        for (layer, name) in layers {
            rules.linear(
                &format!("{ours}.{part}.{layer}.linear"),
                &format!("{theirs}.{number}.{module}.{name}"),
            );
        }
    }
}

const SIDES: &[(&str, &str)] = &[
    ("query", "q"),
    ("key", "k"),
    ("value", "v"),
    ("output", "o"),
];
