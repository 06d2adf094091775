//! Prompts to take elsewhere: folders in the layout of Hugging Face `peft`.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;
use crucible_prompt::prefix::{Prefix, Sizes};
use crucible_training::{Error, Recipe, Run, checkpoint, config, tell};
use crucible_weights::{AdapterKind, AdapterModel, PromptAdapter};
use toml::Table;

use super::asking::{Asking, Opened};
use super::{Text, TextConfig};

/// The prompt of a folder, before a model of those sizes.
///
/// # Errors
///
/// When it cannot be read, does not fit, was trained for other weights, or has changed since the run started.
pub fn open(path: &str, opened: &Opened, sizes: &Sizes, run: &Run) -> Result<Prefix, Error> {
    if path.is_empty() {
        return Err(Error::Usage(
            "prefix.path is empty; name a folder that `crucible export` or `peft` wrote".into(),
        ));
    }
    let adapter = PromptAdapter::open(Path::new(path)).map_err(Error::data)?;
    run.record_weights("prefix", adapter.read)?;
    let digests = |weights: &BTreeMap<String, String>| {
        let mut digests: Vec<String> = weights.values().cloned().collect();
        digests.sort();
        digests
    };
    let (trained_for, found) = (digests(&adapter.weights), digests(&opened.backbone.digests));
    if trained_for.is_empty() {
        tell!("warning: {path} does not say which weights it was trained for");
    } else if trained_for != found {
        return Err(Error::Usage(format!(
            "prefix.path: {path} was trained before other weights ({}) than the backbone has ({}); name those",
            trained_for.join(", "),
            found.join(", ")
        )));
    }
    let keys = adapter.kind == AdapterKind::PrefixTuning;
    let numbers = TensorData::new(adapter.values, adapter.shape);
    let refused = |reason: String| Error::Usage(format!("prefix.path: {path} {reason}"));
    let prefix =
        Prefix::of(numbers, keys, &opened.device).ok_or_else(|| refused("is empty".into()))?;
    let fits = prefix.check(sizes);
    fits.map_err(|error| refused(format!("does not fit the backbone: {error}")))?;
    Ok(prefix)
}

/// Writes the prefix of a finished run.
///
/// # Errors
///
/// [`Error::Usage`] for a run without one, and those of reading and writing.
pub fn export(table: &Table, run: &Run, folder: &Path) -> Result<(), Error> {
    let config = config::read::<TextConfig>(table)?;
    let opened = config.backbone(run)?;
    let asking = Asking::reopen(run)?;
    let (model, _) = asking.start(&config, &opened, run)?;
    if model.prefix.is_none() {
        return Err(Error::Usage(format!(
            "{} trained no prefix; what is exported are the vectors of prefix=prompt-tuning, p-tuning and prefix-tuning",
            run.dir.path().display()
        )));
    }
    if model.soft.is_some() || model.head.is_some() {
        tell!("warning: the vectors within templates and the verbalizer stay with the run");
    }
    let model = match model.trains() {
        true => checkpoint::load_newest(&run.dir, model)?,
        false => model,
    };
    let Some(prefix) = model.prefix else {
        return Ok(());
    };
    let numbers = prefix.numbers();
    let &[tokens, width] = &numbers.shape().to_vec()[..] else {
        return Err(Error::Usage(format!(
            "a prompt of {} has vectors of each layer, which `peft` does not know",
            Text::NAME
        )));
    };
    let sizes = &opened.backbone.config;
    let d_head = match sizes.d_head {
        0 => sizes.d_model / sizes.heads,
        d_head => d_head,
    };
    let kv_heads = match sizes.kv_heads {
        0 => sizes.heads,
        heads => heads,
    };
    let (kind, heads, d_keys) = match prefix {
        Prefix::PrefixTuning(_) => (AdapterKind::PrefixTuning, kv_heads, kv_heads * d_head),
        _ => (AdapterKind::PromptTuning, sizes.heads, sizes.d_model),
    };
    let adapter = PromptAdapter {
        kind,
        shape: [tokens, width],
        values: numbers.iter().collect(),
        weights: opened.backbone.digests.clone(),
        read: BTreeMap::new(),
    };
    let model = AdapterModel {
        name: &config.backbone,
        width: d_keys,
        heads,
        layers: sizes.layers,
    };
    adapter.save(folder, model).map_err(Error::data)?;
    for template in &asking.templates {
        tell!("asked as: {template}");
    }
    Ok(())
}
