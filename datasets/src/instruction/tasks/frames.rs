//! What people say before and after what they ask for: a wording that is seen stands in one of many frames, so that a
//! model learns to find the instruction among other words.

use super::draw;

/// Of how many conversations one is asked for without a frame.
const BARE: usize = 3;

/// What stands before.
const OPENINGS: [&str; 24] = [
    "",
    "",
    "",
    "",
    "Hello!",
    "Hi there.",
    "I need your help.",
    "Here is your next task.",
    "Now this:",
    "Try this one.",
    "A quick one:",
    "Think first.",
    "Take your time.",
    "Be careful with this one.",
    "One more thing for you:",
    "My turn to ask.",
    "Somebody wants to know this.",
    "This one should be easy.",
    "Let me see what you can do.",
    "Do this for me.",
    "Imagine that I were a child.",
    "Next exercise.",
    "It is important to me.",
    "You are good at this, so go on.",
];

/// What stands after.
const CLOSINGS: [&str; 24] = [
    "",
    "",
    "",
    "",
    "Thank you.",
    "Thanks!",
    "Be exact.",
    "I am curious.",
    "No explanation is needed.",
    "Only that, nothing else.",
    "Do not add anything.",
    "Just the answer.",
    "That is all.",
    "Keep to the point.",
    "Say it plainly.",
    "Give me only that.",
    "Write nothing more.",
    "Go ahead.",
    "I will check it later.",
    "Do not make anything up.",
    "If it is hard, take a moment.",
    "Otherwise I have to do it myself.",
    "I would like to hear it from you.",
    "My friend could not tell me.",
];

/// A wording in the frame that `key` decides on, or in none.
pub(super) fn framed(wording: &str, key: &str) -> String {
    if draw(&format!("{key}/frame"), BARE) == 0 {
        return wording.to_owned();
    }
    let pick = |of: &[&'static str], end: &str| {
        let place = draw(&format!("{key}/{end}"), of.len());
        of.get(place).copied().unwrap_or_default()
    };
    let parts = [
        pick(&OPENINGS, "opening"),
        wording,
        pick(&CLOSINGS, "closing"),
    ];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(if wording.contains('\n') { "\n" } else { " " })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_wording_stands_in_many_frames_and_in_none() {
        let all: Vec<String> = (0..3000)
            .map(|number| framed("Sort {words} now.", &number.to_string()))
            .collect();
        assert!(all.iter().all(|text| text.contains("Sort {words} now.")));
        assert!(all.iter().all(|text| text.trim() == text));
        let bare = all
            .iter()
            .filter(|text| *text == "Sort {words} now.")
            .count();
        assert!((900..1300).contains(&bare), "{bare}");
        assert!(all.iter().collect::<HashSet<_>>().len() > 350);
        assert_eq!(all[7], framed("Sort {words} now.", "7"));
    }
}
