//! Equal budgets: every arm is given what the first one has.

use super::arms::Arm;
use super::session::Session;
use crate::options::Choice;
use crate::output;
use crucible_training::metrics::{self, MetricLine};
use crucible_training::{Error, RunDir, tell};
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Table;

/// What is made equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Parameters of the model, by the width of its feed-forward networks (model.d_ff)
    Parameters,
    /// Floating-point operations of the training, by its steps
    Flops,
    /// Seconds of training, by its steps, as fast as each arm was in some steps of trial
    Time,
}

/// How an arm was matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matched {
    /// Its name.
    pub label: String,
    /// What was set for that.
    pub sets: Vec<String>,
    /// What it has of the budget.
    pub has: f64,
    /// How far that is from what the first arm has, as a share of it.
    pub off: f64,
}

/// `match.json`: what was found when the comparison began, so that it goes on with the same runs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// What was made equal.
    pub budget: Budget,
    /// The configurations before that.
    configs: Vec<String>,
    /// The arms, in their order.
    pub arms: Vec<Matched>,
}

const FILE: &str = "match.json";
/// The folder of the steps of trial.
const TRIAL: &str = "trial";
/// The key that parameters are matched by.
const WIDTH: &str = "model.d_ff";
/// How far off an arm may be that has been matched.
const TOLERANCE: f64 = 0.02;
/// Steps of trial, and how many of them are not counted.
const TRIAL_STEPS: usize = 30;
const WARM_UP: usize = 6;
/// Keys that count steps, and grow and shrink with them.
const COUNTS: [&str; 4] = [
    "training.steps",
    "training.warmup_steps",
    "training.evaluate_every",
    "training.checkpoint_every",
];

impl Budget {
    /// The keys that are adapted.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Parameters => &[WIDTH],
            Self::Flops | Self::Time => &COUNTS,
        }
    }
}

impl Matching {
    /// Matches all arms to the first, or reads what was found before.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when an arm cannot be matched, and those of trying.
    pub fn find(
        budget: Budget,
        choice: &Choice,
        arms: &[Arm],
        out: &RunDir,
        session: &Session,
    ) -> Result<Self, Error> {
        let tables: Vec<Table> = arms
            .iter()
            .map(|arm| Ok(choice.resolve(&arm.sets)?.table))
            .collect::<Result<_, Error>>()?;
        let configs: Vec<String> = tables.iter().map(Table::to_string).collect();
        let known = Self::saved(out)?;
        if let Some(known) =
            known.filter(|known| known.budget == budget && known.configs == configs)
        {
            return Ok(known);
        }
        tell!("matching {} arms to `{}`", arms.len(), arms[0].label);
        let found = match budget {
            Budget::Parameters => parameters(choice, arms, &tables, session)?,
            Budget::Flops => {
                let costs = tables.iter().map(|table| Ok(session.size(table)?.flops));
                by_steps(arms, &tables, &costs.collect::<Result<Vec<f64>, Error>>()?)
            }
            Budget::Time => {
                let trial =
                    |(arm, table): (&Arm, &Table)| seconds(choice, arm, table, out.path(), session);
                let costs = arms.iter().zip(&tables).map(trial);
                by_steps(arms, &tables, &costs.collect::<Result<Vec<f64>, Error>>()?)
            }
        };
        let matching = Self {
            budget,
            configs,
            arms: found,
        };
        out.write_json(FILE, &matching)?;
        Ok(matching)
    }

    /// What was found before, if anything was.
    ///
    /// # Errors
    ///
    /// When the file is broken.
    pub fn saved(out: &RunDir) -> Result<Option<Self>, Error> {
        match out.file(FILE).exists() {
            true => out.read_json(FILE).map(Some),
            false => Ok(None),
        }
    }

    /// The same arms with what was set for the matching.
    pub fn apply(&self, arms: &mut [Arm]) {
        for (arm, matched) in arms.iter_mut().zip(&self.arms) {
            arm.sets.extend(matched.sets.iter().cloned());
        }
    }

    /// What was made equal and how far it is from that, in a sentence.
    pub fn sentence(&self) -> String {
        let (what, by) = match self.budget {
            Budget::Parameters => {
                let by = "the width of its feed-forward networks, those of the towers too";
                ("the parameters", by)
            }
            Budget::Flops => ("the floating-point operations of the training", "its steps"),
            Budget::Time => {
                let first = self.arms.first().map_or("", |arm| &arm.label);
                return format!(
                    "Every arm has as many steps as should take the time of {first}, by a trial of {TRIAL_STEPS} steps \
                     before; what they took stands in the ranking."
                );
            }
        };
        let off = || self.arms.iter().map(|arm| 100.0 * arm.off);
        let first = self.arms.first();
        format!(
            "Every arm has {what} of {}{}, matched by {by}: from {:+.2}% to {:+.2}% of that.",
            first.map_or("", |arm| &arm.label),
            first.map_or(String::new(), |arm| self.amount(arm.has)),
            off().fold(f64::INFINITY, f64::min),
            off().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    /// What the first arm has, where that is a number to read.
    fn amount(&self, has: f64) -> String {
        match self.budget {
            Budget::Parameters => format!(", {}", output::count(has as usize)),
            Budget::Flops | Budget::Time => String::new(),
        }
    }
}

/// The width at which each arm has the parameters of the first: they grow with it along a line.
fn parameters(
    choice: &Choice,
    arms: &[Arm],
    tables: &[Table],
    session: &Session,
) -> Result<Vec<Matched>, Error> {
    let wide = |arm: &Arm, width: usize| {
        let sets = vec![format!("{WIDTH}={width}")];
        let all = [&arm.sets[..], &sets].concat();
        let size = session.size(&choice.resolve(&all)?.table)?;
        Ok::<_, Error>((sets, size.parameters as f64))
    };
    let target = session.size(&tables[0])?.parameters as f64;
    let mut found = Vec::new();
    for (number, (arm, table)) in arms.iter().zip(tables).enumerate() {
        let Some(width) = number_at(table, WIDTH).filter(|_| number > 0) else {
            if number > 0 {
                return Err(Error::Usage(format!(
                    "--match parameters adapts {WIDTH}, which this recipe does not have; match flops or time"
                )));
            }
            found.push(Matched {
                label: arm.label.clone(),
                sets: Vec::new(),
                has: target,
                off: 0.0,
            });
            continue;
        };
        let (_, has) = wide(arm, width)?;
        let (_, twice) = wide(arm, 2 * width)?;
        let each = (twice - has) / width as f64;
        let fits = width as f64 + (target - has) / each;
        let (sets, has) = wide(arm, fits.round().max(1.0) as usize)?;
        let off = has / target - 1.0;
        if off.is_nan() || off.abs() > TOLERANCE {
            return Err(Error::Usage(format!(
                "{} cannot be matched: with {} it has {} parameters, {} has {}; give it fewer or more layers",
                arm.label,
                sets[0],
                output::count(has as usize),
                arms[0].label,
                output::count(target as usize)
            )));
        }
        found.push(Matched {
            label: arm.label.clone(),
            sets,
            has,
            off,
        });
    }
    Ok(found)
}

/// As many steps as make the cost of the first arm; `costs` are those of a step, or grow as they do.
fn by_steps(arms: &[Arm], tables: &[Table], costs: &[f64]) -> Vec<Matched> {
    let steps = |table: &Table| number_at(table, COUNTS[0]).unwrap_or(0) as f64;
    let budget = steps(&tables[0]) * costs[0];
    let each = arms.iter().zip(tables).zip(costs);
    each.map(|((arm, table), cost)| {
        let factor = budget / cost / steps(table);
        let counts = COUNTS.iter().filter_map(|key| {
            let count = number_at(table, key).filter(|count| *count > 0)?;
            let count = (count as f64 * factor).round().max(1.0);
            Some(format!("{key}={count}"))
        });
        let has = (steps(table) * factor).round().max(1.0) * cost;
        Matched {
            label: arm.label.clone(),
            sets: counts.collect(),
            has,
            off: has / budget - 1.0,
        }
    })
    .collect()
}

/// Seconds of a step, the median of some.
fn seconds(
    choice: &Choice,
    arm: &Arm,
    table: &Table,
    out: &Path,
    session: &Session,
) -> Result<f64, Error> {
    let sets = [
        format!("training.steps={TRIAL_STEPS}"),
        "training.warmup_steps=0".into(),
        "training.log_every=1".into(),
        "training.evaluate_every=0".into(),
        "training.checkpoint_every=0".into(),
    ];
    let steps = number_at(table, COUNTS[0]).unwrap_or(0);
    if steps == 0 {
        return Err(Error::Usage(format!("{}: no steps to match", arm.label)));
    }
    let config = choice.resolve(&[&arm.sets[..], &sets].concat())?.table;
    let dir = RunDir::new(out.join(TRIAL).join(&arm.folder));
    session.tune(&config, 0, &dir)?;
    let lines = metrics::read(&dir)?;
    let clock = |line: &&MetricLine| line.split == metrics::TRAIN && line.name == metrics::SECONDS;
    let clock: Vec<f64> = lines.iter().filter(clock).map(|line| line.value).collect();
    let mut steps: Vec<f64> = clock.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.drain(..WARM_UP.min(steps.len()));
    steps.sort_by(f64::total_cmp);
    let median = steps.get(steps.len() / 2).copied();
    median
        .filter(|seconds| *seconds > 0.0)
        .ok_or_else(|| Error::Usage(format!("{}: its steps took no time", arm.label)))
}

/// The whole number at a dotted key.
fn number_at(table: &Table, key: &str) -> Option<usize> {
    let mut names = key.split('.');
    let first = table.get(names.next()?)?;
    let value = names.try_fold(first, |value, name| value.get(name))?;
    value.as_integer().and_then(|number| number.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(label: &str) -> Arm {
        Arm {
            label: label.into(),
            ..Arm::default()
        }
    }

    #[test]
    fn what_costs_twice_as_much_gets_half_of_the_steps() {
        let table: Table = "[training]\nsteps = 400\nwarmup_steps = 20\nevaluate_every = 0\ncheckpoint_every = 40\n"
            .parse()
            .unwrap();
        let arms = [arm("late"), arm("early"), arm("cheap")];
        let tables = [table.clone(), table.clone(), table];
        let found = by_steps(&arms, &tables, &[1.0, 2.0, 0.75]);
        assert_eq!(found[0].sets[0], "training.steps=400");
        let expected = [
            "training.steps=200",
            "training.warmup_steps=10",
            "training.checkpoint_every=20",
        ];
        assert_eq!(found[1].sets, expected);
        assert_eq!(found[2].sets[0], "training.steps=533");
        assert_eq!((found[0].off, found[1].off), (0.0, 0.0));
        assert!((found[2].off - (533.0 * 0.75 / 400.0 - 1.0)).abs() < 1e-12);
    }

    #[test]
    fn a_sentence_says_how_far_off_they_are() {
        let matched = |label: &str, has, off| Matched {
            label: label.into(),
            sets: Vec::new(),
            has,
            off,
        };
        let matching = Matching {
            budget: Budget::Parameters,
            configs: Vec::new(),
            arms: vec![matched("late", 1000.0, 0.0), matched("mid", 995.0, -0.005)],
        };
        let sentence = matching.sentence();
        for part in ["late, 1,000", "-0.50% to +0.00%", "feed-forward"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
