//! How the numbers were computed, and what they cannot say.

use super::super::number;
use super::super::page::escape;
use super::CompareReport;
use super::ranking::level;
use super::standing::Standing;
use crate::statistics::Drawn;

impl CompareReport {
    /// A list of methods; nothing unless something was tested.
    pub(super) fn methods(&self, standing: &Standing) -> String {
        let (tested, _) = standing.tested();
        if tested == 0 {
            return String::new();
        }
        let interval = level(self.study.level);
        let mut methods = vec![
            (
                "Question",
                match self.study.drawn {
                    Drawn::Seeds => {
                        "Would this strategy be better than that one if both were trained again with other seeds, and \
                         asked the same? Seeds count as drawn at random."
                    }
                    Drawn::Items => {
                        "Would this strategy be better than that one if both were trained again with other seeds and \
                         asked other items of the same kind? Seeds and test items both count as drawn at random."
                    }
                    Drawn::Pictures => {
                        "Would this strategy be better than that one if both were trained again with other seeds and \
                         asked about other pictures of the same kind? Seeds and test pictures, each with all of its \
                         questions, count as drawn at random."
                    }
                }
                .to_owned(),
            ),
            (
                "Difference",
                format!(
                    "Welch's t test over seeds; where all arms answered the same items, the spread over items is \
                     added to the variance (two crossed random effects, the quasi-F of Clark 1973), and the degrees \
                     of freedom are those of the seeds alone. Intervals are {interval} intervals."
                ),
            ),
            (
                "Many pairs",
                format!(
                    "Holm's correction (1979) over {} tested pairs: the chance of even one false difference is at \
                     most {}. Letters are the compact display of Piepho (2004).",
                    number::count(tested as u64),
                    level(self.alpha())
                ),
            ),
            (
                "Other tests",
                "Bootstrap over seeds and items (Owen 2007), n − 1 of n drawn (Rao and Wu 1988); McNemar's test over \
                 seeds, with the dispersion of quasi-likelihood (McCullagh and Nelder 1989); permutation of the runs \
                 (Phipson and Smyth 2010); Hedges' g, the difference in standard deviations of one seed (1981). They \
                 are not corrected for many pairs, and do not decide: where they disagree with the first test, take \
                 care."
                    .to_owned(),
            ),
        ];
        if let Some(least) = standing.least_difference() {
            methods.push((
                "Power",
                format!(
                    "A true difference of {} is seen in 80% of such studies, from the noncentral t distribution and \
                     the spread over the arms{}.{}",
                    self.metric.axis.amount(least),
                    if tested > 1 { ", with the strictest step of the correction" } else { "" },
                    self.more_seeds(standing),
                ),
            ));
        }
        methods.push(("Limits", self.limits(standing)));
        let item = |(name, text): &(&str, String)| {
            format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(text))
        };
        format!(
            "<dl class=\"methods\">\n{}</dl>\n",
            methods.iter().map(item).collect::<String>()
        )
    }

    fn limits(&self, standing: &Standing) -> String {
        let mut limits = String::new();
        let pairs = self.study.pairs.iter();
        let contrasts = pairs.filter_map(|pair| standing.contrast(pair.a, pair.b));
        let least = contrasts.filter_map(|contrast| Some(contrast.pair.permutation?.least_p));
        if let Some(least) = least.reduce(f64::min).filter(|least| *least > self.alpha()) {
            limits += &format!(
                "With so few seeds a permutation test cannot go below p = {}, whatever the difference: it cannot \
                 confirm one here. ",
                number::p_value(least)
            );
        }
        limits
            + "The t test takes the scores of seeds to be normally distributed, which few seeds can neither show nor \
               refute. All holds for these data, this training budget and these settings; a strategy that another \
               setting would suit may be judged too low."
    }
}
