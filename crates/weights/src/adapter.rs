//! A trained prompt as a folder that Hugging Face `peft` loads, and such a folder as a prompt.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::folder::{new_folder, write};
use crate::{Error, files};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What no other tool reads: which weights the prompt was trained for.
const ORIGIN: &str = "crucible.json";
/// The one tensor of a prompt, by the name that `peft` gives it.
const TENSOR: &str = "prompt_embeddings";

/// Where the rows of a [`PromptAdapter`] go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdapterKind {
    /// Before the words (Lester et al. 2021).
    #[serde(rename = "PROMPT_TUNING")]
    PromptTuning,
    /// Before the words, made by a network in training (Liu et al. 2021): the same once it is trained.
    #[serde(rename = "P_TUNING")]
    PTuning,
    /// Keys and values before those of the words, layer by layer (Li and Liang 2021).
    #[serde(rename = "PREFIX_TUNING")]
    PrefixTuning,
}

/// A prompt that was trained in front of a causal language model.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptAdapter {
    /// Where its rows go.
    pub kind: AdapterKind,
    /// `[tokens, width]`: the model's width, or `layers * 2 * kv_heads * d_head` of keys and values.
    pub shape: [usize; 2],
    /// Row by row.
    pub values: Vec<f32>,
    /// SHA-256 of each file of the weights it was trained for, by its name; nothing of a folder by other tools.
    pub weights: BTreeMap<String, String>,
    /// SHA-256 of the file that it was read from; nothing of a prompt that was not.
    pub read: BTreeMap<String, String>,
}

/// What `peft` asks for of the model.
#[derive(Clone, Copy, Debug)]
pub struct AdapterModel<'a> {
    /// Its name, or where it lies.
    pub name: &'a str,
    /// Width of its tokens, or of all heads of keys for keys and values.
    pub width: usize,
    /// Heads, or heads of keys for keys and values.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
}

#[derive(Deserialize)]
struct Config {
    peft_type: AdapterKind,
    num_virtual_tokens: usize,
}

#[derive(Serialize, Deserialize)]
struct Origin {
    weights: BTreeMap<String, String>,
}

impl PromptAdapter {
    /// Writes the folder, which is whole or not there.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when there already is something in `folder`, and those of writing.
    pub fn save(&self, folder: &Path, model: AdapterModel) -> Result<(), Error> {
        let config = json!({
            "peft_type": self.kind,
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": model.name,
            "inference_mode": true,
            "num_virtual_tokens": self.shape[0],
            "token_dim": model.width,
            "num_attention_heads": model.heads,
            "num_layers": model.layers,
            "num_transformer_submodules": 1,
        });
        let origin = json!(Origin {
            weights: self.weights.clone()
        });
        new_folder(folder, |inside| {
            let tensor = || Ok(self.values.clone());
            let tensors = [(TENSOR.to_owned(), self.shape.to_vec(), tensor)];
            files::save(&inside.join(WEIGHTS), tensors.into_iter())?;
            for (name, value) in [(CONFIG, config), (ORIGIN, origin)] {
                let (path, text) = (inside.join(name), format!("{value:#}\n"));
                write(&path, text.as_bytes()).map_err(|error| Error::io(&path, error))?;
            }
            Ok(())
        })
    }

    /// Reads a folder, of ours or of `peft`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for what cannot be read, [`Error::Format`] for what is no prompt of a causal model.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        const REMEDY: &str = "take a folder of `crucible export`, or of `peft` for prompt tuning, P-tuning or prefix tuning";
        let refused = |path: &Path, reason: String| Error::format(path, reason, REMEDY);
        let Some(config) = read::<Config>(folder, CONFIG, REMEDY)? else {
            return Err(refused(folder, format!("it has no {CONFIG}")));
        };
        let origin = read::<Origin>(folder, ORIGIN, REMEDY)?;
        let weights = origin.map(|origin| origin.weights).unwrap_or_default();
        let path = folder.join(WEIGHTS);
        let tensors = files::Tensors::open(&path)?;
        let read = tensors.digests(&mut |_| ())?;
        let shape = tensors.shape(TENSOR).unwrap_or_default();
        let &[tokens, width] = shape else {
            let names: Vec<&str> = tensors.names().take(3).collect();
            let found = format!("it has no `{TENSOR}` of two axes but {}", names.join(", "));
            return Err(refused(&path, found));
        };
        if tokens != config.num_virtual_tokens || tokens * width == 0 {
            let said = config.num_virtual_tokens;
            let found = format!("it has {tokens} rows of {width}, and {CONFIG} says {said}");
            return Err(refused(&path, found));
        }
        Ok(Self {
            kind: config.peft_type,
            shape: [tokens, width],
            values: tensors.read(TENSOR)?,
            weights,
            read,
        })
    }
}

/// A settings file of the folder; none where there is no such file.
fn read<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
    remedy: &'static str,
) -> Result<Option<T>, Error> {
    let refused =
        |error: serde_json::Error| Error::format(&folder.join(name), error.to_string(), remedy);
    let value = files::settings(folder, name)?;
    value
        .map(serde_json::from_value)
        .transpose()
        .map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn adapter() -> PromptAdapter {
        PromptAdapter {
            kind: AdapterKind::PrefixTuning,
            shape: [2, 3],
            values: vec![0.5, -1.0, 2.0, 0.25, f32::MIN_POSITIVE, -0.0],
            weights: BTreeMap::from([("model.safetensors".into(), "abc".into())]),
            read: BTreeMap::new(),
        }
    }

    fn saved() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let model = AdapterModel {
            name: "some",
            width: 3,
            heads: 1,
            layers: 1,
        };
        adapter()
            .save(&folder.path().join("prompt"), model)
            .unwrap();
        folder
    }

    #[test]
    fn a_prompt_comes_back_as_it_was() {
        let folder = saved();
        let path = folder.path().join("prompt");
        let found = PromptAdapter::open(&path).unwrap();
        assert_eq!(found.read.len(), 1);
        let read = found.read.clone();
        assert_eq!(found, PromptAdapter { read, ..adapter() });
        // By another tool, which does not know what it was trained for.
        fs::remove_file(path.join(ORIGIN)).unwrap();
        assert!(PromptAdapter::open(&path).unwrap().weights.is_empty());
    }

    #[test]
    fn what_is_no_prompt_is_told() {
        for (file, content, said) in [
            (
                CONFIG,
                "{\"peft_type\": \"LORA\", \"num_virtual_tokens\": 2}",
                "LORA",
            ),
            (
                CONFIG,
                "{\"peft_type\": \"PROMPT_TUNING\", \"num_virtual_tokens\": 3}",
                "2 rows of 3",
            ),
            (CONFIG, "{", "EOF"),
            (ORIGIN, "[]", ORIGIN),
            (WEIGHTS, "none", WEIGHTS),
        ] {
            let folder = saved();
            let path = folder.path().join("prompt");
            fs::write(path.join(file), content).unwrap();
            let error = PromptAdapter::open(&path).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            fs::remove_file(path.join(file)).unwrap();
            assert_eq!(PromptAdapter::open(&path).is_ok(), file == ORIGIN);
        }
        assert!(
            adapter()
                .save(
                    saved().path(),
                    AdapterModel {
                        name: "",
                        width: 3,
                        heads: 1,
                        layers: 1
                    }
                )
                .is_err()
        );
    }
}
