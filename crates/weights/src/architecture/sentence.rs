use std::path::Path;

use burn::tensor::Tensor;
use crucible_transformer::{Encoded, Pooling};

use super::fields::Fields;
use crate::Error;
use crate::files;

/// How sentence-transformers make one vector of a sentence (Reimers and Gurevych 2019, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentenceEmbedding {
    /// How the last states become one.
    pub pooling: Pooling,
    /// Whether it is brought to length 1.
    pub normalize: bool,
}

/// The least length that is divided by.
const LEAST: f64 = 1e-12;

impl SentenceEmbedding {
    /// What the checkpoint's `modules.json` and `1_Pooling/config.json` say; none where it has no `modules.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for what is missing, makes no sense or is not supported, and those of reading.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        const MODULES: &str = "modules.json";
        const POOLING: &str = "1_Pooling/config.json";
        let wrong = |key: &str, reason: String| Error::Config {
            path: path.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let Some(modules) = files::settings(path, MODULES)? else {
            return Ok(None);
        };
        let modules = modules.as_array().cloned().unwrap_or_default();
        let kind = |module: &serde_json::Value| {
            let name = module.get("type")?.as_str()?;
            name.rsplit('.').next().map(str::to_owned)
        };
        let kinds: Vec<_> = modules.iter().filter_map(kind).collect();
        let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
        let normalize = match kinds.as_slice() {
            ["Transformer", "Pooling"] => false,
            ["Transformer", "Pooling", "Normalize"] => true,
            other => {
                let reason = format!(
                    "names {other:?}; Transformer, Pooling and perhaps Normalize are supported"
                );
                return Err(wrong(MODULES, reason));
            }
        };
        let Some(json) = files::settings(path, POOLING)? else {
            return Err(wrong(POOLING, "is missing".into()));
        };
        let fields = Fields::new(path, json)?;
        for mode in ["mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"] {
            fields.only(&format!("pooling_mode_{mode}"), false)?;
        }
        let mut found = Vec::new();
        for (mode, pooling) in [
            ("cls_token", Pooling::Cls),
            ("mean_tokens", Pooling::Mean),
            ("max_tokens", Pooling::Max),
        ] {
            if fields.flag_or(&format!("pooling_mode_{mode}"), false)? {
                found.push(pooling);
            }
        }
        match found.as_slice() {
            &[pooling] => Ok(Some(Self { pooling, normalize })),
            other => Err(wrong(
                POOLING,
                format!("asks for {} kinds of pooling, not one", other.len()),
            )),
        }
    }

    /// # Shapes
    /// - output: `[batch, d_model]`
    pub fn forward(&self, encoded: &Encoded) -> Tensor<2> {
        let tokens = encoded.tokens.clone();
        let pooled = self.pooling.forward(tokens, encoded.mask.as_ref());
        match self.normalize {
            true => {
                let length = pooled.clone().square().sum_dim(1).sqrt();
                pooled / length.clamp_min(LEAST)
            }
            false => pooled,
        }
    }
}
