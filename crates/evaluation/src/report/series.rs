//! Turning measured points into lines: order, smoothing, means over seeds, thinning.

/// Points `(x, y)` of one line.
pub(super) type Points = Vec<(f64, f64)>;

/// More points than this cannot be told apart on a screen.
const DRAWN: usize = 400;

/// In the order of x, one point an x; the last one measured wins, as a resumed run may repeat a step.
/// Points whose x is not finite are left out.
pub(super) fn ordered(points: &[(f64, f64)]) -> Points {
    let mut points: Points = points
        .iter()
        .copied()
        .filter(|point| point.0.is_finite())
        .collect();
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    points.reverse();
    points.dedup_by_key(|point| point.0);
    points.reverse();
    points
}

/// Whether a line goes up and down so much that only its average can be read: its length along y is more
/// than six times its range. (A schedule that rises and falls once has twice its range.)
pub(super) fn is_noisy(points: &[(f64, f64)]) -> bool {
    let values: Vec<f64> = points
        .iter()
        .map(|point| point.1)
        .filter(|value| value.is_finite())
        .collect();
    let length: f64 = values
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .sum();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.len() >= 40 && length > 6.0 * (high - low)
}

/// How many points the moving mean of a line takes: a fortieth of the line, odd, at least five.
pub(super) fn window(points: usize) -> usize {
    (points / 40).max(5) | 1
}

/// Centred moving mean over `window` points, fewer at both ends. Values that are not finite stay as they are
/// and are no part of any mean.
pub(super) fn smoothed(points: &[(f64, f64)], window: usize) -> Points {
    let half = window / 2;
    let smooth = |(index, &(x, y)): (usize, &(f64, f64))| {
        let near = &points[index.saturating_sub(half)..points.len().min(index + half + 1)];
        let values: Vec<f64> = near
            .iter()
            .map(|point| point.1)
            .filter(|value| value.is_finite())
            .collect();
        (
            x,
            if y.is_finite() {
                values.iter().sum::<f64>() / values.len() as f64
            } else {
                y
            },
        )
    };
    points.iter().enumerate().map(smooth).collect()
}

/// The mean of several ordered lines where all of them have values, interpolated linearly between points.
pub(super) fn mean_line(lines: &[Points]) -> Points {
    let finite: Vec<Points> = lines
        .iter()
        .map(|line| {
            line.iter()
                .copied()
                .filter(|point| point.1.is_finite())
                .collect()
        })
        .collect();
    let ends = finite
        .iter()
        .map(|line: &Points| Some((line.first()?.0, line.last()?.0)));
    let Some(Some((first, last))) = ends.reduce(|left, right| {
        let (left, right) = (left?, right?);
        Some((left.0.max(right.0), left.1.min(right.1)))
    }) else {
        return Points::new();
    };
    let mut grid: Vec<f64> = finite
        .iter()
        .flatten()
        .map(|point| point.0)
        .filter(|x| (first..=last).contains(x))
        .collect();
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    let mean =
        |x: f64| finite.iter().map(|line| interpolated(line, x)).sum::<f64>() / finite.len() as f64;
    grid.into_iter().map(|x| (x, mean(x))).collect()
}

/// The value of an ordered line at `x`, which lies within it.
fn interpolated(line: &[(f64, f64)], x: f64) -> f64 {
    let after = line
        .partition_point(|point| point.0 < x)
        .min(line.len() - 1);
    let (right, left) = (line[after], line[after.saturating_sub(1)]);
    if right.0 <= left.0 {
        return right.1;
    }
    let share = ((x - left.0) / (right.0 - left.0)).clamp(0.0, 1.0);
    left.1 + share * (right.1 - left.1)
}

/// Few enough points to draw: of each stretch of the line its lowest and highest, so that no peak is lost.
pub(super) fn thinned(points: &[(f64, f64)]) -> Points {
    thinned_to(points, DRAWN)
}

/// As [`thinned`], to about `most` points, of which there must be two.
pub(super) fn thinned_to(points: &[(f64, f64)], most: usize) -> Points {
    if points.len() <= most {
        return points.to_vec();
    }
    let mut thin = Points::new();
    for stretch in points.chunks(points.len().div_ceil((most / 2).max(1))) {
        let by_value = |left: &&(f64, f64), right: &&(f64, f64)| left.1.total_cmp(&right.1);
        let ends = [
            stretch.iter().min_by(by_value),
            stretch.iter().max_by(by_value),
        ];
        thin.extend(ends.into_iter().flatten());
    }
    ordered(&thin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_step_counts_once_and_the_later_value_wins() {
        let points = [(2.0, 20.0), (1.0, 10.0), (f64::NAN, 0.0), (2.0, 21.0)];
        assert_eq!(ordered(&points), [(1.0, 10.0), (2.0, 21.0)]);
    }

    #[test]
    fn only_noise_is_smoothed() {
        let line = |value: fn(usize) -> f64| -> Points {
            (0..200).map(|x| (x as f64, value(x))).collect()
        };
        assert!(
            !is_noisy(&line(|x| 100.0 - (x as f64 - 60.0).abs())),
            "a schedule"
        );
        assert!(is_noisy(&line(
            |x| 3.0 / (1.0 + x as f64) + 0.5 * (x % 3) as f64
        )));
        assert!(!is_noisy(&line(|_| 1.0)), "a constant");
        assert_eq!([window(40), window(400), window(4_000)], [5, 11, 101]);
    }

    #[test]
    fn the_moving_mean_is_centred_and_skips_holes() {
        let points = [
            (0.0, 0.0),
            (1.0, 3.0),
            (2.0, 6.0),
            (3.0, f64::NAN),
            (4.0, 12.0),
        ];
        let smooth = smoothed(&points, 3);
        let seen: Vec<f64> = smooth.iter().map(|point| point.1).collect();
        assert_eq!(seen[..3], [1.5, 3.0, 4.5]);
        assert!(seen[3].is_nan());
        assert_eq!(seen[4], 12.0);
    }

    #[test]
    fn the_mean_of_lines_with_other_steps_is_interpolated_where_all_have_values() {
        let left = vec![(0.0, 0.0), (10.0, 10.0), (20.0, f64::NAN)];
        let right = vec![(5.0, 1.0), (15.0, 3.0)];
        assert_eq!(
            mean_line(&[left.clone(), right.clone()]),
            [(5.0, 3.0), (10.0, 6.0)]
        );
        assert_eq!(mean_line(std::slice::from_ref(&right)), right);
        assert_eq!(mean_line(&[left, Points::new()]), Points::new());
        assert_eq!(mean_line(&[]), Points::new());
        assert_eq!(
            mean_line(&[vec![(1.0, 2.0)], vec![(1.0, 4.0)]]),
            [(1.0, 3.0)]
        );
    }

    #[test]
    fn thinning_keeps_the_peaks() {
        let mut points: Points = (0..10_000).map(|x| (x as f64, (x % 7) as f64)).collect();
        points[1234].1 = 1e6;
        points[7777].1 = -1e6;
        let thin = thinned(&points);
        assert!(thin.len() <= DRAWN + 2, "{}", thin.len());
        assert!(thin.contains(&(1234.0, 1e6)) && thin.contains(&(7777.0, -1e6)));
        assert!(thin.is_sorted_by(|left, right| left.0 < right.0));
    }
}
