//! What is thrown away, what stays, and what is told of it.

mod copies;
mod flaws;
mod splits;

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use super::*;
use crate::ImageSource;
use crate::instruction::conversation::Turn;

fn turn(role: Role, text: &str) -> Turn {
    let text = text.into();
    Turn { role, text }
}

/// Turns of user and assistant.
fn talk(id: &str, texts: &[&str]) -> Conversation {
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    let turns = texts.iter().zip(roles).map(|(text, role)| turn(role, text));
    Conversation {
        id: id.into(),
        turns: turns.collect(),
        images: Vec::new(),
        task: String::new(),
        place: None,
    }
}

fn show(mut conversation: Conversation, images: &[ImageSource]) -> Conversation {
    conversation.images = images.to_vec();
    conversation
}

/// A picture of one colour; names differ, pixels need not.
fn picture(name: &str, colour: u8) -> ImageSource {
    let mut bytes = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(4, 4, Rgb([colour; 3]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    ImageSource::Embedded {
        name: name.into(),
        bytes: bytes.into_inner().leak(),
    }
}

/// Why the conversation goes, if it does.
fn reason(conversation: Conversation, config: &CleanConfig) -> Option<Reason> {
    let mut cleaned = clean(vec![conversation], config);
    assert_eq!(cleaned.kept.len() + cleaned.dropped.len(), 1);
    cleaned.dropped.pop().map(|dropped| dropped.reason)
}

/// As [`reason`], with the default.
fn flaw_of(texts: &[&str]) -> Option<Reason> {
    reason(talk("a", texts), &CleanConfig::default())
}

#[test]
fn the_table_has_every_reason() {
    let cleaned = clean(
        vec![
            talk("a", &["Why?", "So."]),
            talk("b", &["why?", "so."]),
            talk("c", &["Why?", ""]),
        ],
        &CleanConfig::default(),
    );
    let counts = serde_json::to_value(cleaned.counts()).unwrap();
    assert_eq!(counts["before"], 3);
    assert_eq!(counts["kept"], 1);
    let dropped = counts["dropped"].as_object().unwrap();
    assert_eq!(dropped.len(), Reason::NAMES.len());
    assert_eq!(
        dropped
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum::<u64>(),
        2
    );
    assert_eq!(
        (&dropped["duplicate"], &dropped["empty-turn"]),
        (&1.into(), &1.into())
    );
    let list = serde_json::to_value(&cleaned.dropped).unwrap();
    assert_eq!(
        list[0],
        serde_json::json!({"id": "b", "reason": "duplicate", "of": "a"})
    );
    // Names of tables and lists are the same.
    for dropped in &cleaned.dropped {
        let name = serde_json::to_value(&dropped.reason).unwrap();
        assert_eq!(name["reason"], dropped.reason.name());
    }
}

#[test]
fn settings_are_checked() {
    let refused = |change: fn(&mut CleanConfig)| {
        let mut config = CleanConfig::default();
        change(&mut config);
        // Even so nothing breaks.
        let twins = [1, 2].map(|n| talk(&n.to_string(), &["Why is it so?", "It just is."]));
        clean(twins.into(), &config);
        config.check().unwrap_err().to_string()
    };
    assert!(CleanConfig::default().check().is_ok());
    assert!(refused(|c| c.answer = WordRange { min: 2, max: 1 }).contains("2 to 1"));
    assert!(refused(|c| c.duplicates.near = 1.5).contains("duplicates.near = 1.5"));
    assert!(refused(|c| c.repetition.share = f64::NAN).contains("repetition.share"));
    assert!(refused(|c| c.repetition.ngram = 0).contains("repetition.ngram"));
    assert!(refused(|c| c.duplicates.shingle = 0).contains("duplicates.shingle"));
    assert!(refused(|c| c.duplicates.rows = 0).contains("duplicates.rows"));
    assert!(refused(|c| c.duplicates.bands = usize::MAX).contains("at most 4096"));
    assert!(refused(|c| c.language.keep = vec!["english".into()]).contains("= english"));
    let unknown = r#"{"exactly": true}"#;
    assert!(serde_json::from_str::<DuplicateConfig>(unknown).is_err());
}
