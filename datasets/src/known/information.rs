//! What can be computed of a task without a model.

use serde::Serialize;

use super::Task;

/// What image and question tell of the answer, in bits: the decomposition of Williams and Beer 2010 ("Nonnegative
/// decomposition of multivariate information"), whose redundancy is the least specific information.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Information {
    /// What either tells.
    pub redundant: f64,
    /// What the image tells and the question does not.
    pub image: f64,
    /// What the question tells and the image does not.
    pub text: f64,
    /// What only both together tell.
    pub synergy: f64,
}

/// A score for each rule that gives an answer to each pair of bits.
type Rule = [[bool; 2]; 2];

impl Task {
    /// The accuracy of the best possible model.
    pub fn best(&self) -> f64 {
        self.best_of(|_| true)
    }

    /// That of the best that sees the image alone.
    pub fn best_of_image(&self) -> f64 {
        self.best_of(|[no, yes]| no[0] == no[1] && yes[0] == yes[1])
    }

    /// That of the best that sees the question alone.
    pub fn best_of_text(&self) -> f64 {
        self.best_of(|[no, yes]| no == yes)
    }

    /// That of the best whose logits are a sum of one that depends on the image and one that depends on the question.
    /// Such a sum separates all rules but two: whether the bits are equal, and whether they differ.
    pub fn best_additive(&self) -> f64 {
        self.best_of(|[no, yes]| !(no[0] == yes[1] && no[1] == yes[0] && no[0] != no[1]))
    }

    /// The best accuracy among the rules that are allowed.
    fn best_of(&self, allowed: impl Fn(Rule) -> bool) -> f64 {
        let bit = |rule: u8, place: u8| rule >> place & 1 == 1;
        let rules =
            (0..16).map(|rule| [[bit(rule, 0), bit(rule, 1)], [bit(rule, 2), bit(rule, 3)]]);
        let score = |rule: Rule| {
            let cells = self.cells().into_iter();
            let right = cells.map(|(image, text, share)| match rule[image][text] {
                true => share * self.yes[image][text],
                false => share * (1.0 - self.yes[image][text]),
            });
            right.sum()
        };
        rules
            .filter(|rule| allowed(*rule))
            .map(score)
            .fold(0.0, f64::max)
    }

    /// The bits of each pair and how frequent it is.
    fn cells(&self) -> [(usize, usize, f64); 4] {
        let share = |image: usize, text: usize| match text {
            0 => 0.5 * (1.0 - self.text[image]),
            _ => 0.5 * self.text[image],
        };
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(image, text)| (image, text, share(image, text)))
    }

    /// All of it in a sentence.
    pub fn sentence(&self) -> String {
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let Information {
            redundant,
            image,
            text,
            synergy,
        } = self.information();
        format!(
            "the best possible accuracy is {}, of the image alone {}, of the question alone {}, of a sum of what either \
             says {}; of the answer's information {redundant:.2} bits are in either, {image:.2} in the image alone, \
             {text:.2} in the question alone, {synergy:.2} in both together",
            percent(self.best()),
            percent(self.best_of_image()),
            percent(self.best_of_text()),
            percent(self.best_additive()),
        )
    }

    /// How the information about the answer is spread.
    pub fn information(&self) -> Information {
        // P(source value, answer), for the image, the question and both.
        let joint = |of: fn(usize, usize) -> usize| {
            let mut table = [[0.0; 2]; 4];
            for (image, text, share) in self.cells() {
                let yes = self.yes[image][text];
                let row = &mut table[of(image, text)];
                row[0] += share * (1.0 - yes);
                row[1] += share * yes;
            }
            table
        };
        let image = specific(&joint(|image, _| image));
        let text = specific(&joint(|_, text| text));
        let both = specific(&joint(|image, text| 2 * image + text));
        let mean = |of: &[(f64, f64); 2]| of.iter().map(|(share, bits)| share * bits).sum::<f64>();
        let least = |a: &[(f64, f64); 2], b: &[(f64, f64); 2]| {
            (0..2)
                .map(|answer| a[answer].0 * a[answer].1.min(b[answer].1))
                .sum::<f64>()
        };
        let redundant = least(&image, &text);
        let (image, text) = (mean(&image) - redundant, mean(&text) - redundant);
        Information {
            redundant,
            image,
            text,
            synergy: mean(&both) - image - text - redundant,
        }
    }
}

/// How frequent each answer is, and the specific information of a source about it:
/// `sum_a p(a | y) log2(p(y | a) / p(y))`.
fn specific(joint: &[[f64; 2]; 4]) -> [(f64, f64); 2] {
    [0, 1].map(|answer| {
        let share: f64 = joint.iter().map(|row| row[answer]).sum();
        let bits = |row: &[f64; 2]| match row[answer] {
            0.0 => 0.0,
            both => both / share * (both / (row[0] + row[1]) / share).log2(),
        };
        (share, joint.iter().map(bits).sum())
    })
}
