//! What each modality contributes: the Shapley values of image and question.
//!
//! For two players they are exact (Shapley 1953, "A value for n-person games"): the mean, over both orders of
//! joining, of what a modality adds. With `v` the test accuracy when only the named modalities are there,
//!
//! `image = 1/2 ([v(image) - v(none)] + [v(both) - v(question)])`, and `question` alike; they add up to
//! `v(both) - v(none)`. What neither gives alone is the interaction,
//! `v(both) - v(image) - v(question) + v(none)`: positive for synergy, negative for redundancy.

use super::super::scale::{Axis, Scale};
use super::standing::Standing;
use super::strips::{Mark, Strip, Strips};
use super::{ArmRun, CompareReport};
use crate::statistics::mean;
use serde::Serialize;

/// The names of the probes that take a modality away.
pub(super) const WITHOUT_IMAGE: &str = "without image";
pub(super) const WITHOUT_QUESTION: &str = "without question";
pub(super) const WITHOUT_BOTH: &str = "without both";

/// How the accuracy of an arm above its accuracy without any input is shared out, in accuracy (1 is 100 points).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Attribution {
    /// Shapley value of the image.
    pub image: f64,
    /// Shapley value of the question.
    pub question: f64,
    /// What both give beyond what each gives alone.
    pub interaction: f64,
}

impl Attribution {
    /// Of one run; `None` unless it was tested whole and without either and both of the modalities.
    pub(super) fn of(run: &ArmRun) -> Option<Self> {
        let both = accuracy(run)?;
        let image = probe(run, WITHOUT_QUESTION)?;
        let question = probe(run, WITHOUT_IMAGE)?;
        let none = probe(run, WITHOUT_BOTH)?;
        Some(Self {
            image: 0.5 * ((image - none) + (both - question)),
            question: 0.5 * ((question - none) + (both - image)),
            interaction: both - image - question + none,
        })
    }

    /// The means over runs; `None` if one lacks it.
    pub(super) fn mean(runs: &[ArmRun]) -> Option<Self> {
        let all: Option<Vec<Self>> = runs.iter().map(Self::of).collect();
        let all = all?;
        let mean_of = |part: fn(&Self) -> f64| mean(&all.iter().map(part).collect::<Vec<_>>());
        Some(Self {
            image: mean_of(|one| one.image)?,
            question: mean_of(|one| one.question)?,
            interaction: mean_of(|one| one.interaction)?,
        })
    }
}

/// Test accuracy on input as it is.
pub(super) fn accuracy(run: &ArmRun) -> Option<f64> {
    let value = run.test.get("accuracy").copied();
    value.filter(|value| value.is_finite())
}

/// Accuracy of a run under a probe that is on or off.
pub(super) fn probe(run: &ArmRun, name: &str) -> Option<f64> {
    let probe = run.probes.iter().find(|probe| probe.name == name)?;
    Some(probe.accuracy).filter(|value| value.is_finite())
}

impl CompareReport {
    /// The figure; nothing without the probes it takes.
    pub(super) fn attributions(&self, standing: &Standing) -> String {
        let found: Vec<_> = standing
            .all()
            .filter_map(|(place, ranked)| {
                Some((place, ranked, Attribution::mean(&ranked.arm.runs)?))
            })
            .collect();
        let each_seed = |part: fn(&Attribution) -> f64, runs: &[ArmRun]| -> Vec<f64> {
            runs.iter()
                .filter_map(Attribution::of)
                .map(|of| part(&of))
                .collect()
        };
        let image: fn(&Attribution) -> f64 = |one| one.image;
        let question: fn(&Attribution) -> f64 = |one| one.question;
        let ends = found.iter().flat_map(|(_, ranked, _)| {
            [image, question].map(|part| each_seed(part, &ranked.arm.runs))
        });
        let ends = ends.flatten().chain([0.0]).map(|share| 100.0 * share);
        let Some(scale) = Scale::horizontal(Axis::Linear, ends, 0.04) else {
            return String::new();
        };
        let rows: Vec<Strip> = found
            .iter()
            .map(|(place, ranked, of)| {
                let mut marks = Vec::new();
                for (lane, part, name) in [(-7, image, "image"), (7, question, "question")] {
                    marks.push(Mark::Bar {
                        from: 0.0,
                        to: 100.0 * part(of),
                        lane,
                        class: name,
                    });
                    let seeds = each_seed(part, &ranked.arm.runs);
                    marks.extend(seeds.into_iter().zip(&ranked.arm.runs).map(|(value, run)| {
                        Mark::Dot {
                            at: 100.0 * value,
                            shift: f64::from(lane),
                            class: "seed",
                            title: format!(
                                "{name}, seed {}: {}",
                                run.seed,
                                Axis::Percent.signed(value, 1)
                            ),
                        }
                    }));
                }
                let weight = super::summary::over_runs(ranked.arm, |run| run.image_weight);
                let gate = weight
                    .and_then(|weight| weight.mean)
                    .map_or_else(String::new, |weight| {
                        format!("gate: {} image", Axis::Percent.short(weight))
                    });
                Strip {
                    place: *place,
                    colour: standing.colour(*place),
                    shaded: false,
                    letters: "",
                    name: &ranked.arm.label,
                    about: gate,
                    value: format!(
                        "{} / {}",
                        Axis::Percent.signed(of.image, 1),
                        Axis::Percent.signed(of.question, 1)
                    ),
                    detail: format!("together {}", Axis::Percent.signed(of.interaction, 1)),
                    marks,
                }
            })
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        Strips {
            scale,
            label: "Points of accuracy",
            zero: true,
            rows,
            key: vec![("image", "image"), ("question", "question")],
            note: "Shapley values, means over seeds, a dot a seed: what each modality adds to the accuracy, averaged \
                   over which of the two comes first. At the right image / question; \
                   “together” is what both give beyond what each gives alone (positive: they are needed together; \
                   negative: they say the same)."
                .to_owned(),
        }
        .html()
    }
}
