//! Copies: what is one, and how long it takes to find them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

#[test]
fn the_first_of_equal_conversations_is_kept() {
    let same = [
        picture("one", 1),
        picture("copy of one", 1),
        picture("two", 2),
    ];
    let broken = |name: &str| ImageSource::Embedded {
        name: name.into(),
        bytes: b"no picture",
    };
    let ask = |id, text: &str, image: &ImageSource| {
        show(talk(id, &[text, "red"]), std::slice::from_ref(image))
    };
    let conversations = vec![
        ask("first", "<image>\nWhich color is it?", &same[0]),
        ask("copy", "<image> which  COLOR is it?", &same[1]),
        ask("other picture", "<image>\nWhich color is it?", &same[2]),
        ask("other text", "<image>\nWhich colors?", &same[0]),
        ask("broken", "<image>\nWhich color is it?", &broken("x")),
        ask("other broken", "<image>\nWhich color is it?", &broken("y")),
        ask("broken again", "<image>\nWhich color is it?", &broken("x")),
    ];
    let cleaned = clean(conversations.clone(), &CleanConfig::default());
    let kept: Vec<&str> = cleaned.kept.iter().map(|of| of.id.as_str()).collect();
    assert_eq!(
        kept,
        [
            "first",
            "other picture",
            "other text",
            "broken",
            "other broken"
        ]
    );
    let copy = |id: &str, of: &str| Dropped {
        id: id.into(),
        place: None,
        reason: Reason::Duplicate { of: of.into() },
    };
    assert_eq!(
        cleaned.dropped,
        [copy("copy", "first"), copy("broken again", "broken")]
    );

    let off = DuplicateConfig {
        exact: false,
        near: 0.0,
        ..DuplicateConfig::default()
    };
    let off = CleanConfig {
        duplicates: off,
        ..CleanConfig::default()
    };
    assert_eq!(clean(conversations, &off).kept.len(), 7);
}

#[test]
fn a_broken_conversation_is_no_original() {
    let mut broken = talk("broken", &["Is it?", "It is."]);
    broken.turns.push(turn(Role::User, "And"));
    let mut sound = broken.clone();
    sound.turns.pop();
    let cleaned = clean(vec![broken, sound], &CleanConfig::default());
    assert_eq!(cleaned.kept.len(), 1);
}

/// A text of so many words, of a vocabulary in which runs of five are hardly ever met twice by chance.
fn text(random: &mut ChaCha8Rng, length: usize) -> Vec<String> {
    let word = |_| format!("w{}", random.random_range(0..2000));
    (0..length).map(word).collect()
}

#[test]
fn near_copies_go_and_contradictions_stay() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let question = text(&mut random, 60).join(" ");
    let answer = text(&mut random, 60);
    let mut changed = answer.clone();
    changed[30] = "changed".into();
    let of = |id, question: &str, answer: &str| talk(id, &[question, answer]);
    let cleaned = clean(
        vec![
            of("a", &question, &answer.join(" ")),
            of("b", &question, &changed.join(" ")),
            of("c", &(question.clone() + "!"), &answer.join(" ")),
            of("yes", &question, "Yes."),
            of("no", &question, "No."),
        ],
        &CleanConfig::default(),
    );
    let kept: Vec<&str> = cleaned.kept.iter().map(|of| of.id.as_str()).collect();
    assert_eq!(kept, ["a", "yes", "no"]);
    // 56 shingles each, five of which hold the changed word.
    let near = |id: &str, similarity| Dropped {
        id: id.into(),
        place: None,
        reason: Reason::NearDuplicate {
            of: "a".into(),
            similarity,
        },
    };
    assert_eq!(cleaned.dropped, [near("b", 51.0 / 61.0), near("c", 1.0)]);
}

/// The sets of runs of five words, as they are defined.
fn reference(texts: &str) -> HashSet<Vec<String>> {
    let words: Vec<String> = texts.split(' ').map(String::from).collect();
    words
        .windows(5.min(words.len()))
        .map(<[String]>::to_vec)
        .collect()
}

#[test]
fn what_is_found_is_what_comparing_all_pairs_finds() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut texts: Vec<[Vec<String>; 2]> = Vec::new();
    for _ in 0..40 {
        let base = [text(&mut random, 80), text(&mut random, 40)];
        texts.push(base.clone());
        for changes in [0, 1, 1, 2, 2, 3, 4, 6, 9] {
            let mut copy = base.clone();
            for _ in 0..changes {
                let side = &mut copy[random.random_range(0..2)];
                let place = random.random_range(0..side.len());
                side[place] = "other".into();
            }
            texts.push(copy);
        }
    }
    let texts: Vec<[String; 2]> = texts
        .iter()
        .map(|of| of.each_ref().map(|part| part.join(" ")))
        .collect();
    let similarity = |a: &HashSet<_>, b: &HashSet<_>| {
        a.intersection(b).count() as f64 / a.union(b).count() as f64
    };
    let sets: Vec<_> = texts
        .iter()
        .map(|of| of.each_ref().map(|part| reference(part)))
        .collect();
    let mut expected: Vec<usize> = Vec::new();
    for place in 0..sets.len() {
        let [question, answer] = &sets[place];
        let copy = expected.iter().any(|&earlier| {
            let [q, a]: &[_; 2] = &sets[earlier];
            similarity(question, q) >= 0.8 && similarity(answer, a) >= 0.8
        });
        if !copy {
            expected.push(place);
        }
    }
    assert!((150..300).contains(&expected.len()), "{}", expected.len());

    let config = CleanConfig {
        duplicates: DuplicateConfig {
            exact: false,
            ..DuplicateConfig::default()
        },
        ..CleanConfig::default()
    };
    let conversations = texts.iter().enumerate();
    let conversations = conversations.map(|(place, [q, a])| talk(&place.to_string(), &[q, a]));
    let cleaned = clean(conversations.collect(), &config);
    let kept: Vec<usize> = cleaned
        .kept
        .iter()
        .map(|of| of.id.parse().unwrap())
        .collect();
    assert_eq!(kept, expected);
}

/// How long this thread has worked, whatever else the machine does; where the system does not tell, the time of day.
fn worked(start: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

#[test]
fn fifty_thousand_conversations_take_seconds() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let conversations = (0..50_000).map(|id: usize| {
        let (question, answer) = (text(&mut random, 20), text(&mut random, 40));
        talk(&id.to_string(), &[&question.join(" "), &answer.join(" ")])
    });
    let mut conversations: Vec<Conversation> = conversations.collect();
    // Every tenth is an exact or a near copy of the one before it.
    for place in (10..conversations.len()).step_by(10) {
        conversations[place].turns = conversations[place - 1].turns.clone();
        if place % 20 == 0 {
            conversations[place].turns[1].text += " more";
        }
    }
    let start = Instant::now();
    let before = worked(start);
    let cleaned = clean(conversations, &CleanConfig::default());
    let time = worked(start) - before;
    let counts = cleaned.counts();
    assert_eq!(counts.dropped["duplicate"], 2500);
    assert_eq!(counts.dropped["near-duplicate"], 2499);
    assert_eq!((counts.before, counts.kept), (50_000, 45_001));
    assert!(time < Duration::from_secs(5), "{time:?}");
}

#[test]
fn among_texts_of_one_template_rare_bands_are_looked_at_first() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let template = text(&mut random, 40).join(" ");
    let conversations = (0..3000).map(|id: usize| {
        let input = text(&mut random, 20).join(" ");
        let answer = ["yes", "no"][id % 2];
        talk(&id.to_string(), &[&format!("{template} {input}"), answer])
    });
    let mut conversations: Vec<Conversation> = conversations.collect();
    conversations[2999].turns = conversations[2001].turns.clone();
    conversations[2999].turns[0].text += " more";
    let dropped = |candidates| {
        let mut config = CleanConfig::default();
        config.duplicates.candidates = candidates;
        let dropped = clean(conversations.clone(), &config).dropped;
        dropped.into_iter().map(|of| of.id).collect::<Vec<_>>()
    };
    // The copy is one of 1,500 that are two thirds the same, and yet among the first few.
    assert_eq!(dropped(4), ["2999"]);
}
