//! Damaged and hostile files: no panic, no hang, no memory beyond the file's, and no zeros where the file had none.
//!
//! No byte of any value in the fixtures is zero, so that a tensor with zeros was made up, but where the mutation wrote
//! them. `cargo test -p crucible-weights --test mutants -- --ignored --nocapture` runs all 20,000 and prints figures.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crucible_weights::Error;
use crucible_weights::files::{Tensors, config, load_tokenizer, tokenizer};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Memory that may be taken beyond the size of a file.
const ALLOWANCE: u64 = 64 << 20;

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

/// Kibibytes of `/proc/self/status`, where there is one.
fn memory(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim_end_matches("kB").trim().parse().ok()
}

#[derive(Default)]
struct Figures {
    mutants: usize,
    /// Those that were refused, in any part.
    refused: usize,
    slowest: Duration,
}

fn run(mutants: usize) {
    let subjects = subjects();
    let folder = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = (0..subjects.len())
        .map(|number| folder.path().join(number.to_string()))
        .collect();
    for (subject, folder) in subjects.iter().zip(&folders) {
        fs::create_dir(folder).unwrap();
        for (name, bytes) in &subject.files {
            fs::write(folder.join(name), bytes).unwrap();
        }
        // Whole, everything can be read and has no zeros.
        let found = examine(folder);
        assert!(found.tensors.unwrap() > 0, "{}", subject.name);
        assert_eq!(found.zeros, [], "{}", subject.name);
        found.config.unwrap();
        found.tokenizer.unwrap();
    }
    let held = memory("VmRSS:");
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut figures: Vec<Figures> = subjects.iter().map(|_| Figures::default()).collect();
    let mut failures = Vec::new();
    let mut top = memory("VmHWM:");
    for number in 0..mutants {
        let which = number % subjects.len();
        let (subject, folder) = (&subjects[which], &folders[which]);
        let original = &subject.files[subject.damaged];
        let mut bytes = original.clone();
        let written = mutate(&mut rng, subject, &mut bytes);
        fs::write(folder.join(subject.damaged), &bytes).unwrap();
        let started = Instant::now();
        let found = catch_unwind(|| examine(folder));
        let took = started.elapsed();
        let now = memory("VmHWM:");
        if now > top {
            println!("JUMP {number} {} {top:?} -> {now:?}", subject.name);
            fs::write(format!("/tmp/weights/jump{number}"), &bytes).unwrap();
            top = now;
        }
        let figures = &mut figures[which];
        figures.mutants += 1;
        figures.slowest = figures.slowest.max(took);
        let mut failed =
            |reason: String| failures.push(format!("mutant {number}, {}: {reason}", subject.name));
        if took > SLOWEST {
            failed(format!("took {took:?}"));
        }
        let Ok(found) = found else {
            failed("panicked".into());
            continue;
        };
        let refused = found.tensors.is_err() || found.config.is_err() || found.tokenizer.is_err();
        figures.refused += usize::from(refused);
        let data = subject.data.clone();
        let changed = match bytes.len() == original.len() {
            true => bytes[data.clone()]
                .iter()
                .zip(&original[data])
                .filter(|(a, b)| a != b)
                .count(),
            false => written,
        };
        for (name, zeros) in found.zeros {
            if zeros > changed * subject.spread {
                failed(format!(
                    "`{name}` has {zeros} zeros, {changed} bytes were changed"
                ));
            }
        }
    }
    let largest = subjects
        .iter()
        .flat_map(|subject| subject.files.values())
        .map(Vec::len)
        .max();
    if let (Some(held), Some(peak)) = (held, memory("VmHWM:")) {
        let grown = peak.saturating_sub(held) << 10;
        println!("peak memory grew by {} KiB", grown >> 10);
        assert!(grown <= ALLOWANCE + largest.unwrap() as u64, "{grown}");
    }
    for (subject, figures) in subjects.iter().zip(&figures) {
        let Figures {
            mutants,
            refused,
            slowest,
        } = figures;
        println!(
            "{:22} {mutants} mutants, {refused} refused, slowest {slowest:?}",
            subject.name
        );
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
