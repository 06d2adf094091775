//! The verdict: what the numbers say, in plain words, and no more than they say.

mod choice;
mod voice;

pub(super) use voice::Voice;

use super::super::number;
use super::CompareReport;
use super::ranking::level;
use super::standing::{Ranked, Standing};

/// More names than this are counted rather than listed.
const NAMED: usize = 6;

/// What the tests say of the arms below the best.
struct Findings<'a> {
    best: &'a Ranked<'a>,
    /// The best is better than these, beyond chance.
    beaten: Vec<&'a Ranked<'a>>,
    /// These cannot be told apart from the best.
    tied: Vec<&'a Ranked<'a>>,
    /// These could not be tested against the best.
    untested: Vec<&'a Ranked<'a>>,
}

impl<'a> Findings<'a> {
    fn of(standing: &'a Standing<'a>) -> Option<Self> {
        let (best, others) = standing.ranked.split_first()?;
        let (mut beaten, mut tied, mut untested) = (Vec::new(), Vec::new(), Vec::new());
        for other in others {
            match standing.contrast(best.index, other.index) {
                None => untested.push(other),
                Some(contrast) if contrast.holds => beaten.push(other),
                Some(_) => tied.push(other),
            }
        }
        Some(Self {
            best,
            beaten,
            tied,
            untested,
        })
    }
}

impl CompareReport {
    /// The verdict as sentences, the first of which says it all.
    pub(super) fn sentences(&self, standing: &Standing, voice: Voice) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(findings) = Findings::of(standing) {
            sentences.push(self.lead(standing, &findings, voice));
            sentences.push(self.means(standing, &findings, voice));
            sentences.extend(self.tests(standing, &findings, voice));
            sentences.extend(self.choice(&findings, voice));
            sentences.extend(self.power(standing));
            sentences.extend(self.budgets(standing, voice));
        } else if !self.arms.is_empty() || !self.failed.is_empty() {
            sentences.push("Nothing can be compared: no arm has a result.".to_owned());
        }
        sentences.extend(self.left_out(standing, voice));
        sentences.retain(|sentence| !sentence.is_empty());
        sentences
    }

    fn lead(&self, standing: &Standing, findings: &Findings, voice: Voice) -> String {
        let Findings {
            best,
            beaten,
            tied,
            untested,
        } = findings;
        let name = voice.name(best);
        let all = standing.ranked.len();
        let (tested, hold) = standing.tested();
        match (beaten.len(), tied.len(), untested.len()) {
            (0, 0, 0) => format!("Only {name} has a result: there is nothing to compare it with."),
            (0, 0, _) if tested == 0 && standing.seeds() == Some(1) => {
                "One seed each: nothing can be said about which strategy is better.".to_owned()
            }
            (0, 0, _) => format!("{name} came out best, and nothing can be said about chance."),
            (0, _, _) if hold == 0 && equal(standing) => {
                format!("All {} arms came out the same.", number::words(all))
            }
            (0, _, 0) if hold == 0 && all == 2 => {
                format!("{name} and {} cannot be told apart.", voice.names(tied))
            }
            (0, _, _) if hold == 0 => {
                "No arm can be told apart from any other: the differences may all be chance."
                    .to_owned()
            }
            (0, _, _) => format!(
                "{name} came out best, but {} of the others can be told apart from it.",
                if untested.is_empty() {
                    "none"
                } else {
                    "none that was tested"
                }
            ),
            (_, 0, 0) if all == 2 => format!(
                "{name} is better than {}, by more than chance explains.",
                voice.names(beaten)
            ),
            (2, 0, 0) => {
                format!("{name} is better than both others, by more than chance explains.")
            }
            (_, 0, 0) => format!(
                "{name} is better than all {} others, by more than chance explains.",
                number::words(all - 1)
            ),
            (_, 0, _) => format!(
                "{name} is better than {}, by more than chance explains; {} could not be tested.",
                voice.names(beaten),
                voice.names(untested)
            ),
            (_, 1..=3, _) => format!(
                "{name} came out best, but {} cannot be told apart from it.",
                voice.names(tied)
            ),
            (_, ties, _) => format!(
                "{name} came out best, but {} other arms cannot be told apart from it.",
                number::words(ties)
            ),
        }
    }

    fn means(&self, standing: &Standing, findings: &Findings, voice: Voice) -> String {
        let axis = self.metric.axis;
        let over = |ranked: &Ranked| match ranked.summary.values.len() {
            1 => "with its one seed".to_owned(),
            seeds => format!("on average over {} seeds", number::words(seeds)),
        };
        let best = findings.best;
        let mut text = format!(
            "{} of {}: {} {}",
            voice.text(&self.metric.label),
            voice.name(best),
            axis.format(best.mean()),
            over(best)
        );
        let others = standing.ranked.iter().skip(1);
        if let Some(next) = others.clone().next() {
            text += &format!(
                "; next {} with {}",
                voice.name(next),
                axis.format(next.mean())
            );
        }
        if let Some(last) = others.skip(1).last() {
            text += &format!(
                ", last {} with {}",
                voice.name(last),
                axis.format(last.mean())
            );
        }
        if self.metric.less_is_better {
            text += " (less is better)";
        }
        text + "."
    }

    fn tests(&self, standing: &Standing, findings: &Findings, voice: Voice) -> Option<String> {
        let (tested, hold) = standing.tested();
        let best = voice.name(findings.best);
        if tested == 0 {
            return (standing.ranked.len() > 1).then(|| match standing.seeds() {
                Some(2..) => "The seeds of an arm do not differ at all: there is no spread to hold a difference against."
                    .to_owned(),
                _ => "Between single runs of two strategies lies the luck of the seed as well as the strategy: run at \
                      least three seeds each to tell them apart."
                    .to_owned(),
            });
        }
        let after = match tested {
            1 => "By Welch's t test over seeds".to_owned(),
            pairs => format!(
                "After Holm's correction over {} pairs",
                number::count(pairs as u64)
            ),
        };
        let mut parts = Vec::new();
        if !findings.beaten.is_empty() {
            parts.push(format!(
                "{best} is better than {}",
                voice.names(&findings.beaten)
            ));
        }
        if !findings.tied.is_empty() {
            parts.push(match findings.beaten.is_empty() {
                true => format!(
                    "{best} cannot be told apart from {}",
                    voice.names(&findings.tied)
                ),
                false => format!(
                    "it cannot be told apart from {}",
                    voice.names(&findings.tied)
                ),
            });
        }
        let mut text = format!("{after}, {}", parts.join("; "));
        if parts.is_empty() {
            text = format!("{after}, the best arm could not be tested");
        }
        if tested > 1 {
            text += &match hold {
                0 => format!(
                    ". None of the {} differences holds",
                    number::count(tested as u64)
                ),
                hold => format!(
                    ". Of all {} differences {} hold{}",
                    number::count(tested as u64),
                    number::words(hold),
                    if hold == 1 { "s" } else { "" }
                ),
            };
            if hold > 0 {
                text += &format!(
                    ", by a procedure that claims anything false in at most {} of such studies",
                    level(self.alpha())
                );
            }
        }
        if !findings.untested.is_empty() {
            text += &format!(". Not tested: {}", voice.names(&findings.untested));
        }
        if hold == 0 {
            text += ". That is no proof that they are equal";
        }
        Some(text + ".")
    }

    /// Arms and runs that are in no test.
    fn left_out(&self, standing: &Standing, voice: Voice) -> Vec<String> {
        let mut sentences = Vec::new();
        if !standing.unranked.is_empty() {
            let arms: Vec<&Ranked> = standing.unranked.iter().collect();
            sentences.push(format!(
                "Not in the ranking, as a seed gave no finite value: {}.",
                voice.names(&arms)
            ));
        }
        if !self.failed.is_empty() {
            let failed: Vec<String> = self
                .failed
                .iter()
                .map(|failed| voice.text(failed))
                .collect();
            let runs = match failed.len() {
                1 => "One run did not get to its end".to_owned(),
                runs => format!(
                    "{} runs did not get to their end",
                    number::count(runs as u64)
                ),
            };
            let more = match failed.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {}", number::words(more)),
            };
            let named: Vec<String> = failed.into_iter().take(NAMED).collect();
            sentences.push(format!(
                "{runs}: {}{more}.",
                named.join("; ").trim_end_matches('.')
            ));
        }
        sentences
    }
}

/// Whether all means are the same.
fn equal(standing: &Standing) -> bool {
    let mut means = standing.ranked.iter().map(Ranked::mean);
    let first = means.next();
    means.all(|mean| Some(mean) == first)
}
