//! What people say before and after what they ask for: a wording that is seen stands in one of many frames, so that a
//! model learns to find the instruction among other words, whatever they are.

use super::draw;
use super::lexicon::LEXICON;

/// Of how many conversations one is asked for without a frame.
const BARE: usize = 3;
/// Of how many frames one has no opening, and one no closing.
const LEFT_OUT: usize = 4;

/// What stands before.
const OPENINGS: [&str; 35] = [
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
    "I found this in the {noun}.",
    "My {noun} has to wait for this.",
    "Forget the {noun} for a moment.",
    "First the {noun}, and now this.",
    "We were talking about a {noun} and a {noun}.",
    "This is for my {noun}.",
    "Put the {noun} away and listen.",
    "The {noun} is in the {noun}, so let us begin.",
    "Somebody near the {noun} asked me this.",
    "It is a fine {noun}, but here is my question.",
    "A {noun} told me to ask you.",
    "Nobody at the {noun} knew the answer.",
    "I will buy you a {noun} if you can do this.",
    "Before you look for the {noun}:",
    "You may know this from the {noun}.",
];

/// What stands after.
const CLOSINGS: [&str; 35] = [
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
    "My {noun} wants to know.",
    "Then we can go to the {noun}.",
    "I have to tell it to the {noun}.",
    "Do not talk about the {noun}.",
    "The {noun} has nothing to do with it.",
    "After that you may have your {noun}.",
    "I am waiting at the {noun} with a {noun}.",
    "It is for a book about the {noun}.",
    "Somebody bet a {noun} on it.",
    "Then write it on the {noun}.",
    "Ask the {noun} if you do not know.",
    "I had it on a {noun} once, and lost the {noun}.",
    "Leave the {noun} out of it.",
    "The {noun} next door would like to hear it too.",
    "There will be a {noun} for you.",
];

/// A wording in the frame that `key` decides on, or in none.
pub(super) fn framed(wording: &str, key: &str) -> String {
    if draw(&format!("{key}/frame"), BARE) == 0 {
        return wording.to_owned();
    }
    let (opening, closing) = (
        end(&OPENINGS, &format!("{key}/opening")),
        end(&CLOSINGS, &format!("{key}/closing")),
    );
    let parts = [opening.as_deref(), Some(wording), closing.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join(if wording.contains('\n') { "\n" } else { " " })
}

/// One of these with nouns in its places, or none.
fn end(of: &[&str], key: &str) -> Option<String> {
    if draw(&format!("{key}/left-out"), LEFT_OUT) == 0 {
        return None;
    }
    let mut parts = of.get(draw(key, of.len()))?.split("{noun}");
    let mut text = parts.next()?.to_owned();
    for (place, part) in parts.enumerate() {
        let noun = draw(&format!("{key}/noun/{place}"), LEXICON.len());
        text.push_str(LEXICON.get(noun).copied().unwrap_or_default());
        text.push_str(part);
    }
    Some(text)
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
        let different = all.iter().collect::<HashSet<_>>().len();
        assert!(different > 1200, "{different}");
        assert!(
            !all.iter()
                .any(|text| text.contains('{') && !text.contains("{words}"))
        );
        assert_eq!(all[7], framed("Sort {words} now.", "7"));
    }
}
