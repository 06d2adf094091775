//! The forest plot: the difference of each arm to the best one, with its interval.

use super::super::number;
use super::super::page::shortened;
use super::super::scale::{Axis, Scale};
use super::CompareReport;
use super::ranking::level;
use super::standing::Standing;
use super::strips::{Mark, Strip, Strips};

impl CompareReport {
    /// The figure; nothing if no arm was tested against the best.
    pub(super) fn forest(&self, standing: &Standing) -> String {
        let Some(best) = standing.ranked.first() else {
            return String::new();
        };
        let axis = self.metric.axis;
        // Differences of shares are drawn in points, of anything else as they are.
        let size = if axis == Axis::Percent { 100.0 } else { 1.0 };
        let contrasts: Vec<_> = standing
            .ranked
            .iter()
            .enumerate()
            .filter_map(|(place, ranked)| {
                Some((place, ranked, standing.contrast(ranked.index, best.index)?))
            })
            .collect();
        let ends = contrasts.iter();
        let ends = ends.flat_map(|(_, _, contrast)| [contrast.low * size, contrast.high * size]);
        if contrasts.is_empty() {
            return String::new();
        }
        let Some(scale) = Scale::horizontal(Axis::Linear, ends.chain([0.0]), 0.03) else {
            return String::new();
        };
        let rows = contrasts.iter().map(|(place, ranked, contrast)| {
            let p = contrast.holm.map_or(f64::NAN, |p| p);
            Strip {
                place: *place,
                colour: standing.colour(*place),
                shaded: false,
                letters: standing.letters(ranked),
                name: &ranked.arm.label,
                about: String::new(),
                value: axis.signed(contrast.value, 2),
                detail: format!("Holm p {}", number::p_value(p)),
                marks: vec![
                    Mark::Interval {
                        low: contrast.low * size,
                        high: contrast.high * size,
                    },
                    Mark::Dot {
                        at: contrast.value * size,
                        shift: 0.0,
                        class: if contrast.holds { "holds" } else { "open" },
                        title: format!(
                            "{}, {} interval {} to {}",
                            axis.signed(contrast.value, 2),
                            level(self.study.level),
                            axis.signed(contrast.low, 2),
                            axis.signed(contrast.high, 2)
                        ),
                    },
                ],
            }
        });
        let (tested, _) = standing.tested();
        Strips {
            scale,
            label: &format!("Difference to {}{}", shortened(&best.arm.label, 24), axis.unit()),
            zero: true,
            rows: rows.collect(),
            key: vec![
                ("holds", "holds after correction"),
                ("open", "may be chance"),
            ],
            note: format!(
                "The line is the {} interval of this one difference, over seeds and test items; p is corrected by \
                 Holm's method for all {} pairs at once, so an interval may lie clear of zero and the difference not \
                 hold. The arm that came out best was partly lucky to do so: differences to it are a little too large.",
                level(self.study.level),
                number::count(tested as u64)
            ),
        }
        .html()
    }
}
