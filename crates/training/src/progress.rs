//! What a person sees while training, always on stderr: a live bar on a terminal, lines elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// A line on stderr, as `eprintln!` writes it; but a terminal that is gone ends no training.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stderr(), $($text)*).ok();
    }};
}

/// Seconds between two plain lines.
const EVERY: Duration = Duration::from_secs(5);

/// One finished step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    pub step: usize,
    pub epoch: f64,
    pub loss: Option<f64>,
    pub accuracy: Option<f64>,
    /// Samples of this step.
    pub samples: f64,
}

/// The display. Speed is that of this process, so a resumed run does not count steps it did not take;
/// samples per second leave validation out, the time left does not.
pub(crate) struct Progress {
    view: View,
    total: usize,
    first: usize,
    started: Instant,
    validation: Duration,
    samples: f64,
}

enum View {
    Quiet,
    Bar(ProgressBar),
    Lines { shown: Option<Instant> },
}

impl Progress {
    /// A display for the steps after `first` up to `total`.
    pub(crate) fn new(quiet: bool, first: usize, total: usize) -> Self {
        let view = if quiet {
            View::Quiet
        } else if std::io::stderr().is_terminal() {
            let bar =
                ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}") {
                bar.set_style(style);
            }
            bar.set_position(first as u64);
            View::Bar(bar)
        } else {
            View::Lines { shown: None }
        };
        Self {
            view,
            total,
            first,
            started: Instant::now(),
            validation: Duration::ZERO,
            samples: 0.0,
        }
    }

    /// Shows a finished step; between two plain lines most steps are not shown.
    pub(crate) fn step(&mut self, tick: Tick) {
        self.samples += tick.samples;
        let elapsed = self.started.elapsed();
        let text = || {
            let seconds = elapsed.as_secs_f64() / (tick.step - self.first) as f64;
            let left = seconds * self.total.saturating_sub(tick.step) as f64;
            let speed = self.samples / (elapsed - self.validation).as_secs_f64().max(1e-9);
            describe(tick, speed, left)
        };
        match &mut self.view {
            View::Quiet => {}
            View::Bar(bar) => {
                bar.set_position(tick.step as u64);
                bar.set_message(text());
            }
            View::Lines { shown } => {
                if shown.is_none_or(|shown| shown.elapsed() >= EVERY) || tick.step == self.total {
                    *shown = Some(Instant::now());
                    tell!("step {}/{}  {}", tick.step, self.total, text());
                }
            }
        }
    }

    /// Shows what a validation found.
    pub(crate) fn validated(&mut self, text: &str, took: Duration) {
        self.validation += took;
        self.say(text);
    }

    /// Shows a line that stays, above the bar if there is one.
    pub(crate) fn say(&self, text: &str) {
        match &self.view {
            View::Quiet => {}
            View::Bar(bar) => bar.println(text),
            View::Lines { .. } => tell!("{text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.abandon();
        }
    }
}

/// `epoch 1.25  loss 0.1234  accuracy 97.1%  1234 samples/s  1m 20s left`
fn describe(tick: Tick, samples_per_second: f64, left: f64) -> String {
    let mut text = format!("epoch {:.2}", tick.epoch);
    if let Some(loss) = tick.loss {
        text += &format!("  loss {loss:.4}");
    }
    if let Some(accuracy) = tick.accuracy {
        text += &format!("  accuracy {:.1}%", 100.0 * accuracy);
    }
    text + &format!(
        "  {samples_per_second:.0} samples/s  {} left",
        duration(left)
    )
}

/// `45s`, `1m 20s`, `2h 05m`.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_observed_and_no_more() {
        let tick = Tick {
            step: 150,
            epoch: 1.5,
            loss: Some(0.25),
            accuracy: Some(0.5),
            samples: 32.0,
        };
        assert_eq!(
            describe(tick, 160.4, 80.0),
            "epoch 1.50  loss 0.2500  accuracy 50.0%  160 samples/s  1m 20s left"
        );
        let tick = Tick {
            loss: None,
            accuracy: None,
            ..tick
        };
        assert_eq!(describe(tick, 0.0, 0.0), "epoch 1.50  0 samples/s  0s left");
    }

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [
            (0.4, "0s"),
            (59.6, "1m 00s"),
            (80.0, "1m 20s"),
            (7500.0, "2h 05m"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
