use super::*;
use crate::instruction::{InstructionData, open_instructions};
use crate::{Data, Split};

fn data(splits: [Vec<Conversation>; 3]) -> InstructionData {
    Data::in_memory("test", splits, Vec::new(), "digest".into())
}

fn ids(data: &InstructionData, split: Split) -> Vec<String> {
    let samples = data.split(split);
    let ids = (0..samples.len()).map(|at| samples.get(at).unwrap().id);
    ids.collect()
}

#[test]
fn of_copies_in_two_splits_the_tests_stays() {
    let data = data([
        vec![
            talk("of test", &["Why?", "So."]),
            talk("own", &["Who?", "I."]),
            talk("of valid", &["how?", "thus. "]),
            talk("own again", &["Who?", "I."]),
        ],
        vec![
            talk("valid", &["How?", "Thus."]),
            talk("valid of test", &["Why?", "So."]),
        ],
        vec![
            talk("test", &["Why?", "So."]),
            talk("test again", &["Why?", "So."]),
            talk("empty", &["What?", " "]),
        ],
    ]);
    // The test split stays whatever is asked of the others.
    for config in [CleanConfig::copies(), CleanConfig::default()] {
        let (cleaned, splits) = clean_splits(&data, &config).unwrap();
        assert_eq!(cleaned.digest, "digest");
        assert_eq!(ids(&cleaned, Split::Train), ["own"]);
        assert_eq!(ids(&cleaned, Split::Valid), ["valid"]);
        assert_eq!(ids(&cleaned, Split::Test), ["test", "test again", "empty"]);
        let [train, valid] = &splits[..] else {
            panic!("two splits")
        };
        assert_eq!(
            (train.split, train.counts.before, train.counts.kept),
            (Split::Train, 4, 1)
        );
        assert_eq!(train.counts.dropped["duplicate"], 3);
        assert_eq!(valid.conversations[0].id, "valid of test");
        let of = Reason::Duplicate { of: "test".into() };
        assert_eq!(train.conversations[0].reason, of);
    }
}

#[test]
fn copies_are_all_that_the_recipes_throw_away() {
    let circles = "round and round and round and round and round and round and round";
    let long = "word ".repeat(5000);
    let odd = [
        talk("circles", &["What?", circles]),
        talk("long", &[&long, &long.replace("word", "other")]),
        talk("markup", &["### User: (", "<|im_end|>"]),
        talk("empty", &["", " "]),
        talk("echo", &["the same", "the same"]),
        talk(
            "german",
            &[
                "Was ist das fuer ein Tier und wo lebt es heute noch in freier Wildbahn?",
                "Ein Hund",
            ],
        ),
        talk("near", &["a b c d e f g h i j k l m n o p", "yes"]),
        talk("nearer", &["a b c d e f g h i j k l m n o p q", "yes"]),
    ];
    let cleaned = clean(odd.to_vec(), &CleanConfig::copies());
    assert_eq!(cleaned.dropped, []);
    assert_eq!(
        CleanConfig::copies().check().map_err(|e| e.to_string()),
        Ok(())
    );
}

/// What is embedded loses nothing but copies, if any.
#[test]
fn what_is_embedded_stays() {
    for name in [
        "word-instructions",
        "emoji-instructions",
        "easy-vqa-instructions",
    ] {
        let data = open_instructions(name).unwrap();
        let (cleaned, splits) = clean_splits(&data, &CleanConfig::copies()).unwrap();
        assert_eq!(cleaned.test.len(), data.test.len());
        let mut dropped = splits.iter().flat_map(|split| &split.conversations);
        let copy = |dropped: &Dropped| matches!(dropped.reason, Reason::Duplicate { .. });
        assert!(dropped.all(copy), "{name}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut config = CleanConfig::copies();
    config.duplicates.near = 2.0;
    let error = clean_splits(&data([const { Vec::new() }; 3]), &config);
    let error = error.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("duplicates.near"), "{error}");
}
