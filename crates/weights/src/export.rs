//! A model as published tensors.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::Error;
use crate::arrange::Array;
use crate::files;
use crate::names::listed;
use crate::rules::Rules;

/// Writes the tensors of a model to one safetensors file, under the names and in the forms of the rules.
///
/// # Errors
///
/// [`Error::Unnamed`] when a tensor of the model has no rule, as adapters have none before they are merged, and those of
/// writing.
pub fn export<M: Module>(model: &M, rules: &Rules, path: &Path) -> Result<(), Error> {
    let mut tensors = Collecting::default();
    model.visit(&mut tensors);
    let mut ours = tensors.found;
    // Theirs, with the paths of ours that it is made of, in order.
    let mut theirs: BTreeMap<String, BTreeMap<usize, String>> = BTreeMap::new();
    let mut unnamed = Vec::new();
    for path in ours.keys() {
        match rules.get(path) {
            Some(rule) => {
                let index = rule.part.map_or(0, |part| part.index);
                theirs
                    .entry(rule.theirs.clone())
                    .or_default()
                    .insert(index, path.clone());
            }
            None if rules.lacks(path) => {}
            None => unnamed.push(path.clone()),
        }
    }
    if !unnamed.is_empty() {
        return Err(Error::Unnamed {
            tensors: listed(&unnamed),
        });
    }
    let mut written = Vec::with_capacity(theirs.len());
    for (name, paths) in theirs {
        let mut parts = Vec::with_capacity(paths.len());
        let mut axis = None;
        for path in paths.values() {
            let rule = rules.get(path);
            let array = ours.remove(path);
            let form = rule
                .zip(array)
                .and_then(|(rule, array)| array.to_theirs(rule.form));
            parts.extend(form);
            axis = rule.and_then(|rule| rule.part).map(|part| part.axis);
        }
        let whole = match axis {
            Some(axis) => Array::joined(&parts, axis),
            None => parts.pop(),
        };
        let whole = whole.ok_or_else(|| Error::Unnamed {
            tensors: name.clone(),
        })?;
        let values = whole.values;
        written.push((name, whole.shape, move || Ok(values)));
    }
    files::save(path, written.into_iter())
}

/// Tensors by their paths.
#[derive(Default)]
struct Collecting {
    path: Vec<String>,
    found: BTreeMap<String, Array>,
}

impl ModuleVisitor for Collecting {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        let shape = data.shape().to_vec();
        let values = data.iter::<f32>().collect();
        self.found
            .insert(self.path.join("."), Array::new(shape, values));
    }
}
