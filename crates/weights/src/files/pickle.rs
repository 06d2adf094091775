//! The part of Python's pickle protocol 2 that state dicts of PyTorch are written in. It builds values and runs
//! nothing: of what a pickle may import and call, six things are known, and they are data here.
//!
//! Opcodes: CPython's `pickletools.py`; what they build: PyTorch's `torch/_utils.py` and `torch/serialization.py`.

mod machine;

use std::path::Path;

use self::machine::{Machine, Value};
use super::encoding::Encoding;
use crate::Error;
use crate::error::shown;

/// How deep the state dict may lie in other dicts: `{"model": {"state_dict": ..}}`.
const MAX_NESTING: usize = 3;

/// Keys under which training scripts save the state dict beside other things.
const WRAPPERS: [&str; 2] = ["state_dict", "model"];

/// A view of a storage.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    /// The storage's name in the archive.
    pub storage: &'a str,
    pub encoding: Encoding,
    /// Values of the storage.
    pub length: usize,
    /// The storage's value that is the view's first.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The tensors of a state dict; its other values are left out. `path` is for messages.
pub(super) fn state_dict<'a>(
    path: &Path,
    pickle: &'a [u8],
) -> Result<Vec<(&'a str, View<'a>)>, Error> {
    let mut machine = Machine::new(path);
    let mut found = machine.run(pickle)?;
    for _ in 0..=MAX_NESTING {
        let items = machine.items(found);
        let tensors = items.filter_map(|(key, value)| match machine.get(value)? {
            Value::Tensor(view) => Some((key, (**view).clone())),
            _ => None,
        });
        let tensors: Vec<_> = tensors.collect();
        if !tensors.is_empty() {
            return Ok(tensors);
        }
        let wrapped = WRAPPERS.iter().find_map(|wrapper| {
            let mut items = machine.items(found);
            items.find(|(key, _)| key == wrapper)
        });
        match wrapped {
            Some((_, inner)) => found = inner,
            None => break,
        }
    }
    let keys: Vec<_> = machine
        .items(found)
        .map(|(key, _)| shown(key))
        .take(9)
        .collect();
    let reason = format!("holds no dict of tensors, but `{}`", keys.join("`, `"));
    let remedy = "save the model's state_dict() alone";
    Err(Error::format(path, reason, remedy))
}

/// What a pickle may import.
#[derive(Clone, Copy)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Encoding),
}

impl Global {
    fn new(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "DoubleStorage") => Global::Storage(Encoding::F64),
            ("torch", "FloatStorage") => Global::Storage(Encoding::F32),
            ("torch", "HalfStorage") => Global::Storage(Encoding::F16),
            ("torch", "BFloat16Storage") => Global::Storage(Encoding::Bf16),
            ("torch", "LongStorage") => Global::Storage(Encoding::I64),
            ("torch", "IntStorage") => Global::Storage(Encoding::I32),
            ("torch", "ByteStorage") => Global::Storage(Encoding::U8),
            ("torch", "BoolStorage") => Global::Storage(Encoding::Bool),
            _ => return None,
        })
    }
}
