//! Where a part of a model begins: fresh, with published weights, or where its run has come to.

use std::path::PathBuf;

use crucible_training::{Error, Run, tell};
use crucible_weights::files::Tensors;
use crucible_weights::{Loaded, locate};

/// Where a part of a model begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// With numbers that are drawn.
    Fresh,
    /// With published weights, which lie there.
    Published(PathBuf),
    /// With those of its run, which goes on: the published ones are not needed again.
    Kept,
}

impl Origin {
    /// That of the part `part` of a run's model, whose configuration names `weights`, or none by "". Their digests are
    /// noted in `run.json`.
    ///
    /// # Errors
    ///
    /// Those of [`located`] and of reading, and [`Error::Run`] when they are not those that the run started from.
    pub fn of(part: &str, weights: &str, run: &Run) -> Result<Self, Error> {
        match (weights, run.goes_on()) {
            ("", _) => Ok(Self::Fresh),
            (_, true) => Ok(Self::Kept),
            (name, false) => {
                let path = located(name)?;
                let tensors = Tensors::open(&path).map_err(Error::data)?;
                let digests = tensors.digests(&mut |line| tell!("{line}"));
                run.record_weights(part, digests.map_err(Error::data)?)?;
                Ok(Self::Published(path))
            }
        }
    }
}

/// Where published weights of that name are: a path, or what is downloaded for `hf:org/name`.
///
/// # Errors
///
/// Those of the hub.
pub fn located(name: &str) -> Result<PathBuf, Error> {
    locate(name, &mut |line| tell!("{line}")).map_err(Error::data)
}

/// Tells what became of published weights.
pub fn report(name: &str, loaded: &Loaded) {
    tell!("weights of {name}: {loaded}");
}
