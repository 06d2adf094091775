//! How the names of one checkpoint differ from those of another of the same architecture.

use crate::files::Tensors;

/// Whether any name is such a one.
pub(super) fn any(tensors: &Tensors, is: impl Fn(&str) -> bool) -> bool {
    let mut names = tensors.names();
    names.any(is)
}

/// What stands before the names: a model by itself lacks what it is called by beside a head.
pub(super) fn prefix(tensors: &Tensors, prefix: &'static str) -> &'static str {
    match any(tensors, |name| name.starts_with(prefix)) {
        true => prefix,
        false => "",
    }
}
