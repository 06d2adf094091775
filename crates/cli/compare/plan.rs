//! Every run of a comparison: each arm with each seed, and again under each condition.

use super::arms::{Arm, folder, values};
use crate::options::Choice;
use crucible_training::{Error, RunDir, RunRecord};
use std::path::Path;
use toml::Table;

/// Another setting under which every arm is trained again: one value of `--also KEY=A,B`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Condition {
    /// The conditions of all `--also`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a text of another form, and for what stands there twice.
    pub fn all(also: &[String]) -> Result<Vec<Self>, Error> {
        let mut conditions: Vec<Self> = Vec::new();
        for text in also {
            let (key, values) = values("--also", text)?;
            for value in values {
                let condition = Self {
                    key: key.clone(),
                    value,
                };
                if conditions.contains(&condition) {
                    return Err(Error::Usage(format!(
                        "--also {text}: {} is there twice",
                        condition.value
                    )));
                }
                conditions.push(condition);
            }
        }
        Ok(conditions)
    }

    /// As for `--set`.
    pub fn set(&self) -> String {
        format!("{}={}", self.key, self.value)
    }

    /// The name of its folder in that of an arm.
    pub fn folder(&self) -> String {
        folder(&self.set())
    }

    /// Reads back what [`folder`](Self::folder) wrote.
    pub fn of_folder(name: &str) -> Option<Self> {
        let (key, value) = name.split_once('=')?;
        Some(Self {
            key: key.into(),
            value: value.into(),
        })
    }
}

/// One run of the plan.
pub struct Planned {
    /// Index of its arm.
    pub arm: usize,
    /// Index of its condition; `None` for the comparison itself.
    pub condition: Option<usize>,
    /// Where it writes.
    pub dir: RunDir,
    /// What it is.
    pub record: RunRecord,
}

/// What all runs of a comparison have in common.
pub struct Common<'a> {
    /// Recipe, preset, file and assignments.
    pub choice: &'a Choice,
    /// The folder of the comparison.
    pub out: &'a Path,
    /// How many seeds.
    pub seeds: u64,
    /// A record is made of a configuration and a seed.
    pub record: &'a dyn Fn(&Table, u64) -> RunRecord,
}

/// Every run, the first seed of all arms first, so that there is something to compare early; what belongs to a
/// condition comes last.
///
/// # Errors
///
/// A condition that does not fit an arm.
pub fn plan(
    common: &Common,
    arms: &[Arm],
    conditions: &[Condition],
) -> Result<Vec<Planned>, Error> {
    let mut plan = Vec::new();
    let settings = std::iter::once(None).chain((0..conditions.len()).map(Some));
    for setting in settings {
        let condition = setting.map(|index| &conditions[index]);
        let configs = arms.iter().map(|arm| {
            let mut sets = arm.sets.clone();
            sets.extend(condition.map(Condition::set));
            Ok(common.choice.resolve(&sets)?.table)
        });
        let configs = configs.collect::<Result<Vec<Table>, Error>>()?;
        for seed in 0..common.seeds {
            for (index, (arm, config)) in arms.iter().zip(&configs).enumerate() {
                let mut path = common.out.join(&arm.folder);
                path.extend(condition.map(Condition::folder));
                plan.push(Planned {
                    arm: index,
                    condition: setting,
                    dir: RunDir::new(path.join(format!("seed-{seed}"))),
                    record: (common.record)(config, seed),
                });
            }
        }
    }
    Ok(plan)
}
