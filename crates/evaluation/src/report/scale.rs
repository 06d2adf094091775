//! From data to a place on an axis, with ticks at round numbers.

use super::number;
use crate::statistics::Summary;

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

    /// The value in fewer digits, where many stand side by side: `99.4%`.
    pub(super) fn short(self, value: f64) -> String {
        match self {
            Self::Percent if value.is_finite() => format!("{:.1}%", 100.0 * value),
            _ => self.format(value),
        }
    }

    /// A difference of two values with its sign and no unit; shares in points, to so many decimals.
    pub(super) fn signed(self, difference: f64, decimals: usize) -> String {
        match self {
            Self::Percent => number::signed(100.0 * difference, decimals),
            Self::Linear | Self::Log if difference > 0.0 => {
                format!("+{}", number::number(difference))
            }
            Self::Linear | Self::Log => number::number(difference),
        }
    }

    /// The size of a difference of two values in words: `2.4 points`, `0.31 points`.
    pub(super) fn amount(self, difference: f64) -> String {
        let size = difference.abs();
        match self {
            Self::Percent if size.is_finite() => {
                let decimals = if size < 0.00995 { 2 } else { 1 };
                format!("{:.decimals$} points", 100.0 * size)
            }
            _ => number::number(size),
        }
    }

    /// What a difference is counted in, to stand behind a label.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Percent => " (points)",
            Self::Linear | Self::Log => "",
        }
    }

    /// Value and ends of its interval: `97.12% [96.40, 97.84]`.
    pub(super) fn format_interval(self, value: f64, interval: Option<(f64, f64)>) -> String {
        let Some((low, high)) = interval else {
            return self.format(value);
        };
        match self {
            // There is nothing beyond 0% and 100%.
            Self::Percent => format!(
                "{} [{:.2}, {:.2}]",
                self.format(value),
                100.0 * low.max(0.0),
                100.0 * high.min(1.0)
            ),
            Self::Linear | Self::Log => format!(
                "{} [{}, {}]",
                self.format(value),
                self.format(low),
                self.format(high)
            ),
        }
    }

    /// The mean and the sample standard deviation, to the same decimal, as far as there are such:
    /// `99.43% ± 0.10`.
    pub(super) fn format_summary(self, summary: &Summary) -> String {
        match (summary.mean, summary.standard_deviation) {
            (None, _) => number::NONE.to_owned(),
            (Some(mean), None) => self.format(mean),
            (Some(mean), Some(spread)) if self == Self::Percent => {
                format!("{} ± {:.2}", number::percent(mean), 100.0 * spread)
            }
            (Some(mean), Some(spread)) => number::with_spread(mean, spread),
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
        let step = round_step(high - low);
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
            return Some(Self::logarithmic_span(low, high, margin));
        }
        let low = if margin == 0.0 && low > 0.0 && low < 0.1 * high {
            0.0
        } else {
            low
        };
        let (low, high) = widen(axis, low, high, margin);
        let step = round_step(high - low);
        Some(Self {
            axis,
            low,
            high,
            step,
            ticks: multiples(low, high, step),
        })
    }

    /// The range ends at 1, 2 or 5 times a power of ten; the ticks are all of these, or the decades if there
    /// are many.
    fn logarithmic(low: f64, high: f64) -> Self {
        let (mut low, mut high) = (round_down(low), round_up(high));
        if high < 1.5 * low {
            (low, high) = (round_down(low / 1.5), round_up(high * 1.5));
        }
        let span = (high / low).log10();
        let (parts, every): (&[f64], i32) = if span < 2.4 {
            (&[1.0, 2.0, 5.0], 1)
        } else {
            (&[1.0], 1 + span as i32 / 6)
        };
        let decades = (low.log10().floor() as i32..=high.log10().ceil() as i32)
            .filter(|decade| decade % every == 0);
        let ticks = decades
            .flat_map(|decade| parts.iter().map(move |part| part * 10f64.powi(decade)))
            .filter(|tick| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(tick))
            .collect();
        Self {
            axis: Axis::Log,
            low,
            high,
            step: 0.0,
            ticks,
        }
    }

    /// As [`Self::logarithmic`], but the range ends a little outside of the data, and one of less than a decade
    /// has ticks at multiples of a round step.
    fn logarithmic_span(low: f64, high: f64, margin: f64) -> Self {
        let pad = (high / low).max(1.2).powf(margin.max(0.001));
        let (low, high) = (low / pad, high * pad);
        let outer = Self::logarithmic(low, high);
        let within = |tick: &f64| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(tick);
        let ticks: Vec<f64> = outer.ticks.into_iter().filter(within).collect();
        let (ticks, step) = if ticks.len() < 3 {
            let step = round_step(high - low);
            (multiples(low, high, step), step)
        } else {
            (ticks, 0.0)
        };
        Self {
            axis: Axis::Log,
            low,
            high,
            step,
            ticks,
        }
    }

    /// The place of a finite `value`, 0 at the low end and 1 at the high end, and there what lies beyond.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.axis {
            // The end of a spread may be where a logarithm is not.
            Axis::Log if value <= 0.0 => 0.0,
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
            Axis::Log if self.step > 0.0 => number::tick(tick, self.step),
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

/// The next of 1, 2 or 5 times a power of ten, `value` itself if it is one.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let rounded = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= value * (1.0 - 1e-9));
    rounded.unwrap_or(10.0) * power
}

/// The last of 1, 2 or 5 times a power of ten: the reciprocals of these numbers are such numbers again.
fn round_down(value: f64) -> f64 {
    1.0 / round_up(1.0 / value)
}

/// The nearest round number, by ratio, to a quarter of the range.
fn round_step(range: f64) -> f64 {
    let step = range / 4.0;
    let (down, up) = (round_down(step), round_up(step));
    if up * down < step * step { up } else { down }
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
            ["0%", "20%", "40%", "60%", "80%", "100%"]
        );
        assert_eq!(
            labels(&vertical(Axis::Percent, &[0.9631, 0.9952])),
            ["96%", "97%", "98%", "99%", "100%"]
        );
        assert_eq!(
            labels(&vertical(Axis::Linear, &[0.03, 2.4])),
            ["0", "0.5", "1.0", "1.5", "2.0", "2.5"]
        );
        assert_eq!(
            labels(&vertical(Axis::Linear, &[-3.0, 11.0])),
            ["−5", "0", "5", "10", "15"]
        );
        assert_eq!(
            labels(&vertical(Axis::Linear, &[2.1e-5, 9.0e-5])),
            ["0", "2e-5", "4e-5", "6e-5", "8e-5", "1e-4"]
        );
        assert_eq!(
            labels(&vertical(Axis::Log, &[0.012, 2.4])),
            ["0.01", "0.1", "1"]
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
        assert_eq!(labels(&scale), ["0", "200", "400", "600", "800", "1,000"]);
        assert_eq!((scale.place(0.0), scale.place(1180.0)), (0.0, 1.0));
    }

    #[test]
    fn a_horizontal_logarithm_of_less_than_a_decade_has_round_ticks() {
        let horizontal = |values: [f64; 2]| {
            labels(&Scale::horizontal(Axis::Log, values.into_iter(), 0.05).unwrap())
        };
        assert_eq!(
            horizontal([11.5, 21.4]),
            ["12", "14", "16", "18", "20", "22"]
        );
        assert_eq!(horizontal([0.03, 1.0]), ["0.05", "0.1", "0.2", "0.5", "1"]);
        assert_eq!(horizontal([7.0, 7.0]).len(), 3);
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
