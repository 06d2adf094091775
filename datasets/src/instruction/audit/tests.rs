use super::*;
use crate::instruction::render::testing::{byte_level, custom, picture, renderer, special};
use crate::instruction::template::tests::turn;
use crate::instruction::{BuiltIn, ChatTemplate, ImageTokens};
use crate::{Data, Root};

fn conversation(id: &str, question: &str, answer: &str) -> Conversation {
    Conversation {
        id: id.into(),
        turns: vec![turn(Role::User, question), turn(Role::Assistant, answer)],
        images: Vec::new(),
        task: String::new(),
        place: None,
    }
}

fn data(splits: [Vec<Conversation>; 3]) -> InstructionData {
    Data::in_memory("test", splits, Vec::new(), String::new())
}

/// Sound conversations with and without a picture, then what was planted in the training split.
fn with(planted: Vec<Conversation>) -> InstructionData {
    let mut seen = conversation("seen", "<image>\nWhat?", "This.");
    seen.images = vec![picture()];
    let train = [vec![conversation("1", "Why?", "b"), seen], planted].concat();
    let others = ["2", "3"].map(|id| vec![conversation(id, id, "c")]);
    let [valid, test] = others;
    data([train, valid, test])
}

fn chatml() -> Renderer {
    let template = ChatTemplate::built_in(BuiltIn::Chatml, &special()).unwrap();
    renderer(byte_level(), template)
}

fn look(data: &InstructionData, renderer: &Renderer) -> Report {
    audit(data, renderer, 3, &AuditConfig::default()).unwrap()
}

/// Audits with a planted conversation and returns the only problem, which must stop the training.
fn only(planted: Conversation, renderer: &Renderer) -> Problem {
    let mut report = look(&with(vec![planted]), renderer);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    let refusal = report.pass().unwrap_err();
    let problem = report.problems.remove(0);
    assert_eq!(refusal.first, [problem.to_string()]);
    assert_eq!(refusal.counts, [(problem.kind(), 1)]);
    assert!(refusal.to_string().contains(&problem.to_string()));
    problem
}

/// A template without anything around what is said.
const BARE: &str = "{% for m in messages %}{{ m.content }}{% endfor %}";

#[test]
fn sound_data_passes_with_its_figures() {
    let renderer = chatml();
    let report = look(&with(Vec::new()), &renderer);
    assert!(
        report.problems.is_empty() && report.pass().is_ok(),
        "{:?}",
        report.problems
    );
    let [train, valid, _] = &report.splits[..] else {
        panic!("three splits");
    };
    let rendered = renderer.render(&conversation("2", "2", "c")).unwrap();
    let expected = SplitFigures {
        split: Split::Valid,
        conversations: 1,
        tokens: rendered.ids.len(),
        supervised: 2,
        longest: rendered.ids.len(),
        pictures: 0,
    };
    assert_eq!(*valid, expected);
    assert_eq!((train.conversations, train.pictures), (2, 1));
    assert!(train.longest > train.tokens / 2 && train.longest < train.tokens);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["splits"][0]["split"], "train");
}

#[test]
fn a_conversation_that_teaches_nothing_is_found() {
    let mut report = look(
        &with(vec![conversation("planted", "a", "")]),
        &renderer(byte_level(), custom(BARE)),
    );
    assert!(report.pass().is_err());
    assert_eq!(report.problems.len(), 2);
    assert!(matches!(
        &report.problems[0],
        Problem::BlankAnswer { turn: 2, .. }
    ));
    let problem = report.problems.remove(1);
    assert!(matches!(&problem, Problem::Unsupervised { at } if at.id == "planted"));
    assert!(
        problem
            .to_string()
            .starts_with("planted: no token of it is supervised")
    );
}

#[test]
fn a_split_that_teaches_nothing_is_found() {
    let silent = ["1", "2"].map(|id| conversation(id, id, ""));
    let data = data([
        silent.to_vec(),
        Vec::new(),
        vec![conversation("3", "c", "d")],
    ]);
    let report = look(&data, &renderer(byte_level(), custom(BARE)));
    let split = Split::Train;
    let found = report.problems.iter();
    let found = found.filter(|p| matches!(p, Problem::AllUnsupervised { split: s } if *s == split));
    assert_eq!(found.count(), 1, "{:?}", report.problems);
    assert_eq!(report.counts["nothing supervised in a split"], 1);
}

#[test]
fn image_tokens_and_features_out_of_step_are_found() {
    let report = audit(&with(Vec::new()), &chatml(), 4, &AuditConfig::default()).unwrap();
    let problem = &report.problems[0];
    assert!(matches!(
        problem,
        Problem::Features {
            tokens: 3,
            features: 4
        }
    ));
    assert!(
        report
            .pass()
            .unwrap_err()
            .to_string()
            .contains("takes 3 image tokens")
    );
    // Without pictures nothing can be out of step.
    let text = data([vec![conversation("1", "a", "b")], Vec::new(), Vec::new()]);
    assert!(
        audit(&text, &chatml(), 4, &AuditConfig::default())
            .unwrap()
            .pass()
            .is_ok()
    );
}

#[test]
fn marks_and_pictures_out_of_step_are_found() {
    let mut planted = conversation("planted", "<image> and <image>", "b");
    planted.images = vec![picture()];
    let problem = only(planted, &chatml());
    assert!(matches!(problem, Problem::Pictures { .. }));
    let text = problem.to_string();
    assert!(
        text.starts_with("planted: 2 `<image>` in the user's turns for 1 pictures"),
        "{text}"
    );
}

#[test]
fn missing_and_damaged_pictures_are_found_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let ImageSource::Embedded { bytes, .. } = picture() else {
        panic!("embedded");
    };
    // Whole by its name and its end, but not by its content.
    let mut damaged = bytes.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    std::fs::write(folder.path().join("damaged.png"), damaged).unwrap();
    std::fs::write(folder.path().join("cut.png"), &bytes[..middle]).unwrap();
    let root = std::sync::Arc::new(Root::new(folder.path()).unwrap());
    let manifest = folder.path().join("train.json");
    for (line, name) in [(1, "missing.png"), (2, "damaged.png"), (3, "cut.png")] {
        let mut planted = conversation("planted", "<image>", "b");
        planted.images = vec![ImageSource::Listed {
            root: root.clone(),
            relative: name.into(),
            named_by: Some(crate::Place::line(manifest.as_path().into(), line)),
        }];
        let problem = only(planted.clone(), &chatml());
        assert!(matches!(problem, Problem::Image { .. }), "{problem}");
        let text = problem.to_string();
        assert!(
            text.contains(&format!("train.json:{line}")) && text.contains(name),
            "{text}"
        );
        // A picture is told once, however many ask about it.
        let mut again = planted.clone();
        again.turns[0].text = "<image>\nAgain?".into();
        let report = look(&with(vec![planted, again]), &chatml());
        assert_eq!(report.counts["missing or damaged pictures"], 1);
    }
}

#[test]
fn a_problem_of_words_alone_names_its_record() {
    let mut planted = conversation("planted", "a", "");
    planted.place = Some(crate::Place::line(
        std::path::Path::new("my.jsonl").into(),
        7,
    ));
    let report = look(&with(vec![planted]), &chatml());
    let problem = report.problems[0].to_string();
    assert!(problem.starts_with("planted (my.jsonl:7): "), "{problem}");
}

#[test]
fn pictures_are_decoded_of_as_many_as_are_asked_for() {
    let root = std::sync::Arc::new(Root::new(tempfile::tempdir().unwrap().path()).unwrap());
    let missing = |index: usize| Conversation {
        images: vec![ImageSource::Listed {
            root: root.clone(),
            relative: format!("{index}.png"),
            named_by: None,
        }],
        ..conversation(&index.to_string(), "<image>", &index.to_string())
    };
    let data = data([(0..1000).map(missing).collect(), Vec::new(), Vec::new()]);
    for (images, expected) in [(0, 1000), (7, 7), (5000, 1000)] {
        let report = audit(&data, &chatml(), 3, &AuditConfig { images }).unwrap();
        assert_eq!(report.counts["missing or damaged pictures"], expected);
        assert_eq!(report.problems.len(), expected.min(100));
        let refusal = report.pass().unwrap_err();
        assert_eq!(refusal.first.len(), expected.min(10));
        if expected == 1000 {
            assert!(refusal.to_string().ends_with("and 990 more"), "{refusal}");
        }
    }
}

#[test]
fn answers_that_would_be_cut_are_found_with_what_they_need() {
    let template = ChatTemplate::built_in(BuiltIn::Chatml, &special()).unwrap();
    let image = ImageTokens {
        token: "<image>".into(),
        per_image: 3,
    };
    let renderer = Renderer::new(byte_level(), template, Some(image), 60).unwrap();
    let planted = conversation("planted", "a", &"x".repeat(100));
    let needed = chatml().render(&planted).unwrap().ids.len();
    let problem = only(planted, &renderer);
    assert!(matches!(problem, Problem::Truncated { .. }));
    let expected = format!("planted: needs {needed} tokens and would be cut at 60");
    assert!(problem.to_string().starts_with(&expected), "{problem}");
}

#[test]
fn duplicates_across_splits_are_found_by_text_and_pixels() {
    let mut seen = conversation("seen", "<image>\nWhat?", "This.");
    seen.images = vec![picture()];
    let ImageSource::Embedded { bytes, .. } = picture() else {
        panic!("embedded");
    };
    // Another name for the same pixels.
    let mut copy = seen.clone();
    copy.id = "copy".into();
    copy.images = vec![ImageSource::Embedded {
        name: "other".into(),
        bytes,
    }];
    let mut reworded = copy.clone();
    reworded.turns[0].text = "<image>\nAnd what?".into();
    let mut other = copy.clone();
    let black: std::sync::Arc<[u8]> = vec![0; 16].into();
    other.images = vec![ImageSource::Pixels {
        name: "black".into(),
        file: black,
        offset: 0,
        width: 4,
        height: 4,
        layout: crate::Layout::Grey,
    }];
    let data = |test: Vec<Conversation>| data([vec![seen.clone(), seen.clone()], Vec::new(), test]);
    // Twice in one split, or only half the same, is no problem.
    assert!(look(&data(vec![reworded, other]), &chatml()).pass().is_ok());
    let report = look(&data(vec![copy]), &chatml());
    assert_eq!(report.counts["duplicates across splits"], 1);
    let refusal = report.pass().unwrap_err().to_string();
    assert!(
        refusal.contains("copy of the test split is the same as seen of the train split"),
        "{refusal}"
    );
}

#[test]
fn tokens_other_than_the_whole_texts_are_told_but_stop_nothing() {
    let template = "{% for m in messages %}{{ m.role }}\n{{ m.content }}</s>{% endfor %}\
                    {% if add_generation_prompt %}assistant\n{% endif %}";
    let planted = conversation("planted", "a", "\nb");
    let report = look(
        &with(vec![planted]),
        &renderer(byte_level(), custom(template)),
    );
    assert!(report.pass().is_ok());
    let [problem] = &report.problems[..] else {
        panic!("{:?}", report.problems);
    };
    assert!(matches!(problem, Problem::Tokenization { at, .. } if at.id == "planted"));
    assert!(
        problem.to_string().contains(r#"is "Ċ", but "ĊĊ" where"#),
        "{problem}"
    );
}

#[test]
fn blank_answers_are_found() {
    let problem = only(conversation("planted", "a", " \n"), &chatml());
    assert!(matches!(problem, Problem::BlankAnswer { turn: 2, .. }));
}

#[test]
fn turns_that_the_template_leaves_out_are_found() {
    let template = "{% for m in messages if m.role != 'system' %}{{ m.role }}:{{ m.content }}</s>{% endfor %}\
                    {% if add_generation_prompt %}assistant:{% endif %}";
    let mut planted = conversation("planted", "a", "b");
    planted.turns.insert(0, turn(Role::System, "Be brief."));
    let problem = only(planted, &renderer(byte_level(), custom(template)));
    assert!(matches!(problem, Problem::Dropped { .. }));
    assert!(
        problem
            .to_string()
            .starts_with("planted: the chat template leaves out turn 1, the system's")
    );
}

#[test]
fn conversations_that_cannot_be_rendered_are_found() {
    let mut planted = conversation("planted", "a", "b");
    planted.turns.pop();
    let problem = only(planted, &chatml());
    assert!(matches!(problem, Problem::Unrenderable { .. }), "{problem}");
}
