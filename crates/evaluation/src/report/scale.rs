//! From data to a place on an axis, with ticks at round numbers.

use super::number;

/// How the values of a curve are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Axis {
    /// As they are.
    #[default]
    Linear,
    /// A share of one, shown in per cent; the axis never goes beyond 0% or 100%.
    Percent,
    /// Logarithmic, for positive values that span decades, such as a loss. Others are not drawn.
    Log,
}

impl Axis {
    /// Whether a value can be drawn at all.
    pub(super) fn can_show(self, value: f64) -> bool {
        match self {
            // Beyond this size, differences of values leave the range of f64.
            Self::Linear => value.abs() < 1e100,
            Self::Percent => (0.0..=1.0).contains(&value),
            Self::Log => (1e-100..1e100).contains(&value),
        }
    }

    /// The value in words.
    pub(super) fn format(self, value: f64) -> String {
        match self {
            Self::Percent => number::percent(value),
            Self::Linear | Self::Log => number::number(value),
        }
    }
}

/// One axis: its range, and its ticks within.
#[derive(Debug)]
pub(super) struct Scale {
    axis: Axis,
    low: f64,
    high: f64,
    step: f64,
    /// Where the ticks are, in data units.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// A vertical axis around `values`: its ends are ticks. `None` if nothing can be shown.
    pub(super) fn vertical(axis: Axis, values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(axis, values)?;
        if axis == Axis::Log {
            return Some(Self::logarithmic(low, high));
        }
        // A curve that comes near zero is read against zero.
        let low = if low > 0.0 && low < 0.4 * high {
            0.0
        } else {
            low
        };
        let (low, high) = widen(axis, low, high, 0.0);
        let step = round_step((high - low) / 4.0);
        let (low, high) = (
            (low / step + 1e-9).floor() * step,
            (high / step - 1e-9).ceil() * step,
        );
        let (low, high) = bounded(axis, low, high);
        Some(Self {
            axis,
            low,
            high,
            step,
            ticks: multiples(low, high, step),
        })
    }

    /// A horizontal axis that ends where the data end, or a little outside with `margin`, a share of the range.
    pub(super) fn horizontal(
        axis: Axis,
        values: impl Iterator<Item = f64>,
        margin: f64,
    ) -> Option<Self> {
        let (low, high) = extent(axis, values)?;
        if axis == Axis::Log {
            return Some(Self::logarithmic(low, high));
        }
        let low = if margin == 0.0 && low > 0.0 && low < 0.1 * high {
            0.0
        } else {
            low
        };
        let (low, high) = widen(axis, low, high, margin);
        let step = round_step((high - low) / 4.0);
        Some(Self {
            axis,
            low,
            high,
            step,
            ticks: multiples(low, high, step),
        })
    }

    fn logarithmic(low: f64, high: f64) -> Self {
        let (mut first, mut last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        if first == last {
            first -= 1;
            last += 1;
        }
        // Decades if there are many, else 1-2-5 within each; the range ends at the ticks around the data.
        let every = 1 + (last - first) / 6;
        let parts: &[f64] = if last - first <= 2 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let decades = (first..=last).filter(|decade| (decade - first) % every == 0);
        let ticks: Vec<f64> = decades
            .flat_map(|decade| parts.iter().map(move |part| part * 10f64.powi(decade)))
            .collect();
        let mut before = ticks
            .iter()
            .rposition(|&tick| tick <= low * (1.0 + 1e-9))
            .unwrap_or(0);
        let mut after = ticks
            .iter()
            .position(|&tick| tick >= high * (1.0 - 1e-9))
            .unwrap_or(ticks.len() - 1);
        if before >= after {
            (before, after) = (after.saturating_sub(1), (before + 1).min(ticks.len() - 1));
        }
        let ticks = ticks[before..=after].to_vec();
        let (low, high) = (ticks[0].min(low), ticks[ticks.len() - 1].max(high));
        Self {
            axis: Axis::Log,
            low,
            high,
            step: 0.0,
            ticks,
        }
    }

    /// The place of `value`, 0 at the low end and 1 at the high end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.axis {
            Axis::Log => (value / self.low).ln() / (self.high / self.low).ln(),
            Axis::Linear | Axis::Percent => (value - self.low) / (self.high - self.low),
        };
        share.clamp(0.0, 1.0)
    }

    /// The text of a tick.
    pub(super) fn label(&self, tick: f64) -> String {
        match self.axis {
            Axis::Percent => number::tick(100.0 * tick, 100.0 * self.step) + "%",
            Axis::Linear => number::tick(tick, self.step),
            Axis::Log => number::tick(tick, tick),
        }
    }

    /// The range in words, for the description of a chart.
    pub(super) fn describe(&self) -> String {
        let label = |value: f64| self.axis.format(value);
        format!("{} to {}", label(self.low), label(self.high))
    }
}

fn extent(axis: Axis, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let shown = values.filter(|&value| axis.can_show(value));
    shown.fold(None, |extent: Option<(f64, f64)>, value| {
        let (low, high) = extent.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// Gives a range some width, plus a margin, and keeps shares within 0 and 1.
fn widen(axis: Axis, low: f64, high: f64, margin: f64) -> (f64, f64) {
    let least = match (axis, low.abs().max(high.abs())) {
        (Axis::Percent, _) => 0.01,
        (_, size) if size < 1e-90 => 1.0,
        (_, size) => 0.01 * size,
    };
    let missing = (least - (high - low)).max(0.0);
    let pad = missing / 2.0 + margin * (high - low + missing);
    bounded(axis, low - pad, high + pad)
}

/// No share lies below 0% or above 100%, so no axis of shares does.
fn bounded(axis: Axis, low: f64, high: f64) -> (f64, f64) {
    match axis {
        Axis::Percent => (low.max(0.0), high.min(1.0)),
        Axis::Linear | Axis::Log => (low, high),
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let rounded = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= step * (1.0 - 1e-9));
    rounded.unwrap_or(10.0) * power
}

fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    // The count is bounded whatever the floats do: steps are a quarter of the range, or more.
    (0..12)
        .map(|index| (first + f64::from(index)) * step)
        .take_while(|&tick| tick <= high + 1e-9 * step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks.iter().map(|&tick| scale.label(tick)).collect()
    }

    fn vertical(axis: Axis, values: &[f64]) -> Scale {
        Scale::vertical(axis, values.iter().copied()).unwrap()
    }

    #[test]
    fn ticks_are_round_and_enclose_the_data() {
        assert_eq!(
            labels(&vertical(Axis::Percent, &[0.12, 0.994])),
            ["0%", "50%", "100%"]
        );
        assert_eq!(
            labels(&vertical(Axis::Percent, &[0.9631, 0.9952])),
            ["96%", "97%", "98%", "99%", "100%"]
        );
        assert_eq!(
            labels(&vertical(Axis::Linear, &[0.03, 2.4])),
            ["0", "1", "2", "3"]
        );
        assert_eq!(
            labels(&vertical(Axis::Linear, &[-3.0, 11.0])),
            ["−5", "0", "5", "10", "15"]
        );
        assert_eq!(
            labels(&vertical(Axis::Linear, &[2.1e-5, 9.0e-5])),
            ["0", "5e-5", "1e-4"]
        );
        assert_eq!(
            labels(&vertical(Axis::Log, &[0.012, 2.4])),
            ["0.01", "0.1", "1", "10"]
        );
        assert_eq!(
            labels(&vertical(Axis::Log, &[0.3, 2.4])),
            ["0.2", "0.5", "1", "2", "5"]
        );
        assert_eq!(labels(&vertical(Axis::Log, &[10.0])), ["5", "10", "20"]);
    }

    #[test]
    fn a_horizontal_axis_ends_with_the_data() {
        let scale = Scale::horizontal(Axis::Linear, [5.0, 1180.0].into_iter(), 0.0).unwrap();
        assert_eq!(labels(&scale), ["0", "500", "1,000"]);
        assert_eq!((scale.place(0.0), scale.place(1180.0)), (0.0, 1.0));
    }

    #[test]
    fn no_value_breaks_an_axis() {
        let extreme = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            1e-300,
            1e300,
            -1e99,
            1e99,
            5e-324,
            f64::MAX,
            f64::NAN,
            f64::INFINITY,
        ];
        for axis in [Axis::Linear, Axis::Percent, Axis::Log] {
            for left in extreme {
                for right in extreme {
                    for margin in [0.0, 0.1] {
                        let both = || [left, right].into_iter();
                        let scales = [
                            Scale::vertical(axis, both()),
                            Scale::horizontal(axis, both(), margin),
                        ];
                        assert_eq!(
                            scales[0].is_some(),
                            axis.can_show(left) || axis.can_show(right)
                        );
                        for scale in scales.into_iter().flatten() {
                            let places = both()
                                .filter(|&value| axis.can_show(value))
                                .chain(scale.ticks.clone());
                            for value in places {
                                let place = scale.place(value);
                                assert!(
                                    (0.0..=1.0).contains(&place),
                                    "{axis:?} {left} {right}: {value} at {place}"
                                );
                            }
                            assert!(
                                scale.ticks.len() <= 24,
                                "{axis:?} {left} {right}: {:?}",
                                scale.ticks
                            );
                        }
                    }
                }
            }
        }
    }
}
