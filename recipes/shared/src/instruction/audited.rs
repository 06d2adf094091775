//! What is looked at before the first step.

use crucible_datasets::instruction::{AuditConfig, InstructionData, Renderer, audit};
use crucible_training::{Error, Run, tell};

/// What was found, in the run's directory.
const FILE: &str = "audit.json";
/// Problems that do not stop a training and are told in full.
const TOLD: usize = 3;

/// Looks through all splits for what would silently spoil a training; `features` is how many the model makes of a
/// picture. What was found is kept with the run.
///
/// # Errors
///
/// The first ten problems that would.
pub fn audited(
    run: &Run,
    data: &InstructionData,
    renderer: &Renderer,
    features: usize,
) -> Result<(), Error> {
    let report = audit(data, renderer, features, &AuditConfig::default()).map_err(Error::data)?;
    run.dir.write_json(FILE, &report)?;
    report.pass().map_err(Error::data)?;
    if run.quiet {
        return Ok(());
    }
    for split in &report.splits {
        tell!(
            "{}: {} conversations, {} tokens, {} of them to be said, at most {} in one, {} pictures",
            split.split,
            split.conversations,
            split.tokens,
            split.supervised,
            split.longest,
            split.pictures
        );
    }
    for problem in report.problems.iter().take(TOLD) {
        tell!("warning: {problem}");
    }
    let all: usize = report.counts.values().sum();
    if all > TOLD {
        tell!("and {} more in {FILE}", all - TOLD);
    }
    Ok(())
}
