//! Damaged and hostile files: no panic, no hang, no memory beyond the file's, and no zeros where the file had none.
//!
//! No byte of any value in the fixtures is zero, so that a tensor with zeros was made up, but where the mutation wrote
//! them. `cargo test -p crucible-weights --test mutants -- --ignored --nocapture` runs all 20,000 and prints figures.

mod mutate;
mod subjects;

use std::fs;
use std::panic;
use std::path::Path;
use std::time::{Duration, Instant};

use crucible_weights::Error;
use crucible_weights::files::{Tensors, config, load_tokenizer, tokenizer};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::mutate::mutate;
use crate::subjects::{Subject, subjects};

/// Kibibytes that may be taken; beyond the size of a file, but the files here are small.
const ALLOWANCE: u64 = 64 << 10;

const SLOWEST: Duration = Duration::from_secs(1);

/// What a reader finds in a folder.
struct Found {
    /// Tensors with zeros: name and how many.
    zeros: Vec<(String, usize)>,
    tensors: Result<usize, Error>,
    config: Result<(), Error>,
    tokenizer: Result<(), Error>,
}

fn examine(path: &Path) -> Found {
    let mut zeros = Vec::new();
    let tensors = Tensors::open(path).and_then(|tensors| {
        let names: Vec<_> = tensors.names().map(str::to_owned).collect();
        for name in &names {
            let values = tensors.read(name)?;
            assert_eq!(
                values.len(),
                tensors.shape(name).unwrap().iter().product::<usize>()
            );
            let count = values.iter().filter(|&&value| value == 0.0).count();
            if count > 0 {
                zeros.push((name.clone(), count));
            }
        }
        Ok(names.len())
    });
    Found {
        zeros,
        tensors,
        config: config(path).map(drop),
        tokenizer: tokenizer(path).and_then(|files| {
            let made = load_tokenizer(&files.json)?;
            for text in ["The picture's 12 small cats. 你好 <|im_end|>Ａ Å ﬁ", ""] {
                if let Ok(encoding) = made.encode(text, true) {
                    let _ = made.decode(encoding.get_ids(), true);
                }
            }
            Ok(())
        }),
    }
}

/// What all threads have worked so far; elsewhere than on Linux, the time that passed. On a busy machine a mutant waits.
fn worked(since: Instant) -> Duration {
    let ticks = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| {
        // Behind the name, which may hold blanks: state, ten numbers, user and system time in hundredths.
        let times = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2);
        times
            .map(|time| time.parse::<u64>().ok())
            .sum::<Option<u64>>()
    });
    ticks.map_or_else(
        || since.elapsed(),
        |ticks| Duration::from_millis(10 * ticks),
    )
}

/// Kibibytes of `/proc/self/status`, where there is one.
fn memory(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim_end_matches("kB").trim().parse().ok()
}

/// What is wrong with how a mutant was read. Its `written` bytes may have brought zeros.
fn wrongs(subject: &Subject, mutant: &[u8], written: usize, found: &Found) -> Vec<String> {
    let original = &subject.files[subject.damaged];
    let data = subject.data.clone();
    let changed = match mutant.len() == original.len() {
        true => {
            let pairs = mutant[data.clone()].iter().zip(&original[data]);
            pairs.filter(|(a, b)| a != b).count()
        }
        false => written,
    };
    let made_up = found
        .zeros
        .iter()
        .filter(|(_, zeros)| *zeros > changed * subject.spread);
    let told =
        made_up.map(|(name, zeros)| format!("`{name}` has {zeros} zeros, {changed} bytes differ"));
    told.collect()
}

/// Figures of one subject.
#[derive(Debug, Default)]
struct Figures {
    mutants: usize,
    /// Those of which any part was refused.
    refused: usize,
    slowest: Duration,
}

fn run(mutants: usize) {
    // The tokenizers library panics on some of them, which is caught; a backtrace would read megabytes of symbols.
    panic::set_hook(Box::new(|_| {}));
    let folder = tempfile::tempdir().unwrap();
    let mut subjects: Vec<_> = subjects()
        .into_iter()
        .map(|subject| (subject, Figures::default()))
        .collect();
    for (subject, _) in &subjects {
        let folder = folder.path().join(subject.name);
        fs::create_dir(&folder).unwrap();
        for (name, bytes) in &subject.files {
            fs::write(folder.join(name), bytes).unwrap();
        }
        // Whole, everything can be read and has no zeros.
        let found = examine(&folder);
        assert!(found.tensors.unwrap() > 0, "{}", subject.name);
        assert_eq!(found.zeros, [], "{}", subject.name);
        found.config.unwrap();
        found.tokenizer.unwrap();
    }
    let held = memory("VmRSS:");
    let started = Instant::now();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut failures = Vec::new();
    for number in 0..mutants {
        let which = number % subjects.len();
        let (subject, figures) = &mut subjects[which];
        let folder = folder.path().join(subject.name);
        let mut mutant = subject.files[subject.damaged].clone();
        let written = mutate(&mut rng, subject, &mut mutant);
        fs::write(folder.join(subject.damaged), &mutant).unwrap();
        let before = worked(started);
        // What the tokenizers library keeps for a thread goes with it.
        let found = std::thread::spawn(move || examine(&folder)).join();
        let took = worked(started) - before;
        let wrongs = match &found {
            Ok(found) => wrongs(subject, &mutant, written, found),
            Err(_) => vec!["panicked".into()],
        };
        let late = (took > SLOWEST).then(|| format!("took {took:?}"));
        let told = wrongs.into_iter().chain(late);
        failures.extend(told.map(|reason| format!("mutant {number}, {}: {reason}", subject.name)));
        figures.mutants += 1;
        figures.slowest = figures.slowest.max(took);
        figures.refused += usize::from(found.is_ok_and(|found| {
            found.tensors.is_err() || found.config.is_err() || found.tokenizer.is_err()
        }));
    }
    for (subject, figures) in &subjects {
        println!("{}: {figures:?}", subject.name);
    }
    drop(panic::take_hook());
    if let (Some(held), Some(peak)) = (held, memory("VmHWM:")) {
        let grown = peak.saturating_sub(held);
        println!("peak memory grew by {grown} KiB");
        assert!(grown <= ALLOWANCE, "{grown} KiB");
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn two_thousand_mutants_do_no_harm() {
    run(2_000);
}

#[test]
#[ignore = "takes a minute"]
fn twenty_thousand_mutants_do_no_harm() {
    run(20_000);
}
