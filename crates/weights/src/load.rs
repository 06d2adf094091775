//! Published tensors into a model.

use std::fmt;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::Error;
use crate::arrange::Array;
use crate::files::Tensors;
use crate::names::listed;
use crate::rules::Rules;

/// What became of the tensors of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// How many tensors of the model have their numbers from it.
    pub taken: usize,
    /// Paths of the model's tensors that it lacks.
    pub missing: Vec<String>,
    /// Names of its tensors that the model has no place for.
    pub unused: Vec<String>,
}

/// `272 tensors`, and the names of those that were not used.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors", self.taken)?;
        match self.unused.is_empty() {
            true => Ok(()),
            false => write!(f, "; not used: {}", listed(&self.unused)),
        }
    }
}

/// Gives a model the tensors of a checkpoint. Fresh weights that are replaced are never drawn.
///
/// # Errors
///
/// [`Error::Shapes`] with every tensor of another shape, and those of reading.
pub fn load<M: Module>(model: M, rules: &Rules, tensors: &Tensors) -> Result<(M, Loaded), Error> {
    let mut placing = Placing {
        path: Vec::new(),
        rules,
        tensors,
        used: Vec::new(),
        loaded: Loaded::default(),
        wrong: Vec::new(),
        failed: None,
    };
    let model = model.map(&mut placing);
    if let Some(error) = placing.failed {
        return Err(error);
    }
    if !placing.wrong.is_empty() {
        return Err(Error::Shapes {
            path: tensors.path().to_owned(),
            tensors: listed(&placing.wrong),
        });
    }
    let mut loaded = placing.loaded;
    placing.used.sort_unstable();
    let unused = tensors.names().filter(|name| {
        placing
            .used
            .binary_search_by(|used| used.as_str().cmp(name))
            .is_err()
            && !rules.ignores(name)
    });
    loaded.unused = unused.map(String::from).collect();
    Ok((model, loaded))
}

impl Loaded {
    /// That every tensor of the model was found.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] with the names of those that were not.
    pub fn complete(self, tensors: &Tensors) -> Result<Self, Error> {
        match self.missing.is_empty() {
            true => Ok(self),
            false => Err(Error::Missing {
                path: tensors.path().to_owned(),
                missing: listed(&self.missing),
                unused: listed(&self.unused),
            }),
        }
    }
}

struct Placing<'a> {
    path: Vec<String>,
    rules: &'a Rules,
    tensors: &'a Tensors,
    used: Vec<String>,
    loaded: Loaded,
    wrong: Vec<String>,
    failed: Option<Error>,
}

impl Placing<'_> {
    /// The numbers of the tensor at the present path, where there are any.
    fn find(&mut self, shape: &[usize]) -> Result<Option<TensorData>, Error> {
        let path = self.path.join(".");
        if self.rules.lacks(&path) {
            return Ok(None);
        }
        let rule = self.rules.get(&path).cloned();
        let found = rule.and_then(|rule| {
            let names = self.rules.names(&rule.theirs);
            let mut shapes = names.into_iter().filter_map(|name| {
                let there = self.tensors.shape(&name)?.to_vec();
                Some((name, there))
            });
            shapes.next().map(|(name, there)| (name, rule, there))
        });
        let Some((name, rule, there)) = found else {
            self.loaded.missing.push(path);
            return Ok(None);
        };
        self.used.push(name.clone());
        let size = there
            .iter()
            .try_fold(1_usize, |size, side| size.checked_mul(*side));
        let wanted: usize = shape.iter().product();
        let parts = rule.part.map_or(1, |part| part.of);
        let array = match (size == wanted.checked_mul(parts), rule.part) {
            // Nothing of another size is read at all.
            (false, _) => None,
            (true, part) => {
                let whole = Array::new(there.clone(), self.tensors.read(&name)?);
                match part {
                    Some(part) => whole.part(part),
                    None => Some(whole),
                }
            }
        };
        let Some(array) = array.and_then(|array| array.into_ours(rule.form, shape)) else {
            self.wrong.push(format!(
                "`{name}` is {there:?} there, where the model has {shape:?} at `{path}`"
            ));
            return Ok(None);
        };
        self.loaded.taken += 1;
        Ok(Some(TensorData::new(array.values, array.shape)))
    }
}

impl ModuleMapper for Placing<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.failed.is_some() {
            return param;
        }
        let shape = param.lazy_shape().to_vec();
        match self.find(&shape) {
            Ok(Some(data)) => {
                let tensor = Tensor::from_data(data, &param.lazy_device());
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Ok(None) => param,
            Err(error) => {
                self.failed = Some(error);
                param
            }
        }
    }
}
