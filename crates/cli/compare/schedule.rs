//! A comparison whose runs are trained elsewhere: the commands for a scheduler, and what came of them.

use super::arms::Arm;
use super::plan::{Condition, Planned};
use crate::options::{Choice, Place};
use crucible_datasets::Split;
use crucible_training::{Error, RunDir, RunRecord, run_dir};
use std::fs;
use std::path::Path;

/// How to print the commands.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// One command a line
    Commands,
    /// A job array for SLURM, with one command a task
    Slurm,
}

/// One independent command for every run of the plan, in a form for a person or a scheduler.
pub fn commands(
    choice: &Choice,
    place: &Place,
    arms: &[Arm],
    conditions: &[Condition],
    plan: &[Planned],
    form: Form,
) -> String {
    let command = |planned: &Planned| {
        let condition = planned.condition.map(|index| &conditions[index]);
        let words = command(choice, place, &arms[planned.arm], condition, planned);
        let out = quote(&planned.dir.path().display().to_string());
        format!("{words} --out {out} --resume")
    };
    let commands: Vec<String> = plan.iter().map(command).collect();
    match form {
        Form::Commands => commands.join("\n") + "\n",
        Form::Slurm => {
            let mut script = format!(
                "#!/bin/bash\n#SBATCH --job-name=crucible\n#SBATCH --array=0-{}\n#SBATCH --requeue\n\
                 # A task that is started again goes on where it was.\n\
                 case $SLURM_ARRAY_TASK_ID in\n",
                commands.len() - 1
            );
            for (task, command) in commands.iter().enumerate() {
                script += &format!("{task}) {command} ;;\n");
            }
            script + "esac\n"
        }
    }
}

/// The command that trains one run by itself, without the place where it writes.
pub fn command(
    choice: &Choice,
    place: &Place,
    arm: &Arm,
    condition: Option<&Condition>,
    planned: &Planned,
) -> String {
    let mut words = vec![
        "crucible".to_owned(),
        "train".to_owned(),
        choice.recipe.clone(),
    ];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    option("--preset", &choice.preset);
    if let Some(file) = &choice.config {
        option("--config", &file.display().to_string());
    }
    let under = condition.map(Condition::set);
    let sets = choice.set.iter().chain(&arm.sets).chain(&under);
    sets.for_each(|set| option("--set", set));
    if !place.data.is_empty() {
        option("--data", &place.data);
    }
    option("--backend", &place.backend);
    option("--seed", &planned.record.seed.to_string());
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    words.join(" ")
}

/// A word as a shell reads it back.
pub fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,+@%".contains(letter);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// What lies in the folder of a comparison.
pub struct Collected {
    /// Its arms.
    pub arms: Vec<Arm>,
    /// What they were trained again under.
    pub conditions: Vec<Condition>,
    /// Its runs.
    pub plan: Vec<Planned>,
}

/// The runs in the folder of a comparison, `ARM/seed-N` and `ARM/KEY=VALUE/seed-N`, wherever they were trained.
///
/// # Errors
///
/// When the folder cannot be read or holds no run of `recipe`, or a `run.json` is broken.
pub fn collect(recipe: &str, folder: &Path) -> Result<Collected, Error> {
    let (mut arms, mut conditions, mut plan) = (Vec::new(), Vec::new(), Vec::new());
    for (label, path) in folders(folder)? {
        let own = runs(recipe, &path)?;
        if own.is_empty() {
            continue;
        }
        let mut add = |runs: Vec<(RunDir, RunRecord)>, condition| {
            plan.extend(runs.into_iter().map(|(dir, record)| Planned {
                arm: arms.len(),
                condition,
                dir,
                record,
            }));
        };
        add(own, None);
        for (name, path) in folders(&path)? {
            let (again, condition) = (runs(recipe, &path)?, Condition::of_folder(&name));
            let Some(condition) = condition.filter(|_| !again.is_empty()) else {
                continue;
            };
            let known = conditions.iter().position(|other| *other == condition);
            let place = known.unwrap_or_else(|| {
                conditions.push(condition);
                conditions.len() - 1
            });
            add(again, Some(place));
        }
        arms.push(Arm {
            folder: label.clone(),
            label,
            sets: Vec::new(),
        });
    }
    match plan.iter().any(|planned| planned.dir.is_finished()) {
        true => Ok(Collected {
            arms,
            conditions,
            plan,
        }),
        false => Err(Error::Usage(format!(
            "{}: no runs of `{recipe}` that are finished; expected ARM/seed-N, as `--plan` names them",
            folder.display()
        ))),
    }
}

/// The runs in a folder, by their seeds.
fn runs(recipe: &str, folder: &Path) -> Result<Vec<(RunDir, RunRecord)>, Error> {
    let mut runs = Vec::new();
    for (_, path) in folders(folder)? {
        let dir = RunDir::new(path);
        if dir.is_run() {
            let record: RunRecord = dir.read_json(run_dir::RUN)?;
            // Trials and candidates of a tuning are runs too, but none of the comparison.
            if record.recipe == recipe && record.scored_on == Split::Test.name() {
                runs.push((dir, record));
            }
        }
    }
    runs.sort_by_key(|(_, record)| record.seed);
    Ok(runs)
}

/// Name and path of the folders in a folder, in order.
fn folders(path: &Path) -> Result<Vec<(String, std::path::PathBuf)>, Error> {
    let wrong = |error: std::io::Error| Error::Usage(format!("{}: {error}", path.display()));
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if let (true, Some(name)) = (path.is_dir(), path.file_name()) {
            folders.push((name.to_string_lossy().into_owned(), path));
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for word in ["plain", "a b", "it's", "$HOME", "x=[1,2]", "", "a;b"] {
            let echo = format!("printf %s {}", quote(word));
            let output = std::process::Command::new("sh")
                .args(["-c", &echo])
                .output();
            assert_eq!(output.unwrap().stdout, word.as_bytes(), "{word}");
        }
        assert_eq!(quote("fusion=mid"), "fusion=mid");
    }
}
