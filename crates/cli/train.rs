//! `crucible train`

use crate::options::{Choice, Place, strategy};
use crate::{devices, output, session};
use burn::train::Interrupter;
use crucible_training::recipe::RunResult;
use crucible_training::run::device_name;
use crucible_training::tell;
use crucible_training::{Error, Init, Run, RunDir, RunRecord, run, run_dir, signals};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use toml::Table;

/// Train a model, validate it on the way, test it, and write a report
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible train vqa                                        minutes on two CPU cores
  crucible train vqa --set fusion=mid --set training.steps=500
  crucible train vqa --config my.toml --data my/folder --seed 7 --out runs/mine
  crucible train vqa --init runs/contrastive-quick-seed0    start from what another recipe has learnt
  crucible train vqa --resume                               go on after Ctrl-C")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    place: Place,

    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Run directory [default: runs/RECIPE-PRESET-STRATEGY-seedN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Go on at the newest checkpoint of the run directory
    #[arg(long)]
    resume: bool,

    /// Run of any recipe to start from: what its model has in common with this one is taken, tokenizer included
    #[arg(long, value_name = "RUN")]
    init: Option<PathBuf>,

    /// Stretch the learned positions of that run to the length that is needed here
    #[arg(long, requires = "init")]
    interpolate_positions: bool,

    /// Several devices of the backend, by number, that share the batches of each update (training.accumulate)
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    devices: Vec<usize>,

    /// Write event files too: `tensorboard --logdir runs` shows them while it trains
    #[arg(long)]
    tensorboard: bool,

    /// Say at the end where the time went: data, forward, backward, optimizer, ...
    #[arg(long)]
    profile: bool,
}

#[derive(Serialize)]
struct Trained<'a> {
    run: &'a Path,
    report: &'a Path,
    #[serde(flatten)]
    result: &'a RunResult,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let recipe = args.choice.recipe()?;
    let config = args.choice.resolve(&[])?.table;
    let backend = devices::find(&args.place.backend)?;
    args.place.check_data(&config)?;
    if let Some(init) = args.init.as_ref().filter(|_| !args.resume) {
        run::open(init)?;
    }
    let dir = RunDir::new(
        args.out
            .clone()
            .unwrap_or_else(|| default_out(args, &config)),
    );
    if dir.is_finished() && !args.resume {
        return Err(Error::Run {
            path: dir.path().to_path_buf(),
            reason: "a finished run is here, and no run is ever overwritten; choose another --out \
                     (or another --seed)"
                .into(),
        });
    }
    let mut devices = backend.open_all(&args.devices)?;
    let names: Vec<String> = devices.iter().map(device_name).collect();
    let run = Run {
        dir,
        seed: args.seed,
        device: devices.remove(0),
        others: devices,
        memory: backend.memory(&args.devices),
        backend: backend.name,
        interrupter: Interrupter::new(),
        resume: args.resume,
        init: args.init.clone().map(|run| Init {
            run,
            interpolate: args.interpolate_positions,
        }),
        data: args.place.data.clone(),
        tuning: false,
        quiet: false,
        profile: args.profile,
        tensorboard: args.tensorboard,
    };
    let mut record = RunRecord::new(
        recipe.name(),
        &args.choice.preset,
        &config,
        run.seed,
        &run.backend,
        &run.device,
        &run.data,
    );
    record.device = names.join(", ");
    record.init = args
        .init
        .as_ref()
        .map_or(String::new(), |run| run.display().to_string());
    tell!(
        "{} into {}",
        session::describe(&record),
        run.dir.path().display()
    );
    signals::install(run.interrupter.clone())?;
    let result = session::train(recipe, &record, &run)?;
    let report = run.dir.file(run_dir::REPORT);
    match json {
        true => output::print_json(&Trained {
            run: run.dir.path(),
            report: &report,
            result: &result,
        })?,
        false => output::print(&text(&result, &report))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A name that tells what was trained; whoever sets more keys than it holds gives `--out`.
fn default_out(args: &Args, config: &Table) -> PathBuf {
    let Choice { recipe, preset, .. } = &args.choice;
    let strategy = strategy(config).map_or(String::new(), |name| format!("-{name}"));
    Path::new("runs").join(format!("{recipe}-{preset}{strategy}-seed{}", args.seed))
}

fn text(result: &RunResult, report: &Path) -> String {
    let mut text = String::new();
    for (name, value) in &result.test {
        text += &match name.as_str() {
            "accuracy" => format!("test accuracy  {}\n", output::percent(*value)),
            name => format!("test {name:<8}  {value:.4}\n"),
        };
    }
    text + &format!(
        "training       {} steps in {}\nreport         {}\n",
        output::count(result.cost.steps),
        output::duration(result.cost.seconds),
        report.display(),
    )
}
