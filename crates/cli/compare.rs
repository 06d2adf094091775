//! `crucible compare`

mod arms;
mod gallery;
mod matching;
mod plan;
mod probes;
mod results;
mod schedule;
mod scores;
mod session;
mod tuning;

use crate::options::{Choice, Place};
use crate::output;
use arms::Arm;
use crucible_evaluation::report::{ArmSummary, CompareReport};
use crucible_evaluation::statistics::Study;
use crucible_training::recipe::RunResult;
use crucible_training::tell;
use crucible_training::{Error, RunDir, run_dir, signals};
use matching::{Budget, Matching};
use plan::{Common, Condition, Planned};
use results::Contents;
use schedule::{Collected, Form};
use serde::Serialize;
use session::Session;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Train several variants with several seeds and report which is better, and whether that can be told from chance
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible compare vqa --vary fusion=early,mid,late --seeds 3
  crucible compare vqa --vary fusion=all --match parameters --seeds 5
  crucible compare vqa --vary fusion=mid,late --tune training.learning_rate=3e-4,1e-3,3e-3
  crucible compare vqa --vary fusion=mid,late --also loader.share=0.1,0.3 --also data=easy-vqa-compositions
  crucible compare vqa --vary training.learning_rate=3e-4,1e-3 --set fusion=mid --out runs/rates
  crucible compare vqa --vary blank=none,image,question     does the model need both?

The same command again goes on after Ctrl-C: finished runs are kept, an interrupted one continues.
Several --vary multiply: every value of one with every value of the other.

On a cluster, with a folder that all machines see:
  crucible compare vqa --vary fusion=early,mid,late --out study --plan slurm > study.sh && sbatch study.sh
  crucible compare vqa --collect study")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    place: Place,

    /// Key and the values to compare; each is set as by --set. `fusion=all` stands for every strategy
    #[arg(long, value_name = "KEY=A,B,C", required_unless_present = "collect")]
    vary: Vec<String>,

    /// Seeds for each variant: 0, 1, ...
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

    /// Give every variant the budget of the first one; without it each has what its configuration says
    #[arg(
        long = "match",
        value_enum,
        value_name = "BUDGET",
        conflicts_with = "collect"
    )]
    budget: Option<Budget>,

    /// Tune every variant alike before it is compared: the best of these values on the validation split. Several multiply
    #[arg(long, value_name = "KEY=A,B,C", conflicts_with_all = ["collect", "plan"])]
    tune: Vec<String>,

    /// So many combinations of --tune, drawn by chance, instead of all
    #[arg(long, value_name = "N", requires = "tune", value_parser = clap::value_parser!(u64).range(1..))]
    trials: Option<u64>,

    /// Train every variant again under other settings, such as loader.share=0.1,0.3 or data=easy-vqa-compositions
    #[arg(long, value_name = "KEY=A,B", conflicts_with = "collect")]
    also: Vec<String>,

    /// Leave out what finished runs are asked to stand: noise, lost words, missing modalities
    #[arg(long)]
    no_probes: bool,

    /// Folder of the comparison [default: runs/compare-RECIPE-PRESET-KEY]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Train nothing: print one independent command for each run, or a job array for SLURM
    #[arg(long, value_enum, value_name = "FORM", num_args = 0..=1, default_missing_value = "commands")]
    plan: Option<Form>,

    /// Train nothing: report on the runs in this folder, wherever they were trained
    #[arg(long, value_name = "DIR", conflicts_with_all = ["vary", "plan", "out"])]
    collect: Option<PathBuf>,
}

const SUMMARY: &str = "compare.json";
const RUNS: &str = "runs.csv";
const PAIRS: &str = "pairs.csv";
const TABLE: &str = "table.tex";

/// A run that did not get to its end.
#[derive(Serialize)]
struct Failed {
    arm: String,
    seed: u64,
    /// Whether a loss or a gradient was no number: a result too, and not a happy one.
    diverged: bool,
    error: String,
    #[serde(skip)]
    planned: usize,
}

/// `compare.json`, and what `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    recipe: &'a str,
    preset: &'a str,
    vary: &'a [String],
    arms: Vec<ArmSummary>,
    study: &'a Study,
    budget: &'a Option<String>,
    failed: &'a [Failed],
    /// Runs that are planned and not yet finished.
    unfinished: usize,
}

/// A comparison, as far as it has come.
struct Comparison<'a> {
    args: &'a Args,
    arms: Vec<Arm>,
    conditions: Vec<Condition>,
    plan: Vec<Planned>,
    out: RunDir,
    budget: Option<String>,
    tuned: Option<String>,
    failed: Vec<Failed>,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let mut comparison = Comparison {
        args,
        arms: Vec::new(),
        conditions: Condition::all(&args.also)?,
        plan: Vec::new(),
        out: RunDir::new(args.out.clone().unwrap_or_else(|| default_out(args))),
        budget: None,
        tuned: None,
        failed: Vec::new(),
    };
    if let Some(folder) = &args.collect {
        args.choice.recipe()?;
        Collected {
            arms: comparison.arms,
            conditions: comparison.conditions,
            plan: comparison.plan,
        } = schedule::collect(&args.choice.recipe, folder)?;
        comparison.out = RunDir::new(folder);
        comparison.budget = Matching::saved(&comparison.out)?.map(|matching| matching.sentence());
        for unfinished in comparison.unfinished() {
            tell!("not finished: {}", unfinished.dir.path().display());
        }
        return comparison.finish(json);
    }
    if args.plan.is_some() && json {
        return Err(Error::Usage(
            "--plan prints commands, not JSON; leave --json out".into(),
        ));
    }
    comparison.arms = arms::arms("--vary", &arms::everything(&args.vary))?;
    comparison.check()?;
    comparison.check_keys()?;
    let candidates = tuning::candidates(&args.tune, args.trials.map(|trials| trials as usize))?;
    let session = Session::open(&args.choice, &args.place)?;
    if args.plan.is_none() {
        signals::install(session.interrupter.clone())?;
    }
    if let Some(budget) = args.budget {
        let (arms, out) = (&comparison.arms, &comparison.out);
        let matching = Matching::find(budget, &args.choice, arms, out, &session)?;
        matching.apply(&mut comparison.arms);
        comparison.budget = Some(matching.sentence());
        tell!("{}", matching.sentence());
    }
    if !args.tune.is_empty() {
        let metric = |result: &RunResult| scores::validation(session.recipe, result);
        let (arms, out) = (&mut comparison.arms, comparison.out.path());
        let tuned = match tuning::tune(&args.choice, arms, &candidates, out, &session, metric) {
            Err(Error::Interrupted { .. }) => return comparison.interrupted(),
            tuned => tuned?,
        };
        comparison.tuned = Some(tuning::sentence(candidates.len(), &tuned));
    }
    let common = Common {
        choice: &args.choice,
        out: comparison.out.path(),
        seeds: args.seeds,
        record: &|config, seed| session.record(config, seed),
    };
    comparison.plan = plan::plan(&common, &comparison.arms, &comparison.conditions)?;
    if let Some(form) = args.plan {
        let Comparison {
            arms,
            conditions,
            plan,
            ..
        } = &comparison;
        let commands = schedule::commands(&args.choice, &args.place, arms, conditions, plan, form);
        output::print(&commands)?;
        return Ok(ExitCode::SUCCESS);
    }
    comparison.train(&session, json)
}

fn default_out(args: &Args) -> PathBuf {
    let keys: Vec<&str> = args
        .vary
        .iter()
        .filter_map(|text| text.split('=').next()?.rsplit('.').next())
        .collect();
    let Choice { recipe, preset, .. } = &args.choice;
    Path::new("runs").join(format!("compare-{recipe}-{preset}-{}", keys.join("-")))
}

impl Comparison<'_> {
    /// Every configuration, before the first is trained.
    fn check(&self) -> Result<(), Error> {
        let Args { choice, place, .. } = self.args;
        let sets = self.arms.iter().flat_map(|arm| &arm.sets).cloned();
        let mut sets = sets.chain(self.conditions.iter().map(Condition::set));
        if !place.data.is_empty() && sets.any(|set| set.starts_with("data=")) {
            return Err(Error::Usage(
                "--data would replace the datasets of --vary data=... and --also data=...; leave one of them out"
                    .into(),
            ));
        }
        for arm in &self.arms {
            place.check_data(&choice.resolve(&arm.sets)?.table)?;
            for condition in &self.conditions {
                let sets = [&arm.sets[..], &[condition.set()]].concat();
                place.check_data(&choice.resolve(&sets)?.table)?;
            }
        }
        Ok(())
    }

    /// That no option undoes what another one does.
    fn check_keys(&self) -> Result<(), Error> {
        let key = |text: &String| text.split('=').next().unwrap_or(text).trim().to_owned();
        let keys = |texts: &[String]| texts.iter().map(key).collect::<Vec<_>>();
        let (varied, tuned, also) = (
            keys(&self.args.vary),
            keys(&self.args.tune),
            keys(&self.args.also),
        );
        let matched = self.args.budget.map_or(&[][..], Budget::keys);
        let within = |key: &str, part: &str| {
            key == part
                || key
                    .strip_prefix(part)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        let clash = |a: &str, b: &str| within(a, b) || within(b, a);
        for (option, keys) in [("--tune", &tuned), ("--also", &also)] {
            for key in keys {
                if let Some(other) = varied.iter().find(|other| clash(key, other)) {
                    return Err(Error::Usage(format!(
                        "{option} {key}: --vary {other} compares what this would set; leave one of them out"
                    )));
                }
            }
        }
        for key in varied.iter().chain(&tuned).chain(&also) {
            if matched.iter().any(|other| clash(key, other)) {
                return Err(Error::Usage(format!(
                    "{key} is what --match adapts; leave one of them out"
                )));
            }
        }
        match tuned.iter().find(|key| also.contains(key)) {
            Some(key) => Err(Error::Usage(format!(
                "--also {key}: --tune chooses it; leave one of them out"
            ))),
            None => Ok(()),
        }
    }

    /// Trains what is not yet finished and reports.
    fn train(mut self, session: &Session, json: bool) -> Result<ExitCode, Error> {
        for planned in self.plan.iter().filter(|planned| planned.dir.is_run()) {
            let run = session.run(&planned.dir, planned.record.seed);
            let same = run.start(&planned.record);
            same.map(drop)
                .map_err(|error| Error::Usage(format!("{error}; or choose another --out")))?;
        }
        for index in 0..self.plan.len() {
            let planned = &self.plan[index];
            let name = format!(
                "[{}/{}] {}",
                index + 1,
                self.plan.len(),
                self.named(planned)
            );
            if planned.dir.is_finished() {
                tell!("{name}: already finished");
            } else {
                if session.interrupter.should_stop() {
                    return self.interrupted();
                }
                tell!("{name}: {}", planned.dir.path().display());
                let run = session.run(&planned.dir, planned.record.seed);
                match session.train(&planned.record, &run) {
                    Ok(_) => {}
                    Err(Error::Interrupted { .. }) => return self.interrupted(),
                    Err(error) => {
                        tell!("{name}: failed: {error}");
                        let failed = Failed {
                            arm: self.labelled(planned),
                            seed: planned.record.seed,
                            diverged: matches!(error, Error::NonFinite { .. }),
                            error: error.to_string(),
                            planned: index,
                        };
                        self.failed.push(failed);
                        continue;
                    }
                }
            }
            let planned = &self.plan[index];
            if !self.args.no_probes && planned.condition.is_none() {
                match probes::measure(session, planned, &name) {
                    Ok(()) => {}
                    Err(Error::Interrupted { .. }) => return self.interrupted(),
                    Err(error) => tell!("{name}: note: no probes: {error}"),
                }
            }
            // What is left to train is worth more than a page about what has been.
            if let Err(error) = self.write() {
                tell!("{name}: note: no report yet: {error}");
            }
        }
        self.finish(json)
    }

    fn named(&self, planned: &Planned) -> String {
        format!("{}, seed {}", self.labelled(planned), planned.record.seed)
    }

    /// Its arm, and the condition if there is one.
    fn labelled(&self, planned: &Planned) -> String {
        let under = planned.condition.map(|index| self.conditions[index].set());
        let under = under.map_or(String::new(), |set| format!(", {set}"));
        format!("{}{under}", self.arms[planned.arm].label)
    }

    fn unfinished(&self) -> impl Iterator<Item = &Planned> {
        self.plan
            .iter()
            .filter(|planned| !planned.dir.is_finished())
    }

    /// Prints what all runs came to.
    fn finish(&self, json: bool) -> Result<ExitCode, Error> {
        let report = self.write()?;
        match json {
            true => output::print_json(&self.summary(&report))?,
            false => output::print(&format!(
                "{}\nreport  {}\n",
                report.text(),
                self.out.file(run_dir::REPORT).display()
            ))?,
        }
        for Failed {
            arm, seed, error, ..
        } in &self.failed
        {
            tell!("failed: {arm}, seed {seed}: {error}");
        }
        Ok(match self.failed.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    fn interrupted(&self) -> Result<ExitCode, Error> {
        let finished = self.plan.len() - self.unfinished().count();
        let so_far = match self.plan.is_empty() {
            true => "no run of the comparison has begun".into(),
            false => format!("{finished} of {} runs are finished", self.plan.len()),
        };
        tell!("interrupted, state saved: {so_far}; the same command goes on from here");
        Ok(ExitCode::from(signals::INTERRUPTED as u8))
    }

    /// Writes the page and the numbers of all that is finished.
    fn write(&self) -> Result<CompareReport, Error> {
        let Args { choice, place, .. } = self.args;
        let command = |planned: &Planned| {
            let condition = planned.condition.map(|index| &self.conditions[index]);
            let arm = &self.arms[planned.arm];
            let dir = schedule::quote(&planned.dir.path().display().to_string());
            match self.args.collect {
                // Only its record says how it was trained.
                Some(_) => format!("crucible repro {dir}"),
                None => schedule::command(choice, place, arm, condition, planned),
            }
        };
        let contents = Contents {
            recipe: choice.recipe()?,
            arms: &self.arms,
            conditions: &self.conditions,
            plan: &self.plan,
            diverged: self.diverged(),
            command: &command,
        };
        let mut report = contents.read()?;
        report.subtitle = self.out.path().display().to_string();
        report.budget = self.budget.clone();
        let tuned = self
            .tuned
            .iter()
            .map(|tuned| ("Tuning".into(), tuned.clone()));
        report.facts.extend(tuned);
        let failed = |failed: &Failed| {
            let Failed {
                arm, seed, error, ..
            } = failed;
            format!("{arm}, seed {seed}: {error}")
        };
        report.failed = self.failed.iter().map(failed).collect();
        self.out.write(run_dir::REPORT, report.html().as_bytes())?;
        self.out.write(RUNS, report.csv().as_bytes())?;
        self.out.write(PAIRS, report.pairs_csv().as_bytes())?;
        self.out.write(TABLE, report.latex().as_bytes())?;
        self.out.write_json(SUMMARY, &self.summary(&report))?;
        Ok(report)
    }

    /// Arm and seed of the runs whose loss was no number.
    fn diverged(&self) -> Vec<(usize, u64)> {
        let diverged = self.failed.iter().filter(|failed| failed.diverged);
        let planned = diverged.map(|failed| &self.plan[failed.planned]);
        let own = planned.filter(|planned| planned.condition.is_none());
        own.map(|planned| (planned.arm, planned.record.seed))
            .collect()
    }

    fn summary<'a>(&'a self, report: &'a CompareReport) -> Summary<'a> {
        let Choice { recipe, preset, .. } = &self.args.choice;
        Summary {
            recipe,
            // A collected study may have started from another preset than the one of this command.
            preset: self
                .plan
                .first()
                .map_or(preset, |planned| &planned.record.preset),
            vary: &self.args.vary,
            arms: report.summaries(),
            study: &report.study,
            budget: &self.budget,
            failed: &self.failed,
            unfinished: self.unfinished().count(),
        }
    }
}
