//! `crucible repro`

use crate::{RECIPES, devices, output, session};
use burn::train::Interrupter;
use crucible_datasets::Split;
use crucible_evaluation::accuracy::Prediction;
use crucible_evaluation::statistics::{Discordance, range};
use crucible_training::metrics::{self, MetricLine};
use crucible_training::recipe::RunResult;
use crucible_training::{
    Error, Init, Run, RunDir, RunRecord, checkpoint, recipe, run, run_dir, signals, tell,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Train a run, or a row of a comparison, once more and say whether the same comes out
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible repro runs/vqa-quick-late-seed0
  crucible repro runs/compare-vqa-quick-fusion/mid          a row of a report: every seed of an arm
  crucible repro runs/vqa-quick-late-seed0 --out again      keeps the new run in again/

Bit-identical: every logged value, the weights and the predictions are the same to the last bit. Within noise: the
result differs by no more than the seeds of the row do, or, where there are fewer than three, by no more than chance
explains (McNemar's test, 5%). Different: more than that; then the exit code is 1.")]
pub struct Args {
    /// Run directory, or the folder of an arm in that of a comparison
    path: PathBuf,

    /// Folder for what is trained again [default: a temporary one that is removed]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Backend [default: the run's own]
    #[arg(long, value_name = "NAME[:N]")]
    backend: Option<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Identical,
    WithinNoise,
    Different,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Identical => "bit-identical",
            Self::WithinNoise => "within noise",
            Self::Different => "different",
        }
    }
}

/// One run beside its repetition.
#[derive(Debug, Serialize)]
struct Repeated {
    run: PathBuf,
    verdict: Verdict,
    /// In what they differ.
    differences: Vec<String>,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let runs = runs(&args.path)?;
    let temporary;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => {
            temporary = tempfile::tempdir().map_err(|source| Error::Io {
                action: "create",
                path: std::env::temp_dir(),
                source,
            })?;
            temporary.path().to_owned()
        }
    };
    let interrupter = Interrupter::new();
    signals::install(interrupter.clone())?;
    let mut repeated = Vec::new();
    for dir in &runs {
        let again = match runs.len() {
            1 => RunDir::new(&out),
            _ => RunDir::new(out.join(dir.path().file_name().unwrap_or_default())),
        };
        check_empty(&again)?;
        repeated.push(repeat(args, dir, &again, &interrupter)?);
    }
    match json {
        true => output::print_json(&repeated)?,
        false => output::print(&text(&repeated))?,
    }
    let worst = repeated.iter().map(|repeated| repeated.verdict).max();
    Ok(match worst {
        Some(Verdict::Different) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// The run at `path`, or those of a row: `seed-0`, `seed-1`, ...
fn runs(path: &Path) -> Result<Vec<RunDir>, Error> {
    let own = RunDir::new(path);
    let mut runs = match own.is_run() {
        true => vec![own],
        false => row(path),
    };
    runs.retain(RunDir::is_finished);
    runs.sort_by_key(|dir| dir.path().to_owned());
    match runs.is_empty() {
        false => Ok(runs),
        true => Err(Error::Usage(format!(
            "{}: no finished run; expected a run directory, or the folder of an arm with seed-0, seed-1, ...",
            path.display()
        ))),
    }
}

/// That nothing is overwritten: the folder is new, or holds a repetition that was stopped.
fn check_empty(again: &RunDir) -> Result<(), Error> {
    let entries = std::fs::read_dir(again.path()).into_iter().flatten();
    match (again.is_finished(), again.is_run(), entries.count()) {
        (false, true, _) | (false, false, 0) => Ok(()),
        _ => Err(Error::Usage(format!(
            "{}: the folder is not empty, and nothing is ever overwritten; choose another --out",
            again.path().display()
        ))),
    }
}

/// The runs in a folder.
fn row(path: &Path) -> Vec<RunDir> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let dirs = entries.map(|entry| RunDir::new(entry.path()));
    dirs.filter(RunDir::is_run).collect()
}

/// Trains the run again, or goes on where that was stopped, and compares.
fn repeat(
    args: &Args,
    dir: &RunDir,
    again: &RunDir,
    interrupter: &Interrupter,
) -> Result<Repeated, Error> {
    let old = run::open(dir.path())?;
    let recipe = recipe::find(RECIPES, &old.recipe)?;
    let backend = devices::reopen(args.backend.as_deref(), &old.backend)?;
    let run = Run {
        dir: again.clone(),
        seed: old.seed,
        device: backend.open()?,
        others: Vec::new(),
        memory: backend.memory(&[]),
        backend: backend.name.clone(),
        interrupter: interrupter.clone(),
        resume: true,
        init: (!old.init.is_empty()).then(|| Init {
            run: old.init.clone().into(),
            interpolate: false,
        }),
        data: old.data.clone(),
        tuning: old.scored_on == Split::Valid.name(),
        quiet: false,
        profile: false,
        tensorboard: false,
    };
    let (config, data) = (&old.config, &old.data);
    let mut record = RunRecord::new(
        &old.recipe,
        &old.preset,
        config,
        old.seed,
        &run.backend,
        &run.device,
        data,
    );
    record.init = old.init.clone();
    record.scored_on = old.scored_on.clone();
    tell!(
        "{} again, into {}",
        dir.path().display(),
        again.path().display()
    );
    session::train(recipe, &record, &run)?;
    compare(dir, again, &old)
}

/// Everything that could differ, what lies deepest first.
fn compare(dir: &RunDir, again: &RunDir, old: &RunRecord) -> Result<Repeated, Error> {
    let new = run::open(again.path())?;
    let mut differences = old.differences(&new);
    if old.data_digest != new.data_digest {
        differences.push("the data is other data than it was".into());
    }
    if !old.weights.is_empty() && old.weights != new.weights {
        differences.push("the published weights are other weights than they were".into());
    }
    if old.threads != new.threads {
        differences.push(format!("threads were {}, now {}", old.threads, new.threads));
    }
    let mut same = true;
    if let Some(line) = first_difference(&metrics::read(dir)?, &metrics::read(again)?) {
        same = false;
        differences.push(line);
    }
    if checkpoint::digest(dir)? != checkpoint::digest(again)? {
        same = false;
        differences.push("the weights differ".into());
    }
    if dir.digest(run_dir::PREDICTIONS)? != again.digest(run_dir::PREDICTIONS)? {
        same = false;
        differences.push("the predictions differ".into());
    }
    let [before, after]: [RunResult; 2] = [
        dir.read_json(run_dir::RESULT)?,
        again.read_json(run_dir::RESULT)?,
    ];
    for (name, value) in &before.test {
        let now = after.test.get(name).copied().unwrap_or(f64::NAN);
        if value.to_bits() != now.to_bits() {
            same = false;
            differences.push(format!("{} {name} was {value}, now {now}", old.scored_on));
        }
    }
    let verdict = match (same, old.data_digest == new.data_digest) {
        (true, true) => Verdict::Identical,
        // What is measured on other data is another result, however near.
        (_, false) => Verdict::Different,
        (false, true) => noise(dir, again, [&before, &after], old, &mut differences)?,
    };
    Ok(Repeated {
        run: dir.path().to_owned(),
        verdict,
        differences,
    })
}

/// Whether runs that differ do so by no more than noise; a line says by what it was judged.
fn noise(
    dir: &RunDir,
    again: &RunDir,
    [before, after]: [&RunResult; 2],
    old: &RunRecord,
    lines: &mut Vec<String>,
) -> Result<Verdict, Error> {
    let judged = |within| {
        if within {
            Verdict::WithinNoise
        } else {
            Verdict::Different
        }
    };
    let recipe = recipe::find(RECIPES, &old.recipe)?;
    let score = |result: &RunResult| result.test.get(recipe.metric()).copied();
    let (Some(was), Some(is)) = (score(before), score(after)) else {
        lines.push(format!(
            "without `{}` there is no noise to compare with",
            recipe.metric()
        ));
        return Ok(Verdict::Different);
    };
    let seeds = seeds(dir, old, |result| score(result));
    if let (3.., Some((low, high))) = (seeds.len(), range(&seeds)) {
        lines.push(format!(
            "{} differs by {:.4}; the {} seeds of the row span {:.4}",
            recipe.metric(),
            (is - was).abs(),
            seeds.len(),
            high - low
        ));
        return Ok(judged((is - was).abs() <= high - low));
    }
    let right = |dir: &RunDir| -> Result<Vec<f32>, Error> {
        let predictions: Vec<Prediction> = dir.read_json_lines(run_dir::PREDICTIONS)?;
        let right = predictions
            .iter()
            .map(|item| f32::from(u8::from(item.is_right())));
        Ok(right.collect())
    };
    let discordance = Discordance::of(&right(dir)?, &right(again)?);
    let Some((discordance, p)) = discordance.and_then(|found| Some((found, found.exact()?))) else {
        lines.push("the two were tested on different items".into());
        return Ok(Verdict::Different);
    };
    lines.push(format!(
        "{} items were right before alone, {} are now alone: p = {p:.3} (McNemar)",
        discordance.first, discordance.second
    ));
    Ok(judged(p >= 0.05))
}

/// The scores of all runs of the row that the run stands in: the same but for the seed.
fn seeds(dir: &RunDir, old: &RunRecord, score: impl Fn(&RunResult) -> Option<f64>) -> Vec<f64> {
    let row = dir.path().parent().map(row).unwrap_or_default();
    let same = row.into_iter().filter(|other| {
        let record: Option<RunRecord> = other.read_json(run_dir::RUN).ok();
        record.is_some_and(|record| {
            record.config_digest == old.config_digest && record.recipe == old.recipe
        })
    });
    same.filter_map(|other| score(&other.read_json(run_dir::RESULT).ok()?))
        .collect()
}

/// Where two logs part; times are no part of them.
fn first_difference(before: &[MetricLine], after: &[MetricLine]) -> Option<String> {
    let timed = |line: &&MetricLine| line.name != metrics::SECONDS;
    let (before, after) = (before.iter().filter(timed), after.iter().filter(timed));
    let (mut before, mut after) = (before.peekable(), after.peekable());
    while let (Some(was), Some(is)) = (before.peek(), after.peek()) {
        let same = (was.step, &was.split, &was.name) == (is.step, &is.split, &is.name)
            && was.value.to_bits() == is.value.to_bits();
        if !same {
            return Some(format!(
                "step {} is the first that differs: {} {} was {}, now {} {} {}",
                was.step, was.split, was.name, was.value, is.split, is.name, is.value
            ));
        }
        before.next();
        after.next();
    }
    match before.peek().is_some() || after.peek().is_some() {
        true => Some("one of the two logs is longer".into()),
        false => None,
    }
}

fn text(repeated: &[Repeated]) -> String {
    let mut text = String::new();
    for Repeated {
        run,
        verdict,
        differences,
    } in repeated
    {
        text += &format!("{}  {}\n", verdict.words(), run.display());
        for line in differences {
            text += &format!("  {line}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: usize, name: &str, value: f64) -> MetricLine {
        MetricLine {
            step,
            epoch: 0.0,
            split: "train".into(),
            name: name.into(),
            value,
        }
    }

    #[test]
    fn logs_part_at_the_first_bit() {
        let log = [
            line(1, "loss", 0.5),
            line(1, "seconds", 9.0),
            line(2, "loss", 0.25),
        ];
        let mut other = log.clone();
        other[1].value = 7.0;
        assert_eq!(first_difference(&log, &other), None);
        other[2].value = f64::from_bits(0.25f64.to_bits() + 1);
        let found = first_difference(&log, &other).unwrap();
        assert!(found.contains("step 2"), "{found}");
        assert!(
            first_difference(&log, &log[..2])
                .unwrap()
                .contains("longer")
        );
    }
}
