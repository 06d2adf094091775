//! What the questions and answers of an easy-VQA image say about its one object: which colours and shapes it can have.

use crate::Question;

/// The colours of easy-VQA.
pub const COLOURS: [&str; 8] = [
    "black", "blue", "brown", "gray", "green", "red", "teal", "yellow",
];
/// The shapes of easy-VQA.
pub const SHAPES: [&str; 3] = ["circle", "rectangle", "triangle"];

/// A colour and a shape.
pub type Pair = (&'static str, &'static str);

/// The pairs that an image's facts leave possible, in the order of [`COLOURS`] and [`SHAPES`]. Usually one; the image
/// shows one of them, since no fact that the image makes true excludes what it shows.
///
/// "what color is the circle?" says two things: its answer, and that there is a circle. "is there a red shape?" is
/// about one word; a "no" excludes it, and `not` or `no` in the question turns the answer round.
pub fn possible_pairs(questions: &[Question]) -> Vec<Pair> {
    let all = COLOURS
        .into_iter()
        .flat_map(|colour| SHAPES.map(|shape| (colour, shape)));
    all.filter(|&pair| questions.iter().all(|question| allows(question, pair)))
        .collect()
}

/// Whether an object of this colour and shape could have this answer.
fn allows(question: &Question, (colour, shape): Pair) -> bool {
    let words: Vec<&str> = question.text.trim_end_matches('?').split(' ').collect();
    let names = |word: &&str| COLOURS.contains(word) || SHAPES.contains(word);
    let described = words
        .iter()
        .filter(|word| names(word))
        .all(|&word| word == colour || word == shape);
    match question.answer.as_str() {
        "yes" | "no" => {
            let negated = words.contains(&"not") || words.contains(&"no");
            described == ((question.answer == "yes") != negated)
        }
        answer => described && (answer == colour || answer == shape),
    }
}
