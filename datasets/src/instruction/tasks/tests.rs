//! Every answer is the dataset's, wordings that are held out are other wordings, and pictures stay in their split.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;
use crate::instruction::clean::{CleanConfig, Dropped, Reason, clean, jaccard, shingles};
use crate::{Data, Question, Split, VqaSample, easy_vqa, emoji, possible_pairs};

const ALL: [Wordings; 3] = [Wordings::Seen, Wordings::Validation, Wordings::HeldOut];

/// What stands before the number of each of them.
fn mark(of: Wordings) -> &'static str {
    match of {
        Wordings::Seen => "",
        Wordings::Validation => "v",
        Wordings::HeldOut => "h",
    }
}

fn tasks() -> impl Iterator<Item = &'static Task> {
    let pictures = question_wordings::ALL
        .into_iter()
        .chain(picture_wordings::ALL);
    pictures.chain(text_wordings::ALL)
}

/// A split's samples.
fn samples<S>(data: &Data<S>, split: Split) -> Vec<S> {
    let samples = data.split(split);
    (0..samples.len())
        .map(|at| samples.get(at).unwrap())
        .collect()
}

/// The sample, the task, and the mark of the wording.
fn parts(conversation: &Conversation) -> (&str, &str, &str) {
    let (sample, wording) = conversation.id.split_once('#').unwrap();
    let (task, mark) = marked(wording);
    (sample, task, mark)
}

/// The task and the mark of a wording.
fn marked(wording: &str) -> (&str, &str) {
    let (task, number) = wording.rsplit_once('-').unwrap();
    (task, number.trim_end_matches(|c: char| c.is_ascii_digit()))
}

fn answer(conversation: &Conversation) -> &str {
    &conversation.turns.last().unwrap().text
}

#[test]
fn no_wording_is_a_copy_of_one_of_another_split() {
    let all = |of| tasks().flat_map(move |task| task.wordings(of).iter().copied());
    // What is filled in is no part of a wording.
    let said = |wording: &str| fill(wording, &[]).to_lowercase();
    let pairs = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| (ALL[a], ALL[b]));
    for (one, other) in pairs {
        for one in all(one) {
            for other in all(other) {
                let [a, b] = [one, other].map(said);
                for width in [1, 5] {
                    let [a, b] = [&a, &b].map(|text| shingles(text, width));
                    let similarity = jaccard(&a, &b);
                    assert!(similarity <= 0.8, "{one} / {other}: {similarity}");
                }
            }
        }
    }
}

#[test]
fn the_wordings_of_a_task_are_different_and_ask_with_the_same_values() {
    let mut names = HashSet::new();
    for task in tasks() {
        assert!(names.insert(task.name));
        let all: Vec<&str> = ALL
            .into_iter()
            .flat_map(|of| task.wordings(of))
            .copied()
            .collect();
        assert!(all.len() >= 16);
        assert_eq!(
            all.iter().collect::<HashSet<_>>().len(),
            all.len(),
            "{}",
            task.name
        );
        let slots = |wording: &str| -> Vec<String> {
            let names = wording
                .split('{')
                .skip(1)
                .map(|part| part.split('}').next().unwrap());
            let mut names: Vec<String> = names.map(String::from).collect();
            names.sort();
            names
        };
        for wording in &all {
            assert_eq!(slots(wording), slots(all[0]), "{wording}");
        }
    }
}

#[test]
fn what_is_filled_in_is_not_looked_at_again() {
    let values = [("question", "what is {choices}?"), ("choices", "- a\n- b")];
    assert_eq!(
        fill("So: {question}\n{choices}!", &values),
        "So: what is {choices}?\n- a\n- b!"
    );
    assert_eq!(fill("{unknown} left } open {", &values), " left } open ");
}

#[test]
fn every_question_of_easy_vqa_is_asked_once_and_answered_as_in_the_dataset() {
    let data = easy_vqa::standard().unwrap();
    for of in ALL {
        let test = samples(&data, Split::Test);
        let questions = test.iter().flat_map(|sample| &sample.questions);
        let answers: HashMap<&str, &str> = questions
            .map(|question| (question.id.as_str(), question.answer.as_str()))
            .collect();
        let pictures: HashMap<&str, &VqaSample> =
            test.iter().map(|of| (of.id.as_str(), of)).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut asked = HashSet::new();
        let conversations = from_vqa(&test, of);
        for conversation in &conversations {
            let (sample, task, marked) = parts(conversation);
            assert_eq!((task, marked), (conversation.task.as_str(), mark(of)));
            *counts.entry(task).or_default() += 1;
            if let Some(expected) = answers.get(sample) {
                assert_eq!(answer(conversation), *expected);
                assert!(asked.insert(sample), "{sample}");
                continue;
            }
            let picture = pictures[sample];
            let pairs = possible_pairs(&picture.questions);
            match task {
                "questions" => {
                    let exchanges: Vec<_> = conversation.turns.chunks(2).collect();
                    assert!((2..=4).contains(&exchanges.len()));
                    let different: HashSet<_> =
                        exchanges.iter().map(|turns| &turns[0].text).collect();
                    assert_eq!(different.len(), exchanges.len());
                    for turns in exchanges {
                        let is = |question: &&Question| turns[0].text.contains(&question.text);
                        let question = picture.questions.iter().find(is).unwrap();
                        assert_eq!(turns[1].text, question.answer);
                    }
                }
                "colour" => assert_eq!(answer(conversation), pairs[0].0),
                "shape" => assert_eq!(answer(conversation), pairs[0].1),
                "describe" => {
                    assert_eq!(
                        answer(conversation),
                        format!("a {} {}", pairs[0].0, pairs[0].1)
                    );
                }
                other => panic!("{other}"),
            }
            assert!(
                task == "questions" || pairs.len() == 1,
                "{sample} leaves {pairs:?}"
            );
        }
        assert_eq!(asked.len(), 9673);
        let expected = [
            "answer",
            "choose",
            "colour",
            "describe",
            "questions",
            "shape",
            "statement",
            "yes-no",
        ];
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), expected);
        assert_eq!(
            (counts["colour"], counts["shape"], counts["describe"]),
            (888, 888, 888)
        );
        assert!(counts.values().all(|count| *count > 800), "{counts:?}");
        let ids: HashSet<&str> = conversations.iter().map(|of| of.id.as_str()).collect();
        assert_eq!(ids.len(), conversations.len());
    }
}

#[test]
fn descriptions_are_the_captions_of_the_dataset() {
    let captions = samples(&easy_vqa::captions().unwrap(), Split::Valid);
    let pictures = samples(&easy_vqa::standard().unwrap(), Split::Valid);
    let expected: HashMap<String, String> = captions
        .into_iter()
        .map(|of| (of.id, of.captions[0].clone()))
        .collect();
    let conversations = from_vqa(&pictures, Wordings::Seen);
    let found: HashMap<String, String> = conversations
        .iter()
        .filter(|of| of.task == "describe")
        .map(|of| (parts(of).0.to_owned(), answer(of).to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn pictures_stay_in_their_split_and_stand_above_what_is_asked_first() {
    let data = easy_vqa::standard().unwrap();
    let mut splits: HashMap<String, Split> = HashMap::new();
    for split in Split::ALL {
        for of in from_vqa(&samples(&data, split), Wordings::Seen) {
            let [image] = &of.images[..] else {
                panic!("{}", of.id)
            };
            let (sample, ..) = parts(&of);
            let picture = sample.split('/').take(2).collect::<Vec<_>>().join("/");
            assert_eq!(image.name(), format!("easy-vqa/{picture}.png"));
            assert_eq!(*splits.entry(image.name()).or_insert(split), split);
            let (first, others) = of.turns.split_first().unwrap();
            assert!(first.text.starts_with("<image>\n"));
            assert!(!others.iter().any(|turn| turn.text.contains("<image>")));
        }
    }
    assert_eq!(splits.len(), 5000);
}

#[test]
fn every_wording_is_used_and_no_sample_tells_which() {
    let data = easy_vqa::standard().unwrap();
    let test = samples(&data, Split::Test);
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    for of in ALL {
        for conversation in from_vqa(&test, of) {
            let (_, wording) = conversation.id.split_once('#').unwrap();
            *used.entry(wording.to_owned()).or_default() += 1;
        }
    }
    for (wording, count) in &used {
        let (name, number) = marked(wording);
        let task = tasks().find(|of| of.name == name).unwrap();
        let of = ALL.into_iter().find(|of| mark(*of) == number).unwrap();
        let wordings = task.wordings(of).len();
        let alike = used.iter().filter(|(of, _)| marked(of) == (name, number));
        let counts: Vec<usize> = alike.map(|(_, count)| *count).collect();
        assert_eq!(counts.len(), wordings, "{wording}");
        let expected = counts.iter().sum::<usize>() as f64 / wordings as f64;
        assert!(
            (*count as f64 - expected).abs() < 5.0 * expected.sqrt(),
            "{wording}: {count} of {expected}"
        );
    }
    // Emoji are split by the hash of their id: if the same hash chose the wording, a test of few hashes would see few.
    let names = from_names(
        &samples(&emoji::pairs().unwrap(), Split::Test),
        Wordings::Seen,
    );
    let used: HashSet<&str> = names
        .iter()
        .map(|of| of.id.split_once('#').unwrap().1)
        .collect();
    let wordings =
        [&picture_wordings::NAME, &question_wordings::CHOOSE].map(|task| task.seen.len());
    assert_eq!(used.len(), wordings.iter().sum::<usize>());
}

#[test]
fn the_right_answer_is_one_of_four_in_any_place() {
    let names = samples(&emoji::pairs().unwrap(), Split::Test);
    let mut conversations = from_names(&names, Wordings::HeldOut);
    conversations.extend(from_vqa(
        &samples(&easy_vqa::standard().unwrap(), Split::Test),
        Wordings::Seen,
    ));
    let mut places: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for of in conversations.iter().filter(|of| of.task == "choose") {
        let lines = of.turns[0]
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("- "));
        let choices: Vec<&str> = lines.collect();
        assert_eq!(choices.iter().collect::<HashSet<_>>().len(), choices.len());
        let place = choices
            .iter()
            .position(|choice| *choice == answer(of))
            .unwrap();
        *places.entry((choices.len(), place)).or_default() += 1;
    }
    // Three shapes, and four of everything else.
    let expected: Vec<_> = [3, 4]
        .into_iter()
        .flat_map(|of| (0..of).map(move |at| (of, at)))
        .collect();
    assert_eq!(places.keys().copied().collect::<Vec<_>>(), expected);
    for (&(of, _), count) in &places {
        let all: usize = places
            .iter()
            .filter(|((other, _), _)| *other == of)
            .map(|(_, n)| n)
            .sum();
        let expected = all as f64 / of as f64;
        assert!(
            (*count as f64 - expected).abs() < 5.0 * expected.sqrt(),
            "{places:?}"
        );
    }
    assert_eq!(choices("only", &["only", "only"], "key"), None);
    assert_eq!(choices("only", &[], "key"), None);
}

#[test]
fn emoji_are_named_and_grouped_as_in_the_dataset() {
    let (pairs, groups) = (emoji::pairs().unwrap(), emoji::groups().unwrap());
    let (named, grouped) = (
        samples(&pairs, Split::Valid),
        samples(&groups, Split::Valid),
    );
    let names: HashMap<&str, &str> = named
        .iter()
        .map(|of| (of.id.as_str(), of.captions[0].as_str()))
        .collect();
    let labels: HashMap<&str, &str> = grouped
        .iter()
        .map(|of| (of.id.as_str(), groups.labels[of.label].as_str()))
        .collect();
    let check = |conversations: Vec<Conversation>, count, expected: &HashMap<&str, &str>| {
        assert_eq!(conversations.len(), count);
        for of in conversations {
            let (sample, ..) = of.id.split_once('#').unwrap();
            assert_eq!(answer(&of), expected[sample]);
            assert!(of.images.len() == 1 && of.turns.len() == 2);
            assert!(of.images[0].name().ends_with(sample));
        }
    };
    for of in ALL {
        check(from_names(&named, of), 2 * 195, &names);
        check(from_captions(&named, of), 195, &names);
        check(from_groups(&grouped, &groups.labels, of), 195, &labels);
    }
    check(plain(&named), 195, &names);
    assert!(plain(&named).iter().all(|of| of.turns[0].text == "<image>"));
    assert!(from_groups(&grouped, &[], Wordings::Seen).is_empty());
}

#[test]
fn cleaning_finds_next_to_nothing() {
    let data = easy_vqa::standard().unwrap();
    let (pairs, groups) = (emoji::pairs().unwrap(), emoji::groups().unwrap());
    let mut all = text_tasks(1, 2000, Wordings::Seen);
    all.extend(from_vqa(&samples(&data, Split::Valid), Wordings::Seen));
    all.extend(from_names(&samples(&pairs, Split::Valid), Wordings::Seen));
    all.extend(from_groups(
        &samples(&groups, Split::Valid),
        &groups.labels,
        Wordings::Seen,
    ));
    let mut config = CleanConfig::default();
    config.language.keep = vec!["eng".into()];
    let cleaned = clean(all, &config);
    // Two questions about one picture may differ by no more than "in the image".
    let near = |of: &&Dropped| matches!(of.reason, Reason::NearDuplicate { .. });
    let counts = cleaned.counts();
    assert_eq!(
        cleaned.dropped.iter().filter(near).count(),
        cleaned.dropped.len(),
        "{counts:?}"
    );
    assert!(cleaned.dropped.len() < 5, "{counts:?}");
}

#[test]
fn demonstrations_are_of_the_same_task_and_of_other_pictures() {
    let data = easy_vqa::standard().unwrap();
    let train: Vec<VqaSample> = samples(&data, Split::Train).into_iter().take(300).collect();
    let seen = from_vqa(&train, Wordings::Seen);
    let demonstrations = Demonstrations::new(&seen);
    let held_out = from_vqa(&train, Wordings::HeldOut);
    let mut used = HashSet::new();
    for of in seen.iter().chain(&held_out).step_by(7) {
        let shots = demonstrations.pick(of, 3);
        assert_eq!(shots.len(), 3);
        for shot in &shots {
            assert_eq!(shot.task, of.task);
            assert_ne!(parts(shot).0, parts(of).0);
            assert_ne!(shot.images[0].name(), of.images[0].name());
            used.insert(shot.id.clone());
        }
        let again = Demonstrations::new(&seen).pick(of, 3);
        assert!(
            again
                .iter()
                .map(|of| &of.id)
                .eq(shots.iter().map(|of| &of.id))
        );
    }
    assert!(used.len() > 1000, "{}", used.len());
    let mut other = seen[0].clone();
    other.task = "no such task".into();
    assert!(demonstrations.pick(&other, 3).is_empty());
    // Of text alone there are no pictures to go by.
    let text = text_tasks(1, 22, Wordings::Seen);
    let shots = Demonstrations::new(&text).pick(&text[0], 5);
    assert_eq!(shots.len(), 1);
    assert_ne!(shots[0].id, text[0].id);
}

#[test]
fn demonstrations_come_first_with_their_pictures() {
    let data = easy_vqa::standard().unwrap();
    let valid: Vec<VqaSample> = samples(&data, Split::Valid).into_iter().take(3).collect();
    let all = from_vqa(&valid, Wordings::Seen);
    let of = |picture: &VqaSample| {
        let describes = |of: &&Conversation| of.images[0].name() == picture.image.name();
        let mut of = all.iter().find(describes).unwrap().clone();
        let text = format!("about {}", picture.id);
        of.turns.insert(
            0,
            Turn {
                role: Role::System,
                text,
            },
        );
        of
    };
    let [own, a, b] = [&valid[0], &valid[1], &valid[2]].map(of);
    let with = with_demonstrations(own.clone(), &[a.clone(), b.clone()]);
    let expected = [
        &own.turns[..1],
        &a.turns[1..],
        &b.turns[1..],
        &own.turns[1..],
    ]
    .concat();
    assert_eq!(with.turns, expected);
    let names = |of: &Conversation| {
        of.images
            .iter()
            .map(|image| image.name())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&with), [names(&a), names(&b), names(&own)].concat());
    assert_eq!((&with.id, &with.task), (&own.id, &own.task));
    assert_eq!(with_demonstrations(own.clone(), &[]).turns, own.turns);
}
