use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use super::*;
use crate::instruction::Conversation;

/// Made by tests/reference/chat_templates.py.
const FIXTURE: &str = include_str!("../../../../tests/fixtures/chat.json");

#[derive(Deserialize)]
struct Fixture {
    now: u64,
    templates: std::collections::BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: Vec<Message>,
    prompt: bool,
    text: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

fn special() -> SpecialTokens {
    SpecialTokens {
        bos: Some("<s>".into()),
        eos: Some("</s>".into()),
        pad: None,
        unk: Some("<unk>".into()),
    }
}

pub(crate) fn turn(role: Role, text: &str) -> Turn {
    Turn {
        role,
        text: text.into(),
    }
}

/// System, user, assistant, user, assistant.
pub(crate) fn conversation() -> Conversation {
    Conversation {
        id: "1".into(),
        turns: vec![
            turn(Role::System, "Be brief."),
            turn(Role::User, "One?"),
            turn(Role::Assistant, "a"),
            turn(Role::User, "Two?"),
            turn(Role::Assistant, "b"),
        ],
        images: Vec::new(),
        task: String::new(),
        place: None,
    }
}

#[test]
fn renders_as_transformers_does() {
    let fixture: Fixture = serde_json::from_str(FIXTURE).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(fixture.now);
    assert!(fixture.cases.len() >= 90 && fixture.templates.len() == 8);
    for case in fixture.cases {
        let source = &fixture.templates[&case.template];
        let template = ChatTemplate::new(source, &special()).unwrap().at(now);
        let turns: Vec<Turn> = case
            .messages
            .iter()
            .map(|message| {
                let role = [Role::System, Role::User, Role::Assistant];
                let role = role.into_iter().find(|r| role_name(*r) == message.role);
                turn(role.unwrap(), &message.content)
            })
            .collect();
        match (template.render(&turns, case.prompt), case.text, case.error) {
            (Ok(text), Some(expected), None) => assert_eq!(text, expected, "{}", case.template),
            (Err(error), None, Some(expected)) => {
                assert!(error.to_string().contains(&expected), "{error}");
            }
            (found, text, error) => panic!("{}: {found:?}, not {text:?} {error:?}", case.template),
        }
    }
}

#[test]
fn built_in_templates_write_their_formats() {
    let turns = conversation().turns;
    let expected = [
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n\
         <|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n",
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nOne? [/INST] a </s><s>[INST] Two? [/INST] b </s>",
        "<s>Be brief. USER: One? ASSISTANT: a</s>USER: Two? ASSISTANT: b</s>",
        "<|system|>\nBe brief.</s>\n<|user|>\nOne?</s>\n<|assistant|>\na</s>\n<|user|>\nTwo?</s>\n<|assistant|>\nb</s>\n",
        "<s>Be brief.\n\n### Instruction:\nOne?\n\n### Response:\na</s>\n\n### Instruction:\nTwo?\n\n### Response:\nb</s>",
        "<s>Be brief.One?a\nTwo?b\n",
    ];
    // How the text goes on after the last question.
    let answers = [
        "b<|im_end|>\n",
        " b </s>",
        " b</s>",
        "b</s>\n",
        "b</s>",
        "b\n",
    ];
    for ((built_in, expected), answer) in BuiltIn::ALL.into_iter().zip(expected).zip(answers) {
        let template = ChatTemplate::built_in(built_in, &special()).unwrap();
        assert_eq!(template.render(&turns, false).unwrap(), expected);
        let prompt = template.render(&turns[..4], true).unwrap();
        assert_eq!(prompt + answer, expected, "{}", built_in.name());
        let name = serde_json::to_value(built_in).unwrap();
        assert_eq!(name, built_in.name());
    }
    let template = ChatTemplate::built_in(BuiltIn::Vicuna, &special()).unwrap();
    let text = template.render(&turns[1..2], true).unwrap();
    assert!(
        text.starts_with("<s>A chat between a curious user and an"),
        "{text}"
    );
    assert!(
        text.ends_with("user's questions. USER: One? ASSISTANT:"),
        "{text}"
    );
}

#[test]
fn an_answer_needs_its_end() {
    let none = SpecialTokens::default();
    let error = ChatTemplate::built_in(BuiltIn::Zephyr, &none).unwrap_err();
    assert!(error.to_string().contains("eos_token"), "{error}");
    assert!(ChatTemplate::built_in(BuiltIn::Chatml, &none).is_ok());
}

#[test]
fn broken_templates_are_refused_with_their_line() {
    let error = ChatTemplate::new("a\n{% for %}", &special())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("(line 2)") && error.contains("syntax"),
        "{error}"
    );
    let of = |source: &str| {
        let template = ChatTemplate::new(source, &special()).unwrap();
        template.render(&conversation().turns, false)
    };
    let error = of("\n\n{{ nothing.of.this }}").unwrap_err().to_string();
    assert!(error.contains("(line 3)"), "{error}");
    // What is unknown is written as nothing, but nothing can be done with it.
    assert_eq!(of("a{{ nothing }}b").unwrap(), "ab");
    assert!(of("{{ nothing + 'a' }}").is_err());
    assert!(
        of("{{ strftime_now('%!') }}")
            .unwrap_err()
            .to_string()
            .contains("%!")
    );
    assert!(of("{% include 'other' %}").is_err());
}

#[test]
fn hostile_templates_come_to_an_end() {
    let loops = "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}";
    let recursion = "{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    let itself = "{% include 'chat' %}{% include 'chat' %}";
    let long = "{% for a in range(10000) %}{{ 'x' * 90000000 }}{% endfor %}";
    let list = "{% for a in ([0] * 1000000000) %}{{ a }}{% endfor %}";
    let huge = "{{ 'x' * 1000000000000 }}";
    let deep = format!("{{{{ {} }}}}", "(".repeat(100_000));
    for (source, reason) in [
        (loops, "ran out of fuel"),
        (recursion, "recursion limit"),
        (itself, "recursion limit"),
        (long, "the text becomes too long"),
        (list, "ran out of fuel"),
        (huge, "too large"),
        (&deep, "maximum recursion"),
    ] {
        let template = ChatTemplate::new(source, &special());
        let text = template.and_then(|template| template.render(&conversation().turns, false));
        let error = text.unwrap_err().to_string();
        assert!(error.contains(reason), "{source:.60}: {error:.300}");
    }
}
