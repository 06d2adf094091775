//! Reports: each is one HTML file that needs no network and no script, light or dark as the reader's system is.
//!
//! All text is escaped, and no value breaks a page: what is missing, infinite or NaN is shown as such.
//!
//! ```
//! use crucible_evaluation::report::{Axis, Curve, RunReport, Series};
//!
//! let loss = Series { label: "train".into(), points: vec![(0.0, 2.5), (100.0, 0.7), (200.0, f64::NAN)] };
//! let report = RunReport {
//!     title: "vqa, quick".into(),
//!     curves: vec![Curve { name: "Loss".into(), x_label: "step".into(), axis: Axis::Log, series: vec![loss] }],
//!     ..RunReport::default()
//! };
//! let page = report.html();
//! assert!(page.contains("1 point is not finite"));
//! ```

mod chart;
mod compare;
mod figure;
mod number;
mod page;
mod run;
mod scale;
mod series;

pub use compare::{
    Arm, ArmRun, ArmSummary, Attribution, CompareReport, Condition, Example, Metric, Point, Probe,
    Track,
};
pub use figure::{Figure, Png};
pub use run::{RunReport, SampleCard};
pub use scale::Axis;

/// One chart: some series over the same x.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// The heading, such as `Loss`.
    pub name: String,
    /// What x is, such as `step`.
    pub x_label: String,
    /// How y is shown.
    pub axis: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line of a chart.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// What it is, such as `train`.
    pub label: String,
    /// Points `(x, y)` in any order; of two with the same x the later counts.
    pub points: Vec<(f64, f64)>,
}

#[cfg(test)]
mod tests;
