//! What is thrown away before anything is learnt.

use crucible_datasets::Split;
use crucible_datasets::instruction::InstructionData;
use crucible_datasets::instruction::clean::{CleanConfig, CleanedSplit, clean_splits};
use crucible_training::{Error, Run, tell};

use super::score::ScoreConfig;

/// What was thrown away, in the run's directory.
const FILE: &str = "cleaned.json";

/// Data without what `config` does not want in the training and the validation split. What was thrown away is kept with
/// the run.
///
/// # Errors
///
/// [`Error::Usage`] when nothing is left to learn, and those of [`clean_splits`].
pub fn cleaned(
    run: &Run,
    data: &InstructionData,
    config: &CleanConfig,
) -> Result<InstructionData, Error> {
    let (data, splits) = clean_splits(data, config).map_err(Error::data)?;
    run.dir.write_json(FILE, &splits)?;
    let told = thrown_away(&splits);
    if data.train.is_empty() && !told.is_empty() {
        return Err(Error::Usage(format!(
            "nothing is left of the training split of {}: {told}; ask less in `clean`, or give more data",
            data.name
        )));
    }
    if !told.is_empty() && !run.quiet {
        tell!("{told} ({FILE})");
    }
    Ok(data)
}

/// As [`cleaned`], of a run that is scored again: only where more than the test split is looked at.
///
/// # Errors
///
/// Those of [`clean_splits`].
pub fn cleaned_for(
    score: &ScoreConfig,
    split: Split,
    data: InstructionData,
    config: &CleanConfig,
) -> Result<InstructionData, Error> {
    // Examples come from the training split.
    match split == Split::Test && score.shots == 0 {
        true => Ok(data),
        false => Ok(clean_splits(&data, config).map_err(Error::data)?.0),
    }
}

/// One line: how many conversations were thrown away, by reason; empty where there were none.
pub fn thrown_away(splits: &[CleanedSplit]) -> String {
    let told = splits.iter().filter_map(|split| {
        let reasons = split.counts.dropped.iter().filter(|(_, count)| **count > 0);
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        let (all, before) = (split.conversations.len(), split.counts.before);
        let reasons = reasons.join(", ");
        (all > 0).then(|| format!("{all} of {before} of {}: {reasons}", split.split))
    });
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => String::new(),
        false => format!("thrown away: {}", told.join("; ")),
    }
}
