//! Tokenizers: trained, saved, read back, damaged.

use proptest::prelude::*;

use super::{folder, text};
use crate::{
    CLS, DataError, MASK, PAD, SEP, Tokenizer, TokenizerConfig, UNK, Vocabulary, open_vqa,
};

const TEXTS: [&str; 4] = [
    "What color is the circle?",
    "Is there a red shape in the image?",
    "is no red circle present?",
    "what shape is present",
];

fn texts() -> Vec<String> {
    TEXTS.map(String::from).into()
}

fn config(vocabulary: Vocabulary) -> TokenizerConfig {
    TokenizerConfig {
        vocabulary,
        ..TokenizerConfig::default()
    }
}

const BOTH: [Vocabulary; 2] = [Vocabulary::WordLevel, Vocabulary::WordPiece];

#[test]
fn special_tokens_come_first_and_frame_every_text() {
    for vocabulary in BOTH {
        let tokenizer = Tokenizer::train(&config(vocabulary), texts()).unwrap();
        for (id, token) in (0..).zip([PAD, UNK, CLS, SEP, MASK]) {
            assert_eq!(tokenizer.id(token), Some(id));
            assert_eq!(tokenizer.token(id).as_deref(), Some(token));
        }
        assert_eq!(tokenizer.padding(), 0);
        assert_eq!(tokenizer.encode("").unwrap(), [2, 3]);
        let ids = tokenizer.encode("what COLOR is it?").unwrap();
        assert_eq!((ids[0], ids[ids.len() - 1]), (2, 3));
        assert_eq!(ids, tokenizer.encode("  What color   is it ?").unwrap());
        assert!(
            ids.iter()
                .all(|&id| (id as usize) < tokenizer.vocabulary_size())
        );
    }
    let words = Tokenizer::train(&config(Vocabulary::WordLevel), texts()).unwrap();
    assert_eq!(
        words.encode("zebra circle").unwrap()[1],
        1,
        "an unknown word is [UNK]"
    );
}

#[test]
fn the_vocabulary_does_not_depend_on_the_order_of_texts() {
    for vocabulary in BOTH {
        let mut reversed = texts();
        reversed.reverse();
        let one = Tokenizer::train(&config(vocabulary), texts()).unwrap();
        let other = Tokenizer::train(&config(vocabulary), &reversed).unwrap();
        assert_eq!(one.to_json().unwrap(), other.to_json().unwrap());
    }
}

#[test]
fn easy_vqa_has_a_vocabulary_of_its_words_and_the_question_mark() {
    let texts = open_vqa("easy-vqa").unwrap().training_texts().unwrap();
    let tokenizer = Tokenizer::train(&config(Vocabulary::WordLevel), &texts).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 5 + 26 + 1);
    for text in texts.iter().take(500) {
        let ids = tokenizer.encode(text).unwrap();
        assert!(!ids.contains(&1) && ids.len() <= 2 + 9 + 1, "{text}");
        assert_eq!(tokenizer.decode(&ids).unwrap().replace(" ?", "?"), *text);
    }
}

#[test]
fn long_texts_are_cut_and_keep_their_end_token() {
    let config = TokenizerConfig {
        max_length: 5,
        ..config(Vocabulary::WordLevel)
    };
    let tokenizer = Tokenizer::train(&config, texts()).unwrap();
    let ids = tokenizer
        .encode("is there a red shape in the image?")
        .unwrap();
    assert_eq!((ids.len(), ids[0], ids[4]), (5, 2, 3));
    // A megabyte of one letter is one unknown word. It takes a fraction of a second; the bound is for a busy machine.
    let start = std::time::Instant::now();
    for vocabulary in BOTH {
        let tokenizer = Tokenizer::train(
            &TokenizerConfig {
                vocabulary,
                ..config.clone()
            },
            texts(),
        )
        .unwrap();
        assert!(tokenizer.encode(&"a".repeat(1 << 20)).unwrap().len() <= 5);
    }
    assert!(start.elapsed().as_secs() < 30);
}

#[test]
fn senseless_settings_are_refused() {
    for config in [
        TokenizerConfig {
            max_length: 2,
            ..TokenizerConfig::default()
        },
        TokenizerConfig {
            max_length: 0,
            ..TokenizerConfig::default()
        },
        TokenizerConfig {
            vocabulary_size: 5,
            ..TokenizerConfig::default()
        },
    ] {
        assert!(matches!(
            Tokenizer::new(&config, texts()),
            Err(DataError::Setting { .. })
        ));
    }
}

#[test]
fn a_saved_tokenizer_reads_back_and_a_users_file_is_used() {
    let folder = folder(&[]);
    let path = folder.path().join("tokenizer.json");
    for vocabulary in BOTH {
        let tokenizer = Tokenizer::train(&config(vocabulary), texts()).unwrap();
        tokenizer.save(&path).unwrap();
        let config = TokenizerConfig {
            file: text(&path).into(),
            ..TokenizerConfig::default()
        };
        let read = Tokenizer::new(&config, [""; 0]).unwrap();
        for sample in TEXTS.iter().chain(&["something new, unheard of"]) {
            assert_eq!(
                read.encode(sample).unwrap(),
                tokenizer.encode(sample).unwrap()
            );
        }
        assert_eq!(read.vocabulary_size(), tokenizer.vocabulary_size());
    }
    assert!(matches!(
        Tokenizer::train(&config(Vocabulary::WordLevel), texts())
            .unwrap()
            .save(folder.path()),
        Err(DataError::Io { .. })
    ));
}

#[test]
fn a_users_tokenizer_without_special_tokens_still_gives_a_token() {
    let json = br#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"<pad>": 4, "a": 9}, "unk_token": "<pad>"}}"#;
    let folder = folder(&[("tokenizer.json", json)]);
    let tokenizer = Tokenizer::from_file(&folder.path().join("tokenizer.json"), 8).unwrap();
    assert_eq!(tokenizer.encode("").unwrap(), [4]);
    assert_eq!(tokenizer.encode("a b").unwrap(), [9, 4]);
    assert_eq!((tokenizer.padding(), tokenizer.vocabulary_size()), (4, 10));
}

#[test]
fn damaged_tokenizer_files_are_refused_by_name() {
    let whole = Tokenizer::train(&config(Vocabulary::WordLevel), texts())
        .unwrap()
        .to_json()
        .unwrap();
    let compact =
        serde_json::to_string(&serde_json::from_str::<serde_json::Value>(&whole).unwrap()).unwrap();
    let no_padding = compact.replace("[PAD]", "[GAP]");
    for json in [
        "",
        "{}",
        "[]",
        "null",
        "{\"version\": \"9\"}",
        "nonsense",
        &no_padding,
    ]
    .into_iter()
    .chain(
        (0..compact.len())
            .step_by(97)
            .map(|length| &compact[..length]),
    ) {
        let folder = folder(&[("tokenizer.json", json.as_bytes())]);
        let error = Tokenizer::from_file(&folder.path().join("tokenizer.json"), 16)
            .err()
            .unwrap();
        assert!(matches!(error, DataError::Tokenizer { .. }), "{error}");
        assert!(error.to_string().contains("tokenizer.json: "), "{error}");
    }
    let missing = Tokenizer::from_file("/missing/tokenizer.json".as_ref(), 16)
        .err()
        .unwrap();
    assert!(
        missing.to_string().starts_with("/missing/tokenizer.json: "),
        "{missing}"
    );
    assert!(Tokenizer::from_file("/dev/zero".as_ref(), 16).is_err());
}

proptest! {
    /// Known words come back as they went in; any text at all encodes within the limit.
    #[test]
    fn known_words_round_trip(
        words in prop::collection::vec(prop::sample::select(vec!["red", "circle", "shape", "image", "what"]), 0..12),
        noise in ".*",
    ) {
        for vocabulary in BOTH {
            let tokenizer = Tokenizer::train(&config(vocabulary), texts()).unwrap();
            let text = words.join(" ");
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text).unwrap()).unwrap(), text);
            prop_assert!(tokenizer.encode(&noise).unwrap().len() <= tokenizer.max_length());
        }
    }
}
