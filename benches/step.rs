//! One training step (forward, backward, AdamW; fp32, two threads) of each fusion family and of ViT-Ti/16,
//! against the same model in PyTorch.
//!
//! ```text
//! pip install torch==2.9.0 safetensors numpy      # the peer's Python is $CRUCIBLE_PYTHON, or python3
//! cargo bench --profile dev --bench step          # the profile of every build: compiles nothing twice
//! cargo bench --profile dev --bench step -- vit mid --steps 30 --json
//! ```
//!
//! Both start from the same weights and see the same batch. Before a time counts, the losses of the first
//! step must agree to 1e-4, and those of the warm-up, which follow from gradients and updates, to 1e-3.
//! Groups of our steps and of theirs alternate, so that both have the same weather. Yet PyTorch's threads wait
//! for each other in busy loops, and on a machine with other work they wait many times as long as they compute:
//! there, set `OMP_WAIT_POLICY=PASSIVE`, which costs little elsewhere.

mod peers;
#[path = "step/workloads.rs"]
mod workloads;

use burn::tensor::Device;
use clap::Parser;
use crucible_evaluation::table::{Align, text_table};
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use peers::{Failure, Peer};
use workloads::{WORKLOADS, Workload};

const THREADS: usize = 2;
/// Largest relative difference of the losses of the first step, and of the warm-up.
const FIRST: f64 = 1e-4;
const WARM_UP: f64 = 1e-3;
const LEARNING_RATE: f64 = 1e-4;
const SEED: u64 = 0;

/// Times one training step against PyTorch.
#[derive(Parser)]
struct Args {
    /// early, mid, late, vit; all of them when none is named
    names: Vec<String>,
    /// Measured steps of each model on either side
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Steps before the first that counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    warm_up: u32,
    /// Steps before the other side has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    group: u32,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What was measured of one workload.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    parameters: usize,
    /// Losses of the first step: ours, theirs.
    first_losses: [f64; 2],
    /// Largest relative difference of a loss, of the first step and of the warm-up.
    differences: [f64; 2],
    /// Whether the losses agree, so that the times count.
    agrees: bool,
    ours: Times,
    pytorch: Times,
    /// Our median over theirs.
    ratio: f64,
}

/// Seconds of one step.
#[derive(Serialize)]
struct Times {
    p10: f64,
    median: f64,
    p90: f64,
}

impl Times {
    fn new(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        // Between the two nearest ranks, as numpy does.
        let quantile = |q: f64| {
            let rank = q * (seconds.len() - 1) as f64;
            let (low, high) = (
                seconds[rank.floor() as usize],
                seconds[rank.ceil() as usize],
            );
            low + (high - low) * rank.fract()
        };
        Self {
            p10: quantile(0.1),
            median: quantile(0.5),
            p90: quantile(0.9),
        }
    }

    fn milliseconds(&self) -> [String; 2] {
        let Self { p10, median, p90 } = self;
        [
            format!("{:.1}", 1e3 * median),
            format!("{:.1}-{:.1}", 1e3 * p10, 1e3 * p90),
        ]
    }
}

fn measure(mut workload: Workload, peer: &mut Peer, args: &Args) -> Result<Row, Failure> {
    peer.load(&workload.start)?;
    let warm_up: Vec<f64> = (0..args.warm_up).map(|_| (workload.step)()).collect();
    let theirs = peer.step(args.warm_up)?.losses;
    let pairs = warm_up.iter().zip(&theirs);
    let differences: Vec<f64> = pairs
        .map(|(ours, theirs)| (ours / theirs - 1.0).abs())
        .collect();
    // A loss that is not a number agrees with nothing.
    let agrees =
        differences[0] <= FIRST && differences.iter().all(|difference| *difference <= WARM_UP);

    let (mut ours, mut pytorch) = (Vec::new(), Vec::new());
    while agrees && ours.len() < args.steps as usize {
        let group = args.group.min(args.steps - ours.len() as u32);
        for _ in 0..group {
            let start = Instant::now();
            (workload.step)();
            ours.push(start.elapsed().as_secs_f64());
        }
        pytorch.extend(peer.step(group)?.seconds);
    }
    if !agrees {
        // No time counts.
        (ours, pytorch) = (vec![f64::NAN], vec![f64::NAN]);
    }
    let (ours, pytorch) = (Times::new(ours), Times::new(pytorch));
    Ok(Row {
        name: workload.name,
        parameters: workload.parameters,
        first_losses: [warm_up[0], theirs[0]],
        differences: [
            differences[0],
            differences.iter().copied().fold(0.0, f64::max),
        ],
        agrees,
        ratio: ours.median / pytorch.median,
        ours,
        pytorch,
    })
}

fn table(rows: &[Row]) -> String {
    let columns = [
        "step of",
        "parameters",
        "ours, ms",
        "p10-p90",
        "PyTorch, ms",
        "p10-p90",
        "ours/PyTorch",
        "losses differ by",
    ];
    let mut aligned = columns.map(|name| (name, Align::Right));
    aligned[0].1 = Align::Left;
    let cells = |row: &Row| {
        let [first, warm_up] = row.differences;
        let mut cells = vec![row.name.to_owned(), row.parameters.to_string()];
        match row.agrees {
            true => {
                cells.extend(row.ours.milliseconds());
                cells.extend(row.pytorch.milliseconds());
                cells.push(format!("{:.2}", row.ratio));
                cells.push(format!("{first:.0e}, later {warm_up:.0e}"));
            }
            false => {
                cells.extend(["no time counts"; 5].map(|_| "-".to_owned()));
                cells.push(format!(
                    "{first:.0e}, later {warm_up:.0e}: NOT THE SAME MODEL"
                ));
            }
        }
        cells
    };
    text_table(&aligned, &rows.iter().map(cells).collect::<Vec<_>>())
}

fn run(args: &Args) -> Result<bool, Failure> {
    let known = WORKLOADS.map(|(name, _)| name);
    if let Some(name) = args
        .names
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        return Err(format!("no workload `{name}`; there are {}", known.join(", ")).into());
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()?;
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let mut peer = Peer::spawn("step.py")?;
    let mut rows = Vec::new();
    for (name, workload) in WORKLOADS {
        if args.names.is_empty() || args.names.iter().any(|wanted| wanted == name) {
            eprintln!(
                "{name}: {} + {} steps here and there ...",
                args.warm_up, args.steps
            );
            rows.push(measure(workload(&device)?, &mut peer, args)?);
        }
    }
    match args.json {
        true => println!(
            "{}",
            serde_json::to_string_pretty(&json!({ "threads": THREADS, "rows": rows }))?
        ),
        false => print!("{}", table(&rows)),
    }
    Ok(rows.iter().all(|row| row.agrees))
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        // `cargo test --benches` runs benchmarks too; it is enough that this one compiles.
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
