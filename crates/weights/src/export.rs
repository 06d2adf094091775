//! A model as published tensors.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::Error;
use crate::arrange::{Array, theirs};
use crate::files;
use crate::names::listed;
use crate::rules::{Form, Part, Rules};

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
    let mut named: BTreeMap<String, BTreeMap<usize, String>> = BTreeMap::new();
    let mut unnamed = Vec::new();
    for path in ours.keys() {
        match rules.get(path) {
            Some(rule) => {
                let index = rule.part.map_or(0, |part| part.index);
                named
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
    let mut written = Vec::with_capacity(named.len());
    for (name, paths) in named {
        let parts = paths.values().filter_map(|path| {
            let rule = rules.get(path)?;
            Some((rule.form, rule.part, ours.remove(path)?))
        });
        let whole = Whole {
            parts: parts.collect(),
        };
        let unnamed = || Error::Unnamed {
            tensors: name.clone(),
        };
        let shape = whole.shape().ok_or_else(unnamed)?;
        let fetched = name.clone();
        let values = move || {
            let whole = whole.fetched();
            let tensors = fetched;
            Ok(whole.ok_or(Error::Unnamed { tensors })?.values)
        };
        written.push((name, shape, values));
    }
    files::save(path, written.into_iter())
}

/// A tensor of theirs, of one of ours or of several, whose numbers are still where the model has them.
struct Whole {
    parts: Vec<(Form, Option<Part>, Numbers)>,
}

impl Whole {
    /// Its shape; none where ours do not fit.
    fn shape(&self) -> Option<Vec<usize>> {
        let (form, part, first) = self.parts.first()?;
        let mut shape = theirs(*form, &first.shape)?;
        if let Some(part) = part {
            *shape.get_mut(part.axis)? *= self.parts.len();
        }
        Some(shape)
    }

    /// Its numbers.
    fn fetched(self) -> Option<Array> {
        let axis = self.parts.first()?.1.map(|part| part.axis);
        let parts = self.parts.into_iter().map(|(form, _, numbers)| {
            Array::new(numbers.shape, (numbers.values)()).into_theirs(form)
        });
        let mut parts = parts.collect::<Option<Vec<Array>>>()?;
        match axis {
            Some(axis) => Array::joined(&parts, axis),
            None => parts.pop(),
        }
    }
}

/// A tensor of ours, and what gives its values: the whole model as such is never held twice.
struct Numbers {
    shape: Vec<usize>,
    values: Box<dyn FnOnce() -> Vec<f32>>,
}

/// Tensors by their paths.
#[derive(Default)]
struct Collecting {
    path: Vec<String>,
    found: BTreeMap<String, Numbers>,
}

impl ModuleVisitor for Collecting {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let numbers = Numbers {
            shape: tensor.dims().to_vec(),
            values: Box::new(move || tensor.into_data().iter().collect()),
        };
        self.found.insert(self.path.join("."), numbers);
    }
}
