//! Each fused operation, forward and backward, against its composed form and against what the machine can do.
//!
//! ```text
//! cargo bench --profile dev --bench operations
//! cargo bench --profile dev --bench operations -- attention linear --rounds 50
//! ```
//!
//! The two take turns. The roof of an operation is the longer of two times: that of its multiplications and additions
//! at the measured peak of both threads, and that of reading its inputs and writing its results once at the measured
//! rate of a copy (Williams et al. 2009). The sum that starts the way back is in the times and in the bytes.

#[path = "operations/cases.rs"]
mod cases;
#[path = "step/peak.rs"]
mod peak;

use burn::tensor::Device;
use clap::Parser;
use crucible_evaluation::table::{Align, text_table};
use crucible_kernels::{Allocator, among_threads, keep_freed_memory};
use std::time::Instant;

use cases::{Case, cases};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const THREADS: usize = 2;

/// Times fused operations against their composed forms.
#[derive(Parser)]
struct Args {
    /// Operations whose names contain one of these; all when none is named
    names: Vec<String>,
    /// How often each is measured in either form
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// Bytes a second that both threads read and write: the best of five copies, larger than any cache.
fn bandwidth() -> f64 {
    const LENGTH: usize = 1 << 25;
    let from = vec![1.0f32; LENGTH];
    let mut to = vec![0.0f32; LENGTH];
    let once = |to: &mut [f32]| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (to, from) in to
                .chunks_mut(LENGTH / THREADS)
                .zip(from.chunks(LENGTH / THREADS))
            {
                scope.spawn(move || to.copy_from_slice(from));
            }
        });
        (2 * LENGTH * size_of::<f32>()) as f64 / start.elapsed().as_secs_f64()
    };
    (0..5).map(|_| once(&mut to)).fold(0.0, f64::max)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(case: &Case, rounds: u32, bandwidth: f64) -> Vec<String> {
    let time = |fused| {
        let start = Instant::now();
        among_threads(&Device::flex(), || (case.run)(fused));
        start.elapsed().as_secs_f64()
    };
    for fused in [true, false] {
        time(fused);
    }
    // Clocks go up and down with what else the machine does.
    let mut peaks = vec![peak::flops(THREADS)];
    let (fused, composed): (Vec<_>, Vec<_>) = (0..rounds)
        .map(|_| {
            let pair = (time(true), time(false));
            peaks.push(peak::flops(THREADS));
            pair
        })
        .unzip();
    let peak = median(peaks);
    let (fused, composed) = (median(fused), median(composed));
    let (compute, memory) = (case.flops / peak, case.bytes / bandwidth);
    let roof = compute.max(memory);
    vec![
        case.name.into(),
        case.shape.into(),
        format!("{:.2}", 1e3 * composed),
        format!("{:.2}", 1e3 * fused),
        format!("{:.1}", composed / fused),
        if compute > memory {
            "compute"
        } else {
            "memory"
        }
        .into(),
        format!("{:.2}", 1e3 * roof),
        format!("{:.0}%", 100.0 * roof / fused),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    keep_freed_memory();
    let args = Args::parse();
    if !args.bench {
        // `cargo test --benches` runs benchmarks too; it is enough that this one compiles.
        return Ok(());
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()?;
    let bandwidth = bandwidth();
    println!("two threads copy {:.1} GB/s", bandwidth / 1e9);
    let columns = [
        "operation",
        "shape",
        "composed, ms",
        "fused, ms",
        "faster",
        "bound by",
        "roof, ms",
        "of the roof",
    ];
    let mut aligned = columns.map(|name| (name, Align::Right));
    aligned[0].1 = Align::Left;
    aligned[1].1 = Align::Left;
    let wanted = |case: &Case| {
        args.names.is_empty()
            || args
                .names
                .iter()
                .any(|name| case.name.contains(name.as_str()))
    };
    let rows: Vec<_> = cases()
        .iter()
        .filter(|case| wanted(case))
        .map(|case| measure(case, args.rounds, bandwidth))
        .collect();
    print!("{}", text_table(&aligned, &rows));
    Ok(())
}
