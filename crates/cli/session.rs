//! One run from its start to its report; `train` does one, `compare` many.

use crate::options::{data_name, strategy};
use crate::report;
use crucible_training::recipe::RunResult;
use crucible_training::tell;
use crucible_training::{AnyRecipe, Error, Run, RunRecord, checkpoint, run_dir};

/// Trains `record` in the directory of `run`, or goes on there, and writes the report. A run that is
/// already finished only gets its report again.
///
/// # Errors
///
/// Those of the training. A run that failed before its first checkpoint has left nothing to go on
/// with, and its directory is free again: the corrected command may use it.
pub fn train(recipe: &dyn AnyRecipe, record: &RunRecord, run: &Run) -> Result<RunResult, Error> {
    let _lock = run.start(record)?;
    if run.dir.is_finished() {
        tell!("{} is already finished", run.dir.path().display());
    } else if let Err(error) = recipe.train(&record.config, run) {
        if !checkpoint::exists(&run.dir)? {
            run.dir.remove(run_dir::RUN)?;
            run.dir.remove(run_dir::LOCK)?;
            // Only an empty directory can be removed: what is in the way of that belongs to the user.
            let _ = std::fs::remove_dir(run.dir.path());
        }
        return Err(error);
    }
    report::write(&run.dir)?;
    run.dir.read_json(run_dir::RESULT)
}

/// `vqa quick, late, seed 0, easy-vqa, flex`
pub fn describe(record: &RunRecord) -> String {
    let mut parts = vec![format!("{} {}", record.recipe, record.preset)];
    parts.extend(strategy(&record.config).map(str::to_string));
    parts.push(format!("seed {}", record.seed));
    parts.push(data_name(&record.config, &record.data).to_string());
    parts.push(record.backend.clone());
    parts.join(", ")
}
