//! Prefill and decoding of a published language model beside transformers, in turn.
//!
//! ```text
//! CRUCIBLE_PYTHON=python CRUCIBLE_GGUF=smollm2.gguf cargo bench --profile dev --bench generate
//! ```
//!
//! Both have the same dequantised weights in fp32 and two threads. Prefill is 512 tokens at once; decoding is greedy, from
//! prompts of 16 tokens, one row and four. Rounds of the two alternate, so that a machine that is slower in one minute is
//! so for both; the ratio is the median of those of the rounds. That both say the same is checked first.

#[allow(dead_code)] // what the benchmark of training steps asks of a peer
mod peers;

use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use crucible_evaluation::table::{Align, text_table};
use crucible_kernels::{Allocator, among_threads, keep_freed_memory};
use crucible_transformer::{CausalLm, Generates};
use crucible_weights::CausalCheckpoint;
use peers::{Failure, Peer};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const THREADS: usize = 2;
const PREFILL: usize = 512;
const PROMPT: usize = 16;

/// Times prefill and decoding.
#[derive(Parser)]
struct Args {
    /// The weights [default: CRUCIBLE_GGUF of the environment]
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Tokens to decode
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Rounds of each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Deserialize)]
struct Answer {
    tokens_per_second: f64,
    #[serde(default)]
    ids: Vec<Vec<u32>>,
}

/// The same tokens each time, spread over the vocabulary.
fn prompts(rows: usize, length: usize, vocabulary: usize) -> Vec<Vec<u32>> {
    let token =
        |row: usize, place: usize| ((row * 7919 + place * 104_729 + 13) % vocabulary) as u32;
    let row = |row| (0..length).map(|place| token(row, place)).collect();
    (0..rows).map(row).collect()
}

fn prefill(model: &CausalLm, rows: &[Vec<u32>]) -> f64 {
    let start = Instant::now();
    model.prompt(rows);
    tokens_per_second(rows.len() * PREFILL, start)
}

fn decode(model: &CausalLm, rows: &[Vec<u32>], tokens: usize) -> (f64, Vec<Vec<u32>>) {
    let best = |scores: &[f32]| {
        let ranked = scores.iter().enumerate().rev();
        let best = ranked.max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map_or(0, |(token, _)| token as u32)
    };
    let mut prompted = model.prompt(rows);
    let mut said: Vec<Vec<u32>> = prompted.scores.iter().map(|row| vec![best(row)]).collect();
    let start = Instant::now();
    for _ in 0..tokens {
        let last: Vec<u32> = said.iter().filter_map(|row| row.last().copied()).collect();
        let scores = model.step(&mut prompted.cache, &last);
        for (row, scores) in said.iter_mut().zip(&scores) {
            row.push(best(scores));
        }
    }
    (tokens_per_second(rows.len() * tokens, start), said)
}

fn tokens_per_second(tokens: usize, start: Instant) -> f64 {
    tokens as f64 / start.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Failure> {
    keep_freed_memory();
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()?;
    let device = Device::flex();
    let weights = args
        .weights
        .or_else(|| std::env::var_os("CRUCIBLE_GGUF").map(PathBuf::from));
    let weights = weights.ok_or("name a GGUF file with --weights, or by CRUCIBLE_GGUF")?;
    let checkpoint = CausalCheckpoint::open(&weights)?;
    let (model, _) = checkpoint.load(&weights, &device)?;
    let vocabulary = checkpoint.config.vocabulary;
    // Everything is where it will be before the first round.
    let ids = Tensor::<2, Int>::from_data(TensorData::from([[1, 2]]), &device);
    model.embed(ids);
    let mut peer = Peer::spawn("generate.py")?;
    let _: serde_json::Value = peer.ask(&json!({"load": weights, "threads": THREADS}))?;
    let mut table = Vec::new();
    for (name, rows) in [("prefill", 1), ("decode", 1), ("decode", 4)] {
        let prefills = name == "prefill";
        let prompts = prompts(rows, if prefills { PREFILL } else { PROMPT }, vocabulary);
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=args.rounds {
            let (own, said) = among_threads(&device, || match prefills {
                true => (prefill(&model, &prompts), Vec::new()),
                false => decode(&model, &prompts, args.tokens),
            });
            let request = match prefills {
                true => json!({"prefill": prompts}),
                false => json!({"decode": args.tokens, "prompts": prompts}),
            };
            let answer: Answer = peer.ask(&request)?;
            if said != answer.ids {
                return Err(format!("{name} of {rows}: transformers says other tokens").into());
            }
            // The first round warms both up.
            if round > 0 {
                ours.push(own);
                theirs.push(answer.tokens_per_second);
                ratios.push(own / answer.tokens_per_second);
            }
        }
        table.push(vec![
            format!("{name}, {rows} row{}", if rows > 1 { "s" } else { "" }),
            format!("{:.1}", median(&mut ours)),
            format!("{:.1}", median(&mut theirs)),
            format!("{:.2}", median(&mut ratios)),
        ]);
    }
    let right = |name| (name, Align::Right);
    let head = [
        ("", Align::Left),
        right("ours, tokens/s"),
        right("transformers, tokens/s"),
        right("ours over theirs"),
    ];
    print!("{}", text_table(&head, &table));
    Ok(())
}
