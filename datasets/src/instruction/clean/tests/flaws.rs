//! What is wrong with a conversation by itself.

use super::*;

#[test]
fn a_conversation_goes_from_question_to_answer() {
    let roles = |roles: &[Role]| {
        let mut of = talk("a", &[]);
        of.turns = roles
            .iter()
            .map(|&role| turn(role, &format!("{role:?} speaks")))
            .collect();
        reason(of, &CleanConfig::default())
    };
    use Role::{Assistant, System, User};
    assert_eq!(roles(&[User, Assistant]), None);
    assert_eq!(roles(&[System, User, Assistant, User, Assistant]), None);
    let broken: [&[Role]; 7] = [
        &[],
        &[System],
        &[User],
        &[Assistant, User],
        &[User, User, Assistant],
        &[User, Assistant, User],
        &[User, Assistant, System, User, Assistant],
    ];
    for turns in broken {
        assert_eq!(roles(turns), Some(Reason::Roles), "{turns:?}");
    }
    let off = CleanConfig {
        format: false,
        ..CleanConfig::default()
    };
    assert_eq!(reason(talk("a", &["alone"]), &off), None);
}

#[test]
fn every_turn_says_something() {
    assert_eq!(
        flaw_of(&["Why?", " \n"]),
        Some(Reason::EmptyTurn { turn: 1 })
    );
    let answer = flaw_of(&["Why?", "..."]);
    assert_eq!(answer, Some(Reason::AnswerLength { words: 0 }));
}

#[test]
fn each_picture_has_a_mark_in_a_question() {
    let config = CleanConfig::default();
    let one = [picture("one", 1)];
    let marked =
        |texts: &[&str], images: &[ImageSource]| reason(show(talk("a", texts), images), &config);
    assert_eq!(marked(&["<image>", "a red circle"], &one), None);
    assert_eq!(
        marked(&["Hm.", "Yes?", "What is <image>?", "a circle"], &one),
        None
    );
    let wrong = |marks, pictures| Some(Reason::ImageMarks { marks, pictures });
    assert_eq!(marked(&["What?", "a circle"], &one), wrong(0, 1));
    assert_eq!(marked(&["<image> What?", "a circle"], &[]), wrong(1, 0));
    assert_eq!(
        marked(&["<image><image> What?", "a circle"], &one),
        wrong(2, 1)
    );
    assert_eq!(marked(&["What?", "This: <image>"], &one), wrong(1, 1));
}

#[test]
fn brackets_and_fences_are_closed() {
    let unbalanced = |mark| Some(Reason::Unbalanced { mark });
    assert_eq!(
        flaw_of(&["Why?", "Since it is so (see there"]),
        unbalanced("(")
    );
    assert_eq!(flaw_of(&["Why?", "A list [1, 2, 3"]), unbalanced("["));
    assert_eq!(flaw_of(&["Why?", "A set {1, 2, 3"]), unbalanced("{"));
    assert_eq!(flaw_of(&["Why?", "Code: ```fn main"]), unbalanced("```"));
    for sound in [
        "Either a) this (or that) or b) nothing",
        "All x in [0, 1) :(",
        "Open with ```fn main() {``` and go on",
    ] {
        assert_eq!(flaw_of(&["Why?", sound]), None, "{sound}");
    }
}

#[test]
fn marks_of_templates_are_found() {
    for (text, mark) in [
        ("Paris.<|im_end|>", "<|im_end|>"),
        ("Paris.\n\n### Response:\nParis", "### response:"),
        ("Paris.</s>", "</s>"),
        ("[INST] Where? [/INST] Paris.", "[inst]"),
        ("Paris.\nUSER: And Rome?", "USER:"),
    ] {
        let found = Some(Reason::Markup { found: mark.into() });
        assert_eq!(flaw_of(&["Where?", text]), found);
        assert_eq!(flaw_of(&[text, "There."]), found);
    }
    for sound in [
        "a <|> b |> c",
        "### A heading",
        "The USER: who is it?",
        "x <s< y",
    ] {
        assert_eq!(flaw_of(&["Why?", sound]), None, "{sound}");
    }
}

#[test]
fn an_answer_says_more_than_its_question() {
    assert_eq!(flaw_of(&["Is it so?", "is it so"]), Some(Reason::Echo));
    assert_eq!(
        flaw_of(&["Hm.", "Ask!", "Is it so?", "Is it so"]),
        Some(Reason::Echo)
    );
    assert_eq!(flaw_of(&["Is it so?", "It is so."]), None);
    // What is said twice by the same one is no echo.
    assert_eq!(flaw_of(&["Is it so?", "Yes.", "Yes?", "No."]), None);
}

#[test]
fn answers_that_go_round_in_circles_are_found() {
    let circles = "the cat sat ".repeat(5);
    let Some(Reason::Repetition { share }) = flaw_of(&["Who?", &circles]) else {
        panic!("{circles} stays");
    };
    // 15 words have 13 n-grams, three of them different.
    assert!((share - 10.0 / 13.0).abs() < 1e-12, "{share}");
    assert_eq!(flaw_of(&[&circles, "A cat."]), None);
    assert_eq!(flaw_of(&["Who?", "ha ha ha ha ha ha"]), None);
    let refrain = "one went to mow, went to mow a meadow, two went to mow, went to mow a meadow";
    assert_eq!(flaw_of(&["Sing!", refrain]), None);
}

#[test]
fn lengths_are_those_of_each_turn() {
    let config = CleanConfig {
        question: WordRange { min: 2, max: 4 },
        answer: WordRange { min: 1, max: 3 },
        ..CleanConfig::default()
    };
    let of = |texts: &[&str]| reason(talk("a", texts), &config);
    assert_eq!(of(&["What is this?", "A red circle."]), None);
    assert_eq!(of(&["这是什", "圆"]), None);
    assert_eq!(
        of(&["What?", "A circle."]),
        Some(Reason::QuestionLength { words: 1 })
    );
    let long = of(&[
        "What is this here?",
        "A circle.",
        "What is to be seen?",
        "It.",
    ]);
    assert_eq!(long, Some(Reason::QuestionLength { words: 5 }));
    let long = of(&["What is this?", "That is a circle."]);
    assert_eq!(long, Some(Reason::AnswerLength { words: 4 }));
}

#[test]
fn questions_and_answers_are_in_a_language_that_is_kept() {
    let config = CleanConfig {
        language: LanguageConfig {
            keep: vec!["eng".into()],
            min_words: 12,
        },
        ..CleanConfig::default()
    };
    let english = "Please describe this picture to me as if I could not see it with my own eyes.";
    let german = "Auf dem Bild ist ein großer roter Kreis zu sehen, den jemand auf ein helles Blatt gemalt hat.";
    let of = |texts: &[&str]| reason(talk("a", texts), &config);
    let found = "deu".to_owned();
    assert_eq!(of(&[english, "Ein Kreis."]), None);
    assert_eq!(
        of(&[english, german]),
        Some(Reason::Language {
            found: found.clone()
        })
    );
    assert_eq!(of(&[german, "A circle."]), Some(Reason::Language { found }));
}
