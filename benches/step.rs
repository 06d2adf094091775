//! One training step (forward, backward, AdamW; fp32, two threads) against the same model in PyTorch.
//!
//! ```text
//! pip install torch==2.9.0 safetensors numpy      # the peer's Python is $CRUCIBLE_PYTHON, or python3
//! cargo bench --profile dev --bench step          # the profile of every build: compiles nothing twice
//! cargo bench --profile dev --bench step -- --growth   # and from 128 to 4,096 tokens, from 1 to 512 samples
//! cargo bench --profile dev --bench step -- vit bert --steps 30 --processes 1 --json
//! ```
//!
//! Both start from the same weights and see the same batch. Before a time counts, the losses of the first
//! step must agree to 1e-5, and those of the steps before the first that counts, twenty of them, to 1e-3. All models
//! take half an hour on two cores.
//! Groups of our steps and of theirs alternate, so that both have the same weather. Yet PyTorch's threads wait
//! for each other in busy loops, and on a machine with other work they wait many times as long as they compute:
//! there, set `OMP_WAIT_POLICY=PASSIVE`, which costs little elsewhere.
//!
//! Each workload has processes of its own, ours and theirs. MFU is what a step needs, three times the
//! forward pass's operations, over what the machine could have done in that time by the multiply-adds measured
//! in the same process. Memory is the peak of a process beyond what it held when it had loaded its libraries.

#[path = "step/memory.rs"]
mod memory;
#[path = "step/peak.rs"]
mod peak;
mod peers;
#[path = "step/towers.rs"]
mod towers;
#[path = "step/workloads.rs"]
mod workloads;

use burn::tensor::Device;
use clap::Parser;
use crucible_evaluation::table::{Align, text_table};
use crucible_kernels::{Allocator, keep_freed_memory};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use memory::memory;
use peers::{Failure, Peer};
use workloads::{Known, Workload, workloads};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const THREADS: usize = 2;
/// Largest relative difference of the losses of the first step, and of those before the first that counts.
const FIRST: f64 = 1e-5;
const CURVE: f64 = 1e-3;
/// Steps before the first that counts, where the curve has been compared already.
const WARM_UP: u32 = 5;
const LEARNING_RATE: f64 = 1e-4;
const SEED: u64 = 0;

/// Times one training step against PyTorch.
#[derive(Parser)]
struct Args {
    /// Workloads, by name; all models when none is named
    names: Vec<String>,
    /// Also how time and memory grow with tokens and batch
    #[arg(long)]
    growth: bool,
    /// Measured steps of each process on either side
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Steps before the first that counts, whose losses are compared; in later processes of a workload no more than
    /// five
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    curve: u32,
    /// Steps before the other side has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    group: u32,
    /// How often each workload is measured, by processes of its own
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Measure the one workload in this process
    #[arg(long, hide = true)]
    alone: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one or several processes measured of one workload.
#[derive(Serialize, Deserialize)]
struct Measured {
    name: String,
    parameters: usize,
    forward_flops: f64,
    /// Multiply-adds that both threads do, twice as many operations a second.
    peak_flops: Vec<f64>,
    /// Losses of the first step: ours, theirs.
    first_losses: [f64; 2],
    /// Largest relative difference of a loss, of the first step and of all before the first that counts.
    differences: [f64; 2],
    /// Seconds of each step.
    ours: Vec<f64>,
    pytorch: Vec<f64>,
    /// Peaks of the processes' memory: ours, theirs.
    bytes: [u64; 2],
}

impl Measured {
    /// Whether the losses agree, so that the times count. A loss that is not a number agrees with nothing.
    fn agrees(&self) -> bool {
        let [first, curve] = self.differences;
        first <= FIRST && curve <= CURVE
    }

    fn join(&mut self, other: Self) {
        self.peak_flops.extend(other.peak_flops);
        self.ours.extend(other.ours);
        self.pytorch.extend(other.pytorch);
        for i in 0..2 {
            self.differences[i] = larger(self.differences[i], other.differences[i]);
            self.bytes[i] = self.bytes[i].max(other.bytes[i]);
        }
    }

    fn ratio(&self) -> f64 {
        quantile(&self.ours, 0.5) / quantile(&self.pytorch, 0.5)
    }

    fn mfu(&self, seconds: &[f64]) -> f64 {
        3.0 * self.forward_flops / quantile(seconds, 0.5) / quantile(&self.peak_flops, 0.5)
    }
}

/// The larger of two numbers; what is not a number if one of them is none, which `f64::max` passes over.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b < a { a } else { b }
}

/// Between the two nearest ranks, as numpy does.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
    low + (high - low) * rank.fract()
}

/// Steps of one workload in this process and of its peer.
fn measure(mut workload: Workload, start: u64, args: &Args) -> Result<Measured, Failure> {
    let mut peer = Peer::spawn("step.py")?;
    peer.load(workload.start)?;
    let curve: Vec<f64> = (0..args.curve).map(|_| (workload.step)()).collect();
    let theirs = peer.step(args.curve)?.losses;
    let pairs = curve.iter().zip(&theirs);
    let differences = pairs.map(|(ours, theirs)| (ours / theirs - 1.0).abs());
    let differences: Vec<f64> = differences.collect();
    let largest = differences.iter().copied().fold(0.0, larger);

    let (mut ours, mut pytorch, mut peak_flops) = (Vec::new(), Vec::new(), Vec::new());
    while ours.len() < args.steps as usize {
        let group = args.group.min(args.steps - ours.len() as u32);
        for _ in 0..group {
            let start = Instant::now();
            (workload.step)();
            ours.push(start.elapsed().as_secs_f64());
        }
        pytorch.extend(peer.step(group)?.seconds);
        peak_flops.push(peak::flops(THREADS));
    }
    Ok(Measured {
        name: workload.name.into(),
        parameters: workload.parameters,
        forward_flops: workload.forward_flops,
        peak_flops,
        first_losses: [curve[0], theirs[0]],
        differences: [differences[0], largest],
        ours,
        pytorch,
        bytes: [memory("VmHWM")?.saturating_sub(start), peer.memory()?],
    })
}

/// The one workload that is named, in this process.
fn alone(args: &Args) -> Result<Measured, Failure> {
    let start = memory("VmRSS")?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()?;
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let named = |known: &Known| args.names.iter().eq([&known.name]);
    let known = workloads().into_iter().flatten().find(named);
    let workload = known.ok_or("one workload has a process")?.make(&device)?;
    measure(workload, start, args)
}

/// The same in a process of its own.
fn apart(name: &str, args: &Args, curve: u32) -> Result<Measured, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--bench", "--alone", name]);
    for (option, value) in [
        ("--steps", args.steps),
        ("--curve", curve),
        ("--group", args.group),
    ] {
        command.arg(option).arg(value.to_string());
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn table(rows: &[Measured]) -> String {
    let columns = [
        "step of",
        "parameters",
        "ours, ms",
        "p10-p90",
        "PyTorch, ms",
        "p10-p90",
        "time",
        "MFU, ours",
        "PyTorch",
        "memory, MiB",
        "PyTorch",
        "memory",
        "losses differ by",
    ];
    let mut aligned = columns.map(|name| (name, Align::Right));
    aligned[0].1 = Align::Left;
    let milliseconds = |seconds: &[f64]| {
        let [p10, median, p90] = [0.1, 0.5, 0.9].map(|q| 1e3 * quantile(seconds, q));
        [format!("{median:.1}"), format!("{p10:.1}-{p90:.1}")]
    };
    let cells = |row: &Measured| {
        let [first, curve] = row.differences;
        let mut cells = vec![row.name.clone(), row.parameters.to_string()];
        match row.agrees() {
            true => {
                cells.extend(milliseconds(&row.ours));
                cells.extend(milliseconds(&row.pytorch));
                cells.push(format!("{:.2}", row.ratio()));
                for seconds in [&row.ours, &row.pytorch] {
                    cells.push(format!("{:.0}%", 100.0 * row.mfu(seconds)));
                }
                cells.extend(row.bytes.map(|bytes| (bytes >> 20).to_string()));
                cells.push(format!("{:.2}", row.bytes[0] as f64 / row.bytes[1] as f64));
                cells.push(format!("{first:.0e}, later {curve:.0e}"));
            }
            false => {
                cells.extend(["no time counts"; 10].map(|_| "-".to_owned()));
                cells.push(format!(
                    "{first:.0e}, later {curve:.0e}: NOT THE SAME MODEL"
                ));
            }
        }
        cells
    };
    text_table(&aligned, &rows.iter().map(cells).collect::<Vec<_>>())
}

fn run(args: &Args) -> Result<bool, Failure> {
    let [models, growth] = workloads();
    let all = || models.iter().chain(&growth);
    if let Some(name) = args
        .names
        .iter()
        .find(|name| all().all(|known| known.name != **name))
    {
        let known: Vec<_> = all()
            .map(|Known { name, about, .. }| format!("  {name:14}{about}"))
            .collect();
        return Err(format!("no workload `{name}`; there are\n{}", known.join("\n")).into());
    }
    if args.alone {
        println!("{}", serde_json::to_string(&alone(args)?)?);
        return Ok(true);
    }
    let mut rows: Vec<Measured> = Vec::new();
    // Processes of one workload lie as far apart as they can.
    for process in 1..=args.processes {
        for Known { name, about, .. } in all() {
            let wanted = match args.names.is_empty() {
                true => models.iter().any(|model| model.name == *name),
                false => args.names.contains(name),
            };
            let wanted = wanted || args.growth && growth.iter().any(|known| known.name == *name);
            if !wanted {
                continue;
            }
            eprintln!(
                "{name} ({about}), process {process} of {} ...",
                args.processes
            );
            let curve = if process == 1 {
                args.curve
            } else {
                args.curve.min(WARM_UP)
            };
            let measured = apart(name, args, curve)?;
            match rows.iter_mut().find(|row| row.name == *name) {
                Some(row) => row.join(measured),
                None => rows.push(measured),
            }
        }
    }
    match args.json {
        true => println!(
            "{}",
            serde_json::to_string_pretty(&json!({ "threads": THREADS, "rows": rows }))?
        ),
        false => print!("{}", table(&rows)),
    }
    Ok(rows.iter().all(Measured::agrees))
}

fn main() -> ExitCode {
    keep_freed_memory();
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
