//! Elementary functions without branches and tables, which the compiler vectorises. Only additions,
//! multiplications and divisions: the same bits with every instruction set. Integers wrap: a check for overflow
//! is a branch.

/// `e^x`: within 2 units in the last place; 0 below -87.3, infinite above 88.7, NaN of NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.336_54;
    const HIGHEST: f32 = 88.722_84;
    // Adding it leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with so few bits that its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let inside = if x < LOWEST { LOWEST } else { x };
    let inside = if inside > HIGHEST { HIGHEST } else { inside };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // |r| <= ln 2 / 2, where the series to the seventh power is exact enough.
    let r = (inside - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = series * r * r + r + 1.0;
    // 2^n in two factors, each of which has an exponent of its own even where 2^n has none.
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    let result = series * power(half) * power(n.wrapping_sub(half));
    let result = if x < LOWEST { 0.0 } else { result };
    if x > HIGHEST { f32::INFINITY } else { result }
}

/// The standard normal distribution at `x`: its cumulative probability, within 2.5e-7, and its density.
///
/// Abramowitz and Stegun 1964, 7.1.26, whose exponential is that of the density.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    const FRAC_1_SQRT_2_PI: f32 = 0.398_942_3;
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + P * x.abs());
    let series = 1.061_405_4;
    let series = series * t - 1.453_152;
    let series = series * t + 1.421_413_7;
    let series = series * t - 0.284_496_74;
    let series = series * t + 0.254_829_6;
    let tail = 0.5 * series * t * bell;
    let below = if x > 0.0 { 1.0 - tail } else { tail };
    (below, FRAC_1_SQRT_2_PI * bell)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for i in -87_330..=88_720 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst}");
        assert_eq!([-1e4, -88.0, f32::NEG_INFINITY].map(exp), [0.0; 3]);
        assert_eq!([89.0, f32::INFINITY].map(exp), [f32::INFINITY; 2]);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }

    /// The cumulative probability against the integral of the density, by Simpson's rule.
    #[test]
    fn normal_is_within_its_bound() {
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (step, mut x, mut below) = (1e-3, -10.0_f64, 0.0_f64);
        while x < 10.0 {
            below += step / 6.0 * (density(x) + 4.0 * density(x + step / 2.0) + density(x + step));
            x += step;
            let (found, bell) = normal(x as f32);
            assert!(
                (f64::from(found) - below).abs() < 2.5e-7,
                "{found} for {below} at {x}"
            );
            assert!((f64::from(bell) - density(x)).abs() < 1e-7, "{bell} at {x}");
        }
        assert!(normal(f32::NAN).0.is_nan() && normal(f32::NAN).1.is_nan());
    }
}
