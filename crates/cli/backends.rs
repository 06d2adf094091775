//! `crucible backends`

use crate::devices::{BACKENDS, Backend, check};
use crate::output;
use crucible_evaluation::table::{Align, text_table};
use crucible_training::Error;
use crucible_training::run::device_name;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;

/// List the backends: which are compiled in, their devices, and whether each computes rightly
#[derive(clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    about: &'static str,
    compiled: bool,
    /// How to compile it in.
    remedy: String,
    /// Why its devices cannot be listed.
    error: Option<String>,
    devices: Vec<Checked>,
}

#[derive(Serialize)]
struct Checked {
    /// What to give to `--backend`.
    backend: String,
    device: String,
    /// Why it does not compute as it should.
    error: Option<String>,
    /// Time of the self-check, kernel compilation included.
    seconds: f64,
}

pub fn run(_: &Args, json: bool) -> Result<ExitCode, Error> {
    let listed: Vec<Listed> = BACKENDS.iter().map(list).collect();
    match json {
        true => output::print_json(&listed)?,
        false => output::print(&text(&listed))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(backend: &Backend) -> Listed {
    let found = backend.devices();
    let several = found.as_ref().is_ok_and(|devices| devices.len() > 1);
    let checked = |(index, device): (usize, &burn::tensor::Device)| {
        let started = Instant::now();
        let result = check(device);
        Checked {
            backend: match several {
                true => format!("{}:{index}", backend.name),
                false => backend.name.to_string(),
            },
            device: device_name(device),
            error: result.err(),
            seconds: started.elapsed().as_secs_f64(),
        }
    };
    Listed {
        name: backend.name,
        about: backend.about,
        compiled: backend.compiled,
        remedy: backend.remedy(),
        devices: found.iter().flatten().enumerate().map(checked).collect(),
        error: found.err(),
    }
}

fn text(listed: &[Listed]) -> String {
    let columns = ["Backend", "For", "Device", "Self-check"].map(|name| (name, Align::Left));
    let mut rows = Vec::new();
    for backend in listed {
        let row = |name: &str, device: &str, state: String| {
            vec![name.into(), backend.about.into(), device.into(), state]
        };
        let name = backend.name;
        match (&backend.error, backend.devices.is_empty()) {
            _ if !backend.compiled => {
                rows.push(row(name, "not compiled in", backend.remedy.clone()))
            }
            (Some(error), _) => rows.push(row(name, "none", format!("does not work: {error}"))),
            (None, true) => rows.push(row(name, "none found", String::new())),
            (None, false) => rows.extend(backend.devices.iter().map(|device| {
                let state = match &device.error {
                    None => format!("works ({:.0} ms)", 1000.0 * device.seconds),
                    Some(error) => format!("does not work: {error}"),
                };
                row(&device.backend, &device.device, state)
            })),
        }
    }
    text_table(&columns, &rows)
}
