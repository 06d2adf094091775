//! Numbers as people read them.

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// 812345 -> `812,345`.
pub(super) fn count(value: u64) -> String {
    group_digits(&value.to_string())
}

/// Four significant digits: `0.03123`, `118.2`, `12,345`, `2e-5`.
pub(super) fn number(value: f64) -> String {
    match decimals(value) {
        Some(decimals) => fixed(value, decimals),
        None if value == 0.0 => "0".to_owned(),
        None if value.is_finite() => scientific(value, 2),
        None => NONE.to_owned(),
    }
}

/// Four significant digits, and the spread to the same decimal: `0.03017 ± 0.00964`.
pub(super) fn with_spread(value: f64, spread: f64) -> String {
    match decimals(value) {
        Some(decimals) => format!("{} ± {}", fixed(value, decimals), fixed(spread, decimals)),
        None => format!("{} ± {}", number(value), number(spread)),
    }
}

/// How many decimals make four significant digits; `None` for zero and where they would be too many to read.
fn decimals(value: f64) -> Option<usize> {
    let size = value.abs();
    let decimals = || (3 - size.log10().floor() as i64).max(0) as usize;
    (1e-3..1e7).contains(&size).then(decimals)
}

/// With a sign and so many decimals: `+2.41`, `−0.30`; zero has none.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = fixed(value, decimals);
    if text
        .trim_start_matches('−')
        .chars()
        .all(|letter| "0.,".contains(letter))
    {
        return text.trim_start_matches('−').to_owned();
    }
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

/// A p-value: `0.034`, `<0.001`.
pub(super) fn p_value(p: f64) -> String {
    match p {
        _ if !(0.0..=1.0).contains(&p) => NONE.to_owned(),
        _ if p < 0.001 => "<0.001".to_owned(),
        _ if p < 0.1 => fixed(p, 3),
        _ => fixed(p, 2),
    }
}

/// Three significant digits and a power of a thousand: `12.3 M`, `1.20 G`.
pub(super) fn magnitude(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return NONE.to_owned();
    }
    let (unit, size) = thousands(value);
    let value = value / size;
    let decimals = match value {
        _ if size == 1.0 => 0,
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{} {unit}", fixed(value, decimals))
        .trim_end()
        .to_owned()
}

/// `12.3 MFLOPs`.
pub(super) fn flops(value: f64) -> String {
    let text = magnitude(value);
    let blank = if text.contains(' ') { "" } else { " " };
    format!("{text}{blank}FLOPs")
}

/// The power of a thousand to show a value in: its letter, and how much it is.
pub(super) fn thousands(value: f64) -> (&'static str, f64) {
    let units = [("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)];
    // What would be rounded to a thousand is one.
    let unit = units.into_iter().find(|(_, size)| value >= 0.9995 * size);
    unit.unwrap_or(("", 1.0))
}

/// Bytes in binary units: `812 MiB`, `1.2 GiB`.
pub(super) fn bytes(value: f64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    match value {
        _ if !value.is_finite() || value < 0.0 => NONE.to_owned(),
        _ if value >= 1000.0 * MIB => format!("{} GiB", fixed(value / MIB / 1024.0, 2)),
        _ if value >= 10.0 * MIB => format!("{} MiB", fixed(value / MIB, 0)),
        _ => format!("{} MiB", fixed(value / MIB, 1)),
    }
}

/// `one`, `two`, ... as far as words are shorter to read, then digits.
pub(super) fn words(value: usize) -> String {
    const WORDS: [&str; 10] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    WORDS
        .get(value)
        .map_or_else(|| count(value as u64), |word| (*word).to_owned())
}

/// 0.99431 -> `99.43%`.
pub(super) fn percent(value: f64) -> String {
    if value.is_finite() {
        format!("{:.2}%", 100.0 * value)
    } else {
        NONE.to_owned()
    }
}

/// A probability in whole per cent; `>99%` rather than a certainty nobody has.
pub(super) fn probability(value: f64) -> String {
    if (0.995..1.0).contains(&value) {
        return ">99%".to_owned();
    }
    if value.is_finite() {
        format!("{:.0}%", 100.0 * value)
    } else {
        NONE.to_owned()
    }
}

/// `8.1 s`, `3 min 05 s`, `2 h 07 min`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.to_owned();
    }
    // Rounded once and before splitting, so that 59.96 s is a minute and not "60.0 s".
    let tenths = (10.0 * seconds).round();
    let whole = seconds.round() as u64;
    let minutes = (seconds / 60.0).round() as u64;
    if tenths < 600.0 {
        format!("{:.1} s", tenths / 10.0)
    } else if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", count(minutes / 60), minutes % 60)
    }
}

/// A tick at a multiple of `step`, with just the decimals the step needs.
pub(super) fn tick(value: f64, step: f64) -> String {
    if value.abs() < step * 1e-6 {
        return "0".to_owned();
    }
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0);
    if decimals > 4.0 || value.abs() >= 1e7 {
        return scientific(value, 2);
    }
    fixed(value, decimals as usize)
}

/// With so many decimals, and commas between the thousands.
fn fixed(value: f64, decimals: usize) -> String {
    group_digits(&format!("{value:.decimals$}"))
}

/// `2e-5`, at most `digits` decimals.
fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => {
            format!(
                "{}e{exponent}",
                digits.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text,
    }
}

/// Commas between the thousands of a decimal number; a minus sign becomes the typographic one.
fn group_digits(text: &str) -> String {
    let (sign, text) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("−", rest));
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(812_345)],
            ["0", "999", "1,000", "812,345"]
        );
        let seen = [
            0.0,
            0.031_234,
            118.23,
            12_345.6,
            2e-5,
            -1.5,
            f64::NAN,
            f64::INFINITY,
        ]
        .map(number);
        assert_eq!(
            seen,
            [
                "0", "0.03123", "118.2", "12,346", "2e-5", "−1.500", NONE, NONE
            ]
        );
        assert_eq!(
            [percent(0.994_31), percent(1.0), percent(f64::NAN)],
            ["99.43%", "100.00%", NONE]
        );
        assert_eq!(
            [0.0, 59.94, 59.96, 185.0, 3599.6, 7620.0].map(duration),
            [
                "0.0 s",
                "59.9 s",
                "1 min 00 s",
                "3 min 05 s",
                "1 h 00 min",
                "2 h 07 min"
            ]
        );
        assert_eq!([duration(-1.0), duration(f64::NAN)], [NONE, NONE]);
    }

    #[test]
    fn differences_carry_their_sign_and_zero_carries_none() {
        let seen = [(2.414, 2), (-0.3, 2), (0.001, 2), (-0.04, 1), (f64::NAN, 1)];
        assert_eq!(
            seen.map(|(value, decimals)| signed(value, decimals)),
            ["+2.41", "−0.30", "0.00", "0.0", NONE]
        );
    }

    #[test]
    fn probabilities_of_chance_are_never_zero() {
        assert_eq!(
            [0.0, 0.0009, 0.034_2, 0.214, 1.0, f64::NAN, 1.5].map(p_value),
            ["<0.001", "<0.001", "0.034", "0.21", "1.00", NONE, NONE]
        );
    }

    #[test]
    fn large_numbers_are_shortened() {
        assert_eq!(
            [0.0, 999.0, 12_345_678.0, 999_600.0, 2.5e9, 4e18, f64::NAN].map(magnitude),
            ["0", "999", "12.3 M", "1.00 M", "2.50 G", "4,000 P", NONE]
        );
        assert_eq!(
            [5e5, 851_443_712.0, 1_288_490_189.0, -1.0].map(bytes),
            ["0.5 MiB", "812 MiB", "1.20 GiB", NONE]
        );
        assert_eq!([flops(12e6), flops(12.0)], ["12.0 MFLOPs", "12 FLOPs"]);
        assert_eq!([words(2), words(12)], ["two", "12"]);
    }

    #[test]
    fn a_spread_ends_at_the_decimal_of_its_mean() {
        assert_eq!(with_spread(0.030_17, 0.009_643), "0.03017 ± 0.00964");
        assert_eq!(with_spread(1234.5, 10.0), "1,234 ± 10");
        assert_eq!(with_spread(2e-5, 1e-6), "2e-5 ± 1e-6");
    }

    #[test]
    fn ticks_carry_the_decimals_of_their_step() {
        assert_eq!(
            [tick(0.3, 0.1), tick(12_000.0, 2_000.0), tick(2e-5, 1e-5)],
            ["0.3", "12,000", "2e-5"]
        );
        assert_eq!(
            [tick(-1e-17, 0.1), tick(0.96, 0.02), tick(-20.0, 10.0)],
            ["0", "0.96", "−20"]
        );
    }
}
