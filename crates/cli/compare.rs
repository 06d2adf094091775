//! `crucible compare`

use crate::arms::{Arm, arms};
use crate::comparison::{self, Failed, Planned, Summary};
use crate::options::{Choice, Place};
use crate::study::{self, Form};
use crate::{devices, output, session};
use burn::tensor::Device;
use burn::train::Interrupter;
use crucible_evaluation::report::CompareReport;
use crucible_training::tell;
use crucible_training::{AnyRecipe, Error, Run, RunDir, RunRecord, run_dir, signals};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use toml::Table;

/// Train several variants with several seeds and report which is better
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible compare vqa --vary fusion=early,mid,late --seeds 3
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

    /// Key and the values to compare; each is set as by --set
    #[arg(long, value_name = "KEY=A,B,C", required_unless_present = "collect")]
    vary: Vec<String>,

    /// Seeds for each variant: 0, 1, ...
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

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

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let recipe = args.choice.recipe()?;
    if let Some(folder) = &args.collect {
        let (arms, plan) = study::collect(&args.choice.recipe, folder)?;
        for unfinished in plan.iter().filter(|planned| !planned.dir.is_finished()) {
            tell!("not finished: {}", unfinished.dir.path().display());
        }
        return finish(args, &arms, &plan, &[], &RunDir::new(folder), json);
    }
    if args.plan.is_some() && json {
        return Err(Error::Usage(
            "--plan prints commands, not JSON; leave --json out".into(),
        ));
    }
    let arms = arms(&args.vary)?;
    let varies_data = |arm: &Arm| arm.sets.iter().any(|set| set.starts_with("data="));
    if !args.place.data.is_empty() && arms.iter().any(varies_data) {
        return Err(Error::Usage(
            "--data would replace the datasets of --vary data=...; leave one of them out".into(),
        ));
    }
    let out = RunDir::new(args.out.clone().unwrap_or_else(|| default_out(args)));
    let backend = devices::find(&args.place.backend)?;
    let configs = configs(args, &arms)?;
    let device = backend.open()?;
    let plan = plan(args, &arms, &configs, out.path(), &device, &backend.name);
    if let Some(form) = args.plan {
        let commands = study::commands(&args.choice, &args.place, &arms, &plan, form);
        output::print(&commands)?;
        return Ok(ExitCode::SUCCESS);
    }
    let interrupter = Interrupter::new();
    let run_of = |planned: &Planned| Run {
        dir: planned.dir.clone(),
        seed: planned.record.seed,
        device: device.clone(),
        others: Vec::new(),
        backend: backend.name.clone(),
        memory: backend.memory(&[]),
        interrupter: interrupter.clone(),
        resume: true,
        init: None,
        data: args.place.data.clone(),
        quiet: false,
        profile: false,
        tensorboard: false,
    };
    for planned in plan.iter().filter(|planned| planned.dir.is_run()) {
        let same = run_of(planned).start(&planned.record);
        same.map(drop)
            .map_err(|error| Error::Usage(format!("{error}; or choose another --out")))?;
    }
    signals::install(interrupter.clone())?;

    let mut failed = Vec::new();
    for (index, planned) in plan.iter().enumerate() {
        let (arm, seed) = (&arms[planned.arm].label, planned.record.seed);
        let name = format!("[{}/{}] {arm}, seed {seed}", index + 1, plan.len());
        if planned.dir.is_finished() {
            tell!("{name}: already finished");
            continue;
        }
        if interrupter.should_stop() {
            return interrupted(&plan);
        }
        tell!("{name}: {}", planned.dir.path().display());
        match train(recipe, &planned.record, &run_of(planned)) {
            Ok(()) => {}
            Err(Error::Interrupted { .. }) => return interrupted(&plan),
            Err(error) => {
                tell!("{name}: failed: {error}");
                failed.push(Failed {
                    arm: arm.clone(),
                    seed,
                    error: error.to_string(),
                });
            }
        }
        write(args, &arms, &plan, &failed, &out)?;
    }
    finish(args, &arms, &plan, &failed, &out, json)
}

/// Prints what all runs came to.
fn finish(
    args: &Args,
    arms: &[Arm],
    plan: &[Planned],
    failed: &[Failed],
    out: &RunDir,
    json: bool,
) -> Result<ExitCode, Error> {
    let report = write(args, arms, plan, failed, out)?;
    match json {
        true => output::print_json(&summary(args, &report, plan, failed))?,
        false => output::print(&format!(
            "{}\nreport  {}\n",
            report.text(),
            out.file(run_dir::REPORT).display()
        ))?,
    }
    for Failed { arm, seed, error } in failed {
        tell!("failed: {arm}, seed {seed}: {error}");
    }
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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

/// The configuration of each arm, all checked before the first is trained.
fn configs(args: &Args, arms: &[Arm]) -> Result<Vec<Table>, Error> {
    let config = |arm: &Arm| {
        let config = args.choice.resolve(&arm.sets)?.table;
        args.place.check_data(&config)?;
        Ok(config)
    };
    arms.iter().map(config).collect()
}

/// Every run. The first seed of all arms comes first, so that there is something to compare early.
fn plan(
    args: &Args,
    arms: &[Arm],
    configs: &[Table],
    out: &Path,
    device: &Device,
    backend: &str,
) -> Vec<Planned> {
    let (Choice { recipe, preset, .. }, data) = (&args.choice, &args.place.data);
    let mut plan = Vec::new();
    for seed in 0..args.seeds {
        for (index, (arm, config)) in arms.iter().zip(configs).enumerate() {
            plan.push(Planned {
                arm: index,
                dir: RunDir::new(out.join(&arm.folder).join(format!("seed-{seed}"))),
                record: RunRecord::new(recipe, preset, config, seed, backend, device, data),
            });
        }
    }
    plan
}

/// Trains one run. A variant that panics, as one may whose shapes do not fit, is one failed run and
/// not the end of the others.
fn train(recipe: &dyn AnyRecipe, record: &RunRecord, run: &Run) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(|| session::train(recipe, record, run)))
        .unwrap_or_else(|_| Err(Error::Backend("it panicked, see above".into())))
        .map(drop)
}

fn interrupted(plan: &[Planned]) -> Result<ExitCode, Error> {
    let finished = plan
        .iter()
        .filter(|planned| planned.dir.is_finished())
        .count();
    tell!(
        "interrupted, state saved: {finished} of {} runs are finished; the same command goes on from here",
        plan.len()
    );
    Ok(ExitCode::from(signals::INTERRUPTED as u8))
}

/// Writes the page and the numbers of all that is finished.
fn write(
    args: &Args,
    arms: &[Arm],
    plan: &[Planned],
    failed: &[Failed],
    out: &RunDir,
) -> Result<CompareReport, Error> {
    let report = CompareReport {
        subtitle: out.path().display().to_string(),
        ..comparison::read(arms, plan)?
    };
    out.write(run_dir::REPORT, report.html().as_bytes())?;
    out.write_json(SUMMARY, &summary(args, &report, plan, failed))?;
    Ok(report)
}

fn summary<'a>(
    args: &'a Args,
    report: &CompareReport,
    plan: &'a [Planned],
    failed: &'a [Failed],
) -> Summary<'a> {
    Summary {
        recipe: &args.choice.recipe,
        // A collected study may have started from another preset than the one of this command.
        preset: plan
            .first()
            .map_or(&args.choice.preset, |planned| &planned.record.preset),
        vary: &args.vary,
        arms: report.summaries(),
        failed,
        unfinished: plan
            .iter()
            .filter(|planned| !planned.dir.is_finished())
            .count(),
    }
}
