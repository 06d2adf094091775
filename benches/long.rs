//! How attention grows with the length of a sequence: forward and backward of two blocks of width 256 on one sequence.
//!
//! ```text
//! cargo bench --profile dev --bench long
//! cargo bench --profile dev --bench long -- full window --lengths 1024,2048 --processes 1
//! ```
//!
//! A pattern compares each token with as many others at any length, as many as it would by default at 512 tokens; only
//! linear attention has weights for each position. Each measurement has a process of its own, and those of one kind lie
//! as far apart as they can, so that a machine that is slower in one minute is so for all. Time is the median over the
//! steps of all processes; memory is the highest peak of a process beyond what it held when it had loaded its
//! libraries. "grows" is the factor to the length before.

#[path = "step/memory.rs"]
mod memory;

use burn::tensor::{Device, Distribution, Tensor};
use clap::Parser;
use crucible_evaluation::table::{Align, text_table};
use crucible_kernels::{Allocator, among_threads, keep_freed_memory};
use crucible_transformer::{AttentionPattern, EncoderConfig};
use memory::memory;
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};
use std::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const THREADS: usize = 2;
const WIDTH: usize = 256;
/// Steps before the first that counts.
const WARM_UP: u32 = 2;

/// Times attention patterns at growing lengths.
#[derive(Parser)]
struct Args {
    /// Patterns, by name; all when none is named
    names: Vec<String>,
    /// Tokens of a sequence
    #[arg(long, value_delimiter = ',', default_values_t = [128, 256, 512, 1024, 2048, 4096])]
    lengths: Vec<usize>,
    /// Measured steps of each process
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// How often each is measured, by processes of its own
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
    /// Measure the one pattern at the one length in this process
    #[arg(long, hide = true)]
    alone: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one or several processes measured of one pattern at one length.
#[derive(Serialize, Deserialize)]
struct Measured {
    name: String,
    length: usize,
    /// Of each step.
    seconds: Vec<f64>,
    /// The highest peak.
    bytes: u64,
}

impl Measured {
    fn join(&mut self, other: Self) {
        self.seconds.extend(other.seconds);
        self.bytes = self.bytes.max(other.bytes);
    }

    fn median(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}

fn pattern(name: &str, length: usize) -> Result<AttentionPattern, Failure> {
    let pattern = AttentionPattern::named(name, 512);
    let mut pattern = pattern.ok_or_else(|| {
        let names = AttentionPattern::NAMES.join(", ");
        format!("no pattern `{name}`; there are {names}")
    })?;
    if let AttentionPattern::Linear(config) = &mut pattern {
        config.max_length = length.max(config.projected);
    }
    Ok(pattern)
}

/// The one that is named, in this process.
fn alone(name: &str, length: usize, steps: u32) -> Result<Measured, Failure> {
    let start = memory("VmRSS")?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()?;
    let device = Device::flex().autodiff();
    device.seed(0);
    let config = EncoderConfig::new(WIDTH, 4, 4 * WIDTH, 2);
    let encoder = config.with_attention(pattern(name, length)?).init(&device);
    let normal = Distribution::Normal(0.0, 1.0);
    let x = Tensor::<3>::random([1, length, WIDTH], normal, &device);
    let step = |_| {
        let start = Instant::now();
        among_threads(&Device::flex(), || {
            drop(encoder.forward(x.clone(), None).square().mean().backward());
        });
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..WARM_UP + steps).map(step).skip(WARM_UP as usize);
    Ok(Measured {
        name: name.into(),
        length,
        seconds: seconds.collect(),
        bytes: memory("VmHWM")?.saturating_sub(start),
    })
}

/// The same in a process of its own.
fn apart(name: &str, length: usize, steps: u32) -> Result<Measured, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--bench", "--alone", name]);
    for (option, value) in [("--lengths", length), ("--steps", steps as usize)] {
        command.arg(option).arg(value.to_string());
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{name}, {length} tokens: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn table(rows: &[Measured]) -> String {
    let columns = ["attention", "tokens", "ms", "grows", "memory, MiB", "grows"];
    let mut aligned = columns.map(|name| (name, Align::Right));
    aligned[0].1 = Align::Left;
    let cells = (0..rows.len()).map(|i| {
        let row = &rows[i];
        let before = i.checked_sub(1).map(|before| &rows[before]);
        let before = before.filter(|before| before.name == row.name);
        let grows = |of: &dyn Fn(&Measured) -> f64| {
            before.map_or("".into(), |before| format!("x {:.2}", of(row) / of(before)))
        };
        vec![
            row.name.clone(),
            row.length.to_string(),
            format!("{:.1}", 1e3 * row.median()),
            grows(&Measured::median),
            format!("{:.1}", row.bytes as f64 / (1 << 20) as f64),
            grows(&|row| row.bytes as f64),
        ]
    });
    text_table(&aligned, &cells.collect::<Vec<_>>())
}

fn main() -> Result<(), Failure> {
    keep_freed_memory();
    let mut args = Args::parse();
    if !args.bench {
        // `cargo test --benches` runs benchmarks too; it is enough that this one compiles.
        return Ok(());
    }
    if args.names.is_empty() {
        args.names = AttentionPattern::NAMES.map(String::from).into();
    }
    if let (true, [name], [length]) = (args.alone, &args.names[..], &args.lengths[..]) {
        let measured = alone(name, *length, args.steps)?;
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(());
    }
    let mut rows: Vec<Measured> = Vec::new();
    for process in 1..=args.processes {
        eprintln!("process {process} of {} of each ...", args.processes);
        for name in &args.names {
            for &length in &args.lengths {
                let measured = apart(name, length, args.steps)?;
                let mut known = rows.iter_mut();
                match known.find(|row| row.name == *name && row.length == length) {
                    Some(row) => row.join(measured),
                    None => rows.push(measured),
                }
            }
        }
    }
    print!("{}", table(&rows));
    Ok(())
}
