//! What goes to stdout, and what the process leaves with.

use crucible_training::Error;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes the result of a command to stdout.
///
/// # Errors
///
/// When stdout refuses. A reader that has seen enough (`crucible config vqa | head`) is no error.
pub fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Io {
            action: "write",
            path: PathBuf::from("stdout"),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// Writes the result of a command to stdout as one JSON document.
///
/// # Errors
///
/// As [`print`].
pub fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| {
        Error::Backend(format!("the result cannot be written as JSON: {error}"))
    })?;
    print(&(text + "\n"))
}

/// The exit code an error deserves.
pub fn exit_code(error: &Error) -> ExitCode {
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// `99.12%`
pub fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// `48,248`
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `45.2 s`, `3 min 20 s`, `2 h 5 min`
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        0..60 => format!("{seconds:.1} s"),
        whole @ 60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let counts = [0, 999, 1000, 48_248, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "48,248", "1,234,567"]);
        let durations = [0.04, 59.4, 60.2, 200.0, 7530.0].map(duration);
        assert_eq!(
            durations,
            ["0.0 s", "59.4 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
        );
        assert_eq!(percent(0.99123), "99.12%");
    }
}
