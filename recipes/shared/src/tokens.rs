//! The tokenizer of a run, which is saved with it.

use crucible_datasets::{Tokenizer, TokenizerConfig};
use crucible_training::{Error, Run, tell};

pub(crate) const FILE: &str = "tokenizer.json";
/// Texts whose tokens are looked at for what the vocabulary lacks, and how much of that needs no warning.
const LOOKED_AT: usize = 1000;
const TOLERATED: f64 = 0.05;

/// Loads the user's tokenizer, or that of the run whose weights this one starts from, or trains one on `texts`; saves it
/// with the run.
///
/// # Errors
///
/// Those of the tokenizer, and [`Error::Run`] when the run was started with another.
pub fn tokenizer(
    config: &TokenizerConfig,
    run: &Run,
    texts: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Tokenizer, Error> {
    let started = run.init.as_ref().filter(|_| config.file.is_empty());
    let theirs = started.map(|init| match run.goes_on() {
        // What it was started from may be gone.
        true => run.dir.file(FILE),
        false => init.run.join(FILE),
    });
    let theirs = theirs.filter(|file| file.exists());
    let taken = theirs.is_some() && !run.goes_on();
    let texts: Vec<_> = texts.into_iter().collect();
    let tokenizer = match theirs {
        Some(file) => Tokenizer::from_file(&file, config.max_length),
        None => Tokenizer::new(config, &texts),
    };
    let tokenizer = tokenizer.map_err(Error::data)?;
    let unknown = unknown(&tokenizer, &texts)?;
    if unknown > TOLERATED && !run.quiet {
        tell!(
            "warning: of the tokens of the training texts {:.0}% are unknown to the tokenizer, and all alike to the model; \
             another tokenizer, or a larger tokenizer.vocabulary_size, would tell them apart",
            100.0 * unknown
        );
    }
    if let Some(init) = run.init.as_ref().filter(|_| taken) {
        tell!(
            "tokenizer of {}: {} tokens, whatever `tokenizer` says here but for max_length",
            init.run.display(),
            tokenizer.vocabulary_size()
        );
    }
    let json = tokenizer.to_json().map_err(Error::data)?;
    let file = run.dir.file(FILE);
    if std::fs::read(&file).is_ok_and(|saved| saved != json.as_bytes()) {
        return Err(Error::Run {
            path: file,
            reason: "the tokenizer has changed since this run started; choose another --out".into(),
        });
    }
    run.dir.write(FILE, json.as_bytes())?;
    Ok(tokenizer)
}

/// Share of the tokens of some texts, evenly spread, that stand for what the vocabulary lacks.
fn unknown(tokenizer: &Tokenizer, texts: &[impl AsRef<str>]) -> Result<f64, Error> {
    let apart = texts.len().div_ceil(LOOKED_AT).max(1);
    let (mut sum, mut count) = (0.0, 0.0);
    for text in texts.iter().step_by(apart) {
        sum += tokenizer.unknown(text.as_ref()).map_err(Error::data)?;
        count += 1.0;
    }
    Ok(sum / f64::max(count, 1.0))
}

/// The tokenizer that a run was trained with.
///
/// # Errors
///
/// Those of reading it.
pub fn reopen_tokenizer(config: &TokenizerConfig, run: &Run) -> Result<Tokenizer, Error> {
    Tokenizer::from_file(&run.dir.file(FILE), config.max_length).map_err(Error::data)
}
