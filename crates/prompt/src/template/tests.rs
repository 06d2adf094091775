use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Template {
    text.parse().unwrap()
}

fn values(pairs: &[(&str, &str)]) -> Values {
    let owned = pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    owned.collect()
}

fn text(text: &str) -> Piece {
    Piece::Text(text.into())
}

#[test]
fn every_part_is_read() {
    let template = parse("{soft:4}{image} {premise}{{x}}? {soft:'It''s }'}{mask}");
    assert_eq!(
        template.parts(),
        [
            Part::Soft(Soft::Random(4)),
            Part::Image,
            Part::Text(" ".into()),
            Part::Slot("premise".into()),
            Part::Text("{x}? ".into()),
            Part::Soft(Soft::Words("It's }".into())),
            Part::Mask,
        ]
    );
    assert!(template.has_image());
    assert_eq!(template.softs().count(), 2);
    assert_eq!(parse("{b} {a} {b} {mask}").slots(), ["b", "a"]);
}

#[test]
fn a_full_stop_behind_the_mask_makes_a_cloze() {
    assert_eq!(parse("{text} It was {mask}").form(), Form::Prefix);
    for cloze in ["{text} It was {mask}.", "{mask}: {text}", "{mask}{soft:2}"] {
        assert_eq!(parse(cloze).form(), Form::Cloze, "{cloze}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_column_and_remedy() {
    let cases = [
        (
            "",
            "column 1: no {mask}: put it where the label word stands",
        ),
        ("äö {text}", "column 10: no {mask}"),
        (
            "{mask} {text",
            "column 8: `{` is never closed: end it with `}`, or write `{{`",
        ),
        (
            "{mask} a}",
            "column 9: `}` closes nothing: write `}}` for a brace",
        ),
        ("{mask} {mask}", "column 8: a second {mask}"),
        ("{image}{image}{mask}", "column 8: a second {image}"),
        ("{mask}{}", "column 7: `{}` is no slot: a name has letters"),
        ("{mask}{a b}", "column 7: `{a b}` is no slot"),
        ("{mask}{1st}", "column 7: `{1st}` is no slot"),
        ("{ mask }", "column 1: `{ mask }` is no slot"),
        (
            "{soft}{mask}",
            "column 1: `{soft}` is no soft prompt: write a number from 1 to 1024",
        ),
        ("{soft:0}{mask}", "column 1: `{soft:0}` is no soft prompt"),
        (
            "{soft:1025}{mask}",
            "column 1: `{soft:1025}` is no soft prompt",
        ),
        ("{soft:+4}{mask}", "column 1: `{soft:+4}` is no soft prompt"),
        ("{soft:''}{mask}", "column 1: `{soft:''}` is no soft prompt"),
        (
            "{soft:' '}{mask}",
            "column 1: `{soft:' '}` is no soft prompt",
        ),
        (
            "{soft:'a' 'b'}{mask}",
            "column 1: `{soft:'a' 'b'}` is no soft prompt",
        ),
        ("{soft:'a}{mask}", "column 1: `{` is never closed"),
    ];
    for (written, expected) in cases {
        let message = written.parse::<Template>().unwrap_err().to_string();
        assert!(message.starts_with(expected), "{written}: {message}");
    }
}

#[test]
fn texts_are_merged_and_values_are_never_parsed() {
    let template = parse("{image}{soft:2} {text} It was {mask}.{soft:3}");
    let pieces = template.fill(&values(&[("text", "{mask} {{ }"), ("other", "x")]));
    assert_eq!(
        pieces.unwrap(),
        [
            Piece::Image,
            Piece::Soft(0),
            text(" {mask} {{ } It was "),
            Piece::Mask,
            text("."),
            Piece::Soft(1),
        ]
    );
    let empty = parse("{text}{mask}").fill(&values(&[("text", "")]));
    assert_eq!(empty.unwrap(), [Piece::Mask]);
}

#[test]
fn a_value_that_is_missing_is_told() {
    let template = parse("{text} {mask}");
    let given = values(&[("premise", "a"), ("texts", "b")]);
    assert_eq!(
        template.fill(&given).unwrap_err().to_string(),
        "the query has no `text`, which the template needs; it has `premise`, `texts`"
    );
    let example = Example {
        values: values(&[]),
        label_word: "good".into(),
    };
    let error = template.demonstrated(&[example], &values(&[("text", "")]), SEPARATOR);
    assert_eq!(
        error.unwrap_err().to_string(),
        "example 1 has no `text`, which the template needs; it has no values"
    );
}

#[test]
fn examples_come_solved_before_the_query() {
    let template = parse("{image}{soft:2}{text}: {mask}.");
    let example = |text: &str, word: &str| Example {
        values: values(&[("text", text)]),
        label_word: word.into(),
    };
    let examples = [example("ok", "{good}"), example("no", "bad")];
    let pieces = template.demonstrated(&examples, &values(&[("text", "hm")]), SEPARATOR);
    assert_eq!(
        pieces.unwrap(),
        [
            Piece::Image,
            Piece::Soft(0),
            text("ok: {good}.\n\n"),
            Piece::Image,
            Piece::Soft(0),
            text("no: bad.\n\n"),
            Piece::Image,
            Piece::Soft(0),
            text("hm: "),
            Piece::Mask,
            text("."),
        ]
    );
    let query = values(&[("text", "hm")]);
    assert_eq!(
        template.demonstrated(&[], &query, SEPARATOR),
        template.fill(&query)
    );
}

#[test]
fn in_files_a_template_is_a_string() {
    let template = parse("{text} {{it}} was {mask}.");
    let written = serde_json::to_string(&template).unwrap();
    assert_eq!(written, "\"{text} {{it}} was {mask}.\"");
    assert_eq!(
        serde_json::from_str::<Template>(&written).unwrap(),
        template
    );
    let error = serde_json::from_str::<Template>("\"{text}\"").unwrap_err();
    assert!(error.to_string().contains("column 7: no {mask}"), "{error}");
    let schema = schemars::schema_for!(Template);
    assert_eq!(schema.get("type").unwrap(), "string");
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        "[a-z{}' é.]{1,6}".prop_map(Part::Text),
        // Not one of the reserved names.
        "s_[a-zA-Z0-9_]{0,5}".prop_map(Part::Slot),
        (1..=LARGEST_SOFT).prop_map(|count| Part::Soft(Soft::Random(count))),
        "[a-z{}' ]{0,6}x".prop_map(|words| Part::Soft(Soft::Words(words))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(before in prop::collection::vec(part(), 0..5), image: bool,
                                     after in prop::collection::vec(part(), 0..5)) {
        let middle = image.then_some(Part::Image).into_iter().chain([Part::Mask]);
        let mut parts: Vec<Part> = before.into_iter().chain(middle).chain(after).collect();
        // Texts side by side are one.
        parts.dedup_by(|next, last| match (last, next) {
            (Part::Text(last), Part::Text(next)) => { last.push_str(next); true }
            _ => false,
        });
        let template = Template { parts };
        prop_assert_eq!(template.to_string().parse::<Template>(), Ok(template));
    }

    #[test]
    fn no_text_panics(text in "[{}a:'soft0-9 mé]{0,24}|.{0,24}") {
        if let Ok(template) = text.parse::<Template>() {
            prop_assert_eq!(template.to_string(), text);
        }
    }
}
