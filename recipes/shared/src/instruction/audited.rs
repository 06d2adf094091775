//! What is looked at before the first step.

use crucible_datasets::instruction::{AuditConfig, InstructionData, Renderer, Report, audit};
use crucible_training::{Error, Run, tell};
use serde::{Deserialize, Serialize};

/// What was found, in the run's directory.
const FILE: &str = "audit.json";
/// Problems that do not stop a training and are told in full.
const TOLD: usize = 3;

/// What was looked at, how, and whether a training may start.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Looked {
    passed: bool,
    data_digest: String,
    audit: AuditConfig,
}

/// With what was found.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    looked: &'a Looked,
    #[serde(flatten)]
    report: &'a Report,
}

/// Looks through all splits for what would silently spoil a training; `features` is how many the model makes of a
/// picture. What was found is kept with the run. A run that goes on from a checkpoint is not looked through again, as long as
/// data and `config` are the same.
///
/// # Errors
///
/// The first ten problems that would.
pub fn audited(
    run: &Run,
    data: &InstructionData,
    renderer: &Renderer,
    features: usize,
    config: &AuditConfig,
) -> Result<(), Error> {
    let mut looked = Looked {
        passed: true,
        data_digest: data.digest.clone(),
        audit: config.clone(),
    };
    if run.goes_on()
        && run
            .dir
            .read_json(FILE)
            .is_ok_and(|kept: Looked| kept == looked)
    {
        return Ok(());
    }
    let report = audit(data, renderer, features, config).map_err(Error::data)?;
    let passed = report.pass();
    looked.passed = passed.is_ok();
    let found = Found {
        looked: &looked,
        report: &report,
    };
    run.dir.write_json(FILE, &found)?;
    passed.map_err(Error::data)?;
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
