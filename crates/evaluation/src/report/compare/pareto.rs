//! What quality costs: the metric against compute, with the arms that no other beats in both.

use super::super::chart::{colour, key, percent};
use super::super::number;
use super::super::page::{caption, escape};
use super::super::scale::{Axis, Scale};
use super::CompareReport;
use super::standing::{Ranked, Standing};
use super::summary::over_runs;

/// Height of the plot in pixels.
const HEIGHT: f64 = 300.0;
/// Widths for which numbers are placed: a phone, where only those of the front are shown, and what is wider.
const WIDTHS: [f64; 4] = [270.0, 420.0, 620.0, 1000.0];
/// Where a number may stand, in pixels from its dot.
const SIDES: [(f64, f64); 8] = [
    (0.0, -14.0),
    (0.0, 14.0),
    (14.0, 0.0),
    (-14.0, 0.0),
    (12.0, -11.0),
    (-12.0, -11.0),
    (12.0, 11.0),
    (-12.0, 11.0),
];

/// One arm in the plane.
struct Place<'a> {
    place: usize,
    ranked: &'a Ranked<'a>,
    cost: f64,
    /// No other arm is both cheaper and better.
    front: bool,
}

impl CompareReport {
    /// The figures; nothing where costs are not known or all the same.
    pub(super) fn pareto(&self, standing: &Standing) -> String {
        let flops = self.plane(standing, |ranked| ranked.arm.flops);
        let seconds = self.plane(standing, |ranked| {
            over_runs(ranked.arm, |run| run.seconds)?.mean
        });
        let most = |places: &[Place]| places.iter().map(|place| place.cost).fold(0.0, f64::max);
        let (prefix, size) = number::thousands(most(&flops));
        let mut html = String::new();
        if !flops.is_empty() {
            let label = format!("{prefix}FLOPs of a forward pass of one item");
            html += &self.plot("flops", &label, size, &flops, standing);
        }
        if !seconds.is_empty() {
            let (unit, size) = super::curves::time_unit(most(&seconds));
            let label = format!("{unit} of training, mean over seeds");
            html += &self.plot("seconds", &label, size, &seconds, standing);
        }
        match html.as_str() {
            "" => html,
            _ => format!(
                "<div class=\"charts\">\n{html}</div>\n<figure>{}</figure>\n",
                caption(
                    "Listed and joined: the arms on the front, cheapest first. Every other arm is beaten by one of \
                     them at no higher cost, by the means. Numbers are places in the ranking. Logarithmic cost."
                )
            ),
        }
    }

    /// The arms whose cost is known, the cheapest first; none if there is nothing to choose between.
    fn plane<'a>(
        &self,
        standing: &'a Standing<'a>,
        cost: impl Fn(&Ranked) -> Option<f64>,
    ) -> Vec<Place<'a>> {
        let places = standing.ranked.iter().enumerate();
        let places = places.filter_map(|(place, ranked)| {
            let cost = cost(ranked).filter(|&cost| Axis::Log.can_show(cost))?;
            let shown = self.metric.axis.can_show(ranked.mean());
            shown.then_some(Place {
                place,
                ranked,
                cost,
                front: false,
            })
        });
        let mut places: Vec<Place> = places.collect();
        // Of arms that cost the same the better one comes first: it has the smaller place.
        places.sort_by(|left, right| {
            let order = left.cost.total_cmp(&right.cost);
            order.then(left.place.cmp(&right.place))
        });
        let mut best = usize::MAX;
        for place in &mut places {
            place.front = place.place < best;
            best = best.min(place.place);
        }
        let range = places.first().zip(places.last());
        if range.is_none_or(|(low, high)| high.cost <= low.cost) {
            places.clear();
        }
        places
    }

    fn plot(
        &self,
        id: &str,
        label: &str,
        size: f64,
        places: &[Place],
        standing: &Standing,
    ) -> String {
        let axis = self.metric.axis;
        let x = Scale::horizontal(
            Axis::Log,
            places.iter().map(|place| place.cost / size),
            0.08,
        );
        let y = Scale::vertical(axis, places.iter().map(|place| place.ranked.mean()));
        let (Some(x), Some(y)) = (x, y) else {
            return String::new();
        };
        let at = |place: &Place| {
            (
                x.place(place.cost / size),
                1.0 - y.place(place.ranked.mean()),
            )
        };
        let title = format!("{} against {label}", self.metric.label);
        let description = format!(
            "{} arms; x from {}, y from {}.",
            places.len(),
            x.describe(),
            y.describe()
        );
        let mut svg = format!(
            "<div class=\"plot pareto\"><svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n<title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n",
            escape(&title),
            escape(&description)
        );
        svg += &y.rules();
        svg += &x.feet(label);
        // Along the front nothing better can be had until the next arm is paid for: steps, not slopes.
        let front: Vec<&Place> = places.iter().filter(|place| place.front).collect();
        let mut steps = String::new();
        let mut before: Option<f64> = None;
        for place in &front {
            let (left, top) = at(place);
            if let Some(height) = before {
                steps += &format!("{:.1},{:.1} ", 1000.0 * left, 1000.0 * height);
            }
            steps += &format!("{:.1},{:.1} ", 1000.0 * left, 1000.0 * top);
            before = Some(top);
        }
        if let Some(height) = before {
            steps += &format!("1000.0,{:.1}", 1000.0 * height);
        }
        svg += &format!(
            "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\" overflow=\"visible\"><polyline class=\"front\" points=\"{steps}\"/></svg>\n"
        );
        let dots: Vec<_> = places
            .iter()
            .map(|place| (at(place), place.front))
            .collect();
        for (number, place) in number_places(&dots).into_iter().zip(places) {
            svg += &self.dot(place, at(place), number, standing);
        }
        svg += "</svg></div>\n";
        let entry = |place: &&Place| {
            format!(
                "<li>{}<span class=\"place\">{}</span> {} <b>{}</b></li>\n",
                key(standing.colour(place.place)),
                place.place + 1,
                escape(&place.ranked.arm.label),
                axis.short(place.ranked.mean())
            )
        };
        format!(
            "<figure class=\"chart\">\n<h3>{}</h3>\n<ul class=\"legend\">\n{}</ul>\n{svg}</figure>\n",
            escape(&title),
            front.iter().map(entry).collect::<String>()
        )
    }

    fn dot(
        &self,
        place: &Place,
        (left, top): (f64, f64),
        number: Option<(f64, f64)>,
        standing: &Standing,
    ) -> String {
        let class = if place.front { "on" } else { "off" };
        let text = number.map_or_else(String::new, |(right, down)| {
            format!(
                "<text class=\"{class}\" x=\"{}\" y=\"{}\" dx=\"{right:.0}\" dy=\"{:.0}\" text-anchor=\"middle\">{}</text>",
                percent(left),
                percent(top),
                down + 4.0,
                place.place + 1
            )
        });
        format!(
            "<g class=\"{}\"><circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"5.5\"><title>{}: {}</title></circle>{text}</g>\n",
            colour(standing.colour(place.place)),
            if place.front { "holds" } else { "dot" },
            percent(left),
            percent(top),
            escape(&place.ranked.arm.label),
            self.metric.axis.format(place.ranked.mean()),
        )
    }
}

/// A number beside its dot: the dot as shares of width and height, and the way to the number in pixels.
#[derive(Clone, Copy)]
struct Label {
    dot: (f64, f64),
    shift: (f64, f64),
}

impl Label {
    /// Its middle in a plot so many pixels wide.
    fn at(&self, width: f64) -> (f64, f64) {
        (
            self.dot.0 * width + self.shift.0,
            self.dot.1 * HEIGHT + self.shift.1,
        )
    }

    /// Whether it is within the plot and clear of all dots and of other labels, at these widths.
    fn is_free(&self, dots: &[(f64, f64)], taken: &[Label], widths: &[f64]) -> bool {
        widths.iter().all(|&width| {
            let at = self.at(width);
            let clear = |other: (f64, f64), wide: f64, high: f64| {
                (other.0 - at.0).abs() >= wide || (other.1 - at.1).abs() >= high
            };
            let inside =
                (-4.0..=width + 4.0).contains(&at.0) && (-8.0..=HEIGHT - 6.0).contains(&at.1);
            let dot = |other: &(f64, f64)| (other.0 * width, other.1 * HEIGHT);
            inside
                && dots
                    .iter()
                    .all(|other| *other == self.dot || clear(dot(other), 13.0, 12.0))
                && taken.iter().all(|other| clear(other.at(width), 20.0, 13.0))
        })
    }
}

/// Where the number of each dot goes, in pixels from the dot: the first free one of eight sides, if there is one.
/// Dots are shares of width and height, and whether they are on the front; these choose first.
fn number_places(dots: &[((f64, f64), bool)]) -> Vec<Option<(f64, f64)>> {
    let all: Vec<(f64, f64)> = dots.iter().map(|(dot, _)| *dot).collect();
    let mut places = vec![None; dots.len()];
    let mut taken = Vec::new();
    for (front, widths) in [(true, &WIDTHS[..]), (false, &WIDTHS[1..])] {
        for ((dot, on_front), place) in dots.iter().zip(&mut places) {
            if *on_front != front {
                continue;
            }
            let labels = SIDES.into_iter().map(|shift| Label { dot: *dot, shift });
            let free = |label: &Label| label.is_free(&all, &taken, widths);
            if let Some(label) = labels.into_iter().find(free) {
                *place = Some(label.shift);
                taken.push(label);
            }
        }
    }
    places
}
