//! What a finished run stands: its test input spoilt in the ways of the recipe.

use super::plan::Planned;
use super::session::Session;
use crucible_evaluation::report;
use crucible_training::{Error, RunDir, tell};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// `probes.json`
const FILE: &str = "probes.json";

/// One line of it.
#[derive(Serialize, Deserialize)]
struct Measured {
    name: String,
    level: f64,
    accuracy: f64,
}

/// Evaluates the run under every probe of its recipe, unless that was done before.
///
/// # Errors
///
/// Those of the evaluation and of writing.
pub fn measure(session: &Session, planned: &Planned, name: &str) -> Result<(), Error> {
    let probes = session.recipe.probes();
    if probes.is_empty() || planned.dir.file(FILE).exists() {
        return Ok(());
    }
    tell!("{name}: {} probes", probes.len());
    let run = session.run(&planned.dir, planned.record.seed);
    let mut measured = Vec::new();
    for (done, probe) in probes.iter().enumerate() {
        if session.interrupter.should_stop() {
            return Err(Error::Interrupted {
                step: done,
                run: planned.dir.path().to_owned(),
            });
        }
        let mut config = planned.record.config.clone();
        set(&mut config, probe.key, probe.value)?;
        let outcome = session.evaluate(&config, &run)?;
        measured.push(Measured {
            name: probe.name.into(),
            level: probe.level,
            accuracy: outcome.metrics.get("accuracy").copied().unwrap_or(f64::NAN),
        });
    }
    planned.dir.write_json(FILE, &measured)
}

/// What was measured; nothing where nothing was.
///
/// # Errors
///
/// When the file is broken.
pub fn read(dir: &RunDir) -> Result<Vec<report::Probe>, Error> {
    if !dir.file(FILE).exists() {
        return Ok(Vec::new());
    }
    let measured: Vec<Measured> = dir.read_json(FILE)?;
    let probe = |measured: Measured| report::Probe {
        name: measured.name,
        level: measured.level,
        accuracy: measured.accuracy,
    };
    Ok(measured.into_iter().map(probe).collect())
}

/// Sets a dotted key, to a TOML value or else to a word.
fn set(config: &mut Table, key: &str, value: &str) -> Result<(), Error> {
    let parsed = format!("value = {value}").parse::<Table>().ok();
    let parsed = parsed.and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(value.into()));
    let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut names = path.split('.').filter(|name| !name.is_empty());
    let table = names.try_fold(config, |table, name| table.get_mut(name)?.as_table_mut());
    match table.and_then(|table| table.get_mut(name)) {
        Some(place) => *place = value,
        None => {
            let reason = format!("a run without the key `{key}` cannot be probed by it");
            return Err(Error::Usage(reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_set_where_it_is() {
        let mut config: Table = "blank = 'none'\n[corrupt]\nimage_noise = 0.0\n"
            .parse()
            .unwrap();
        set(&mut config, "blank", "image").unwrap();
        set(&mut config, "corrupt.image_noise", "0.5").unwrap();
        for key in ["no.such.table", "blnk", "corrupt.noise"] {
            assert!(set(&mut config, key, "1").is_err(), "{key}");
        }
        let expected: Table = "blank = 'image'\n[corrupt]\nimage_noise = 0.5\n"
            .parse()
            .unwrap();
        assert_eq!(config, expected);
    }
}
