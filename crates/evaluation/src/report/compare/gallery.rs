//! Test items on which the arms disagree: the picture, the question, and who answered what.

use super::super::page::{base64, caption, escape};
use super::standing::Standing;
use super::{CompareReport, Example};

/// One example with what is made of it.
struct Card<'a> {
    example: &'a Example,
    /// Place and answers of each arm, best arm first.
    arms: Vec<Answers<'a>>,
}

/// What one arm answered.
struct Answers<'a> {
    place: usize,
    label: &'a str,
    /// The answer that most seeds gave, the first of them where they are even.
    answer: &'a str,
    /// How many seeds gave it.
    agreeing: usize,
    /// How many seeds were right.
    right: usize,
    seeds: usize,
}

impl Answers<'_> {
    /// Whether most seeds are right.
    fn is_right(&self) -> bool {
        2 * self.right > self.seeds
    }
}

impl CompareReport {
    /// The cards: first those where one arm alone is right or wrong, then those that split the arms most evenly.
    pub(super) fn cards(&self, standing: &Standing) -> String {
        let mut cards: Vec<Card> = self
            .gallery
            .iter()
            .map(|example| Card::of(example, standing))
            .collect();
        cards.sort_by_key(Card::order);
        if cards.is_empty() {
            return String::new();
        }
        let items: String = cards.iter().map(Card::html).collect();
        let note = "An arm counts as right on an item when most of its seeds are; “2 of 3” are those of its seeds that gave the \
                    answer. The items were chosen because the \
                    arms disagree on them: they show how strategies differ, not how often.";
        format!(
            "<figure class=\"many\">\n<ul class=\"samples gallery\">\n{items}</ul>\n{}</figure>\n",
            caption(note)
        )
    }
}

impl<'a> Card<'a> {
    fn of(example: &'a Example, standing: &Standing<'a>) -> Self {
        let arm = |(index, answers): &'a (usize, Vec<String>)| {
            let place = standing.place(*index)?;
            let label = standing.report.arms.get(*index)?.label.as_str();
            let count = |answer: &str| answers.iter().filter(|other| *other == answer).count();
            // The first of several that are as frequent: `max_by_key` would take the last.
            let answer = answers.iter().rev().max_by_key(|answer| count(answer))?;
            Some(Answers {
                place,
                label,
                answer,
                agreeing: count(answer),
                right: count(&example.target),
                seeds: answers.len(),
            })
        };
        let mut arms: Vec<Answers> = example.answers.iter().filter_map(arm).collect();
        arms.sort_by_key(|answers| answers.place);
        Self { example, arms }
    }

    fn right(&self) -> usize {
        self.arms.iter().filter(|arm| arm.is_right()).count()
    }

    /// One alone first, its seeds in agreement before others; the rest by how evenly they are split.
    fn order(&self) -> (usize, usize) {
        let (right, all) = (self.right(), self.arms.len());
        let lonely = right.min(all - right);
        let doubt = self
            .arms
            .iter()
            .map(|arm| arm.right.min(arm.seeds - arm.right))
            .sum();
        match lonely {
            // All agree: nothing to see but the seeds.
            0 => (usize::MAX, doubt),
            1 => (0, doubt),
            _ => (1 + all / 2 - lonely.min(all / 2), doubt),
        }
    }

    fn headline(&self) -> String {
        let (right, all) = (self.right(), self.arms.len());
        let name = |right: bool| {
            let found = self.arms.iter().find(|arm| arm.is_right() == right);
            format!("<b>{}</b>", escape(found.map_or("", |arm| arm.label)))
        };
        match (right, all - right) {
            (0, 0) => String::new(),
            (1, wrong) if wrong > 0 => format!("Only {} is right", name(true)),
            (right, 1) if right > 0 => format!("Only {} is wrong", name(false)),
            (0, _) => "All are wrong".to_owned(),
            (_, 0) => "All are right".to_owned(),
            (right, _) => format!("{right} of {all} arms are right"),
        }
    }

    fn html(&self) -> String {
        let picture = if self.example.image_png.is_empty() {
            "<p class=\"empty\">no picture</p>".to_owned()
        } else {
            format!(
                "<img src=\"data:image/png;base64,{}\" alt=\"picture the question is about\">",
                base64(&self.example.image_png)
            )
        };
        let group = match self.example.group.as_str() {
            "" => String::new(),
            group => format!("<p><small>{}</small></p>", escape(group)),
        };
        format!(
            "<li>{picture}{group}<p class=\"question\">{}</p><p class=\"answer right\"><small>right answer:</small> {}</p><p class=\"headline\">{}</p><dl>{}</dl></li>\n",
            escape(&self.example.question),
            escape(&self.example.target),
            self.headline(),
            self.answers(),
        )
    }

    /// Each answer with the arms that gave it, the right one first, then the most frequent.
    fn answers(&self) -> String {
        let target = self.example.target.as_str();
        let mut given = super::standing::names(self.arms.iter().map(|arm| arm.answer));
        let arms = |answer: &str| self.arms.iter().filter(|arm| arm.answer == answer).count();
        given.sort_by_key(|answer| (*answer != target, std::cmp::Reverse(arms(answer))));
        let item = |answer: &str| {
            let arms = self.arms.iter().filter(|arm| arm.answer == answer);
            let arms: String = arms
                .map(|arm| {
                    let seeds = match arm.agreeing {
                        all if all == arm.seeds => String::new(),
                        some => format!(" <small>{some} of {}</small>", arm.seeds),
                    };
                    format!("<li>{}{seeds}</li>", escape(arm.label))
                })
                .collect();
            let (class, mark, verdict) = if answer == target {
                ("right", "✓", "right")
            } else {
                ("wrong", "✗", "wrong")
            };
            format!(
                "<dt class=\"{class}\"><span role=\"img\" aria-label=\"{verdict}\">{mark}</span> {}</dt><dd><ul>{arms}</ul></dd>",
                escape(answer)
            )
        };
        given.into_iter().map(item).collect()
    }
}
