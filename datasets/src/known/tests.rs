use super::*;
use std::collections::BTreeMap;

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

/// Hand-computed from the tables; the information of AND is that of Williams and Beer 2010.
#[test]
fn what_is_best_and_what_is_told_are_those_of_the_literature() {
    let and = 0.75 * (4.0f64 / 3.0).log2() + 0.5; // H(1/4) = 0.8113 bits in all, of which 0.3113 are redundant
    for (name, best, image, text, additive, information) in [
        ("known-xor", 1.0, 0.5, 0.5, 0.75, [0.0, 0.0, 0.0, 1.0]),
        (
            "known-and",
            1.0,
            0.75,
            0.75,
            1.0,
            [and - 0.5, 0.0, 0.0, 0.5],
        ),
        ("known-copy-image", 1.0, 1.0, 0.5, 1.0, [0.0, 1.0, 0.0, 0.0]),
        ("known-copy-text", 1.0, 0.5, 1.0, 1.0, [0.0, 0.0, 1.0, 0.0]),
        ("known-redundant", 1.0, 1.0, 1.0, 1.0, [1.0, 0.0, 0.0, 0.0]),
    ] {
        let task = Task::named(name).unwrap();
        close(task.best(), best);
        close(task.best_of_image(), image);
        close(task.best_of_text(), text);
        close(task.best_additive(), additive);
        let Information {
            redundant,
            image,
            text,
            synergy,
        } = task.information();
        for (found, expected) in [redundant, image, text, synergy]
            .into_iter()
            .zip(information)
        {
            close(found, expected);
        }
    }
    let mixture = Task::named("known-mixture").unwrap();
    close(mixture.best(), 0.25 * (1.0 + 0.75 + 0.85 + 0.6));
    close(mixture.best_additive(), 0.25 * (1.0 + 0.75 + 0.85 + 0.4));
    close(mixture.best_of_image(), 0.5 * (0.625 + 0.625));
    let Information {
        redundant,
        image,
        text,
        synergy,
    } = mixture.information();
    assert!(
        [redundant, image, text, synergy]
            .iter()
            .all(|bits| *bits > -1e-12)
    );
    assert!(synergy > 0.3 && Task::named("no such").is_none());
    let sentence = Task::named("known-xor").unwrap().sentence();
    for part in [
        "accuracy is 100.0%",
        "either says 75.0%",
        "1.00 in both together",
    ] {
        assert!(sentence.contains(part), "{sentence}");
    }
}

/// A model that knows the table scores on the test split what is the best in theory, to the last item.
#[test]
fn the_best_score_is_reached_on_the_split_itself() {
    for task in TASKS {
        let data = task.open().unwrap();
        let samples = |split| {
            let split: &crate::Samples<VqaSample> = split;
            (0..split.len())
                .map(|index| split.get(index).unwrap())
                .collect::<Vec<_>>()
        };
        let (train, test) = (samples(&data.train), samples(&data.test));
        assert_eq!((train.len(), test.len()), (IMAGES[0], IMAGES[2]));
        let mut right = 0.0;
        let mut cells = BTreeMap::new();
        for (number, sample) in test.iter().enumerate() {
            for question in &sample.questions {
                let word = question
                    .text
                    .trim_start_matches("is it ")
                    .trim_end_matches('?');
                let text = usize::from(WORDS[1].contains(&word));
                assert!(WORDS[text].contains(&word), "{word}");
                let yes = task.yes[number % 2][text];
                right += f64::from((question.answer == "yes") == (yes > 0.5));
                *cells.entry((number % 2, text)).or_insert(0.0) += 1.0;
            }
        }
        close(right / (IMAGES[2] * QUESTIONS) as f64, task.best());
        for ((image, text), count) in cells {
            let share = if text == 1 {
                task.text[image]
            } else {
                1.0 - task.text[image]
            };
            close(count / (IMAGES[2] * QUESTIONS) as f64, 0.5 * share);
        }
        let pictures = |samples: &[VqaSample]| -> std::collections::BTreeSet<String> {
            samples.iter().map(|sample| sample.image.name()).collect()
        };
        assert!(pictures(&test).len() > 200 && pictures(&test).is_subset(&pictures(&train)));
        assert_eq!(data.digest, task.open().unwrap().digest);
    }
}
