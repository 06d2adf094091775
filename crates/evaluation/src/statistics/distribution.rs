//! Tails and quantiles of the distributions the tests are judged by.
//!
//! The tails are those of `statrs`; they agree with scipy to 1e-8, with Student's t of few degrees of freedom
//! to 1e-11. Its quantile of Student's t does not (3e-6 at the 97.5% point of 100,000 degrees of freedom, far
//! more beyond), so that one is solved for here.

use statrs::distribution::{
    Binomial, ChiSquared, Continuous, ContinuousCDF, DiscreteCDF, FisherSnedecor, Normal, StudentsT,
};

/// `P(Z <= z)` of the standard normal distribution.
pub(super) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// `P(|T| >= |t|)` of Student's t distribution.
pub(super) fn t_two_sided(t: f64, df: f64) -> Option<f64> {
    let tail = student(df)?.sf(number(t.abs())?);
    Some((2.0 * tail).min(1.0))
}

/// The value that Student's t exceeds with a probability of `tail`, below one half.
///
/// Beyond zero the tail is convex, so that Newton's method comes from the left and never oversteps; the normal
/// quantile lies to the left of that of every t.
pub(super) fn t_quantile(tail: f64, df: f64) -> Option<f64> {
    let student = student(df)?;
    if !(tail > 0.0 && tail < 0.5) {
        return None;
    }
    let mut value = -Normal::standard().inverse_cdf(tail);
    for _ in 0..200 {
        let step = (student.sf(value) - tail) / student.pdf(value);
        value += step;
        if step.abs() <= 1e-14 * value {
            break;
        }
    }
    value.is_finite().then_some(value)
}

/// `P(F >= f)` of the F distribution with 1 and `df` degrees of freedom.
pub(super) fn f_tail(f: f64, df: f64) -> Option<f64> {
    Some(FisherSnedecor::new(1.0, df).ok()?.sf(number(f)?))
}

/// `P(X >= x)` of the chi-squared distribution with 1 degree of freedom.
pub(super) fn chi_squared_tail(x: f64) -> Option<f64> {
    Some(ChiSquared::new(1.0).ok()?.sf(number(x)?))
}

/// `P(K <= k)` of `n` throws of a fair coin.
pub(super) fn fair_binomial_cdf(k: u64, n: u64) -> Option<f64> {
    Some(Binomial::new(0.5, n).ok()?.cdf(k))
}

/// `statrs` panics at the tail of NaN.
fn number(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

fn student(df: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, df).ok()
}
