//! Questions of easy-VQA in other words: what means the same, asked in many ways.

use std::collections::BTreeMap;

use super::picture_wordings::{COLOUR, SHAPE};
use super::question_wordings::{STATEMENT, YES_NO};
use super::statements::statement;
use super::{Wordings, draw, fill};
use crate::instruction::open::digest;
use crate::shots::few;
use crate::{
    COLOURS, Data, DataError, ImageSource, Permutation, SHAPES, Split, VqaData, VqaSample,
    fraction, possible_pairs,
};

/// How many pictures of the test split are asked about.
const TESTED: usize = 200;

/// One thing that is asked about a picture.
#[derive(Clone, Debug)]
pub struct Reworded {
    /// Names it; unique in its dataset.
    pub id: String,
    /// The picture.
    pub image: ImageSource,
    /// What is asked: an index into [`meanings`].
    pub meaning: usize,
    /// The right answer.
    pub answer: String,
    /// Ways to ask it.
    pub wordings: Vec<String>,
}

/// Pictures with what is asked of them.
pub type RewordedData = Data<Reworded>;

/// What there is to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Few {
    /// So many pictures for each meaning; 0 for all.
    pub shots: usize,
    /// So many wordings of each meaning; 0 for all.
    pub wordings: usize,
    /// Draws them.
    pub seed: u64,
}

/// What can be asked about a picture of easy-VQA: its color, its shape, and of each color and shape whether it is there.
pub fn meanings() -> Vec<String> {
    let words = COLOURS.iter().chain(&SHAPES);
    let asked = words.map(|word| format!("is it {word}?"));
    ["color?", "shape?"]
        .map(String::from)
        .into_iter()
        .chain(asked)
        .collect()
}

/// All wordings of a meaning, none of which another set has; none of a number that is no meaning.
pub fn wordings(meaning: usize, of: Wordings) -> Vec<String> {
    let plain = |task: &super::Task| {
        task.wordings(of)
            .iter()
            .map(|text| text.to_string())
            .collect()
    };
    match meaning {
        0 => plain(&COLOUR),
        1 => plain(&SHAPE),
        _ => word(meaning).map_or_else(Vec::new, |word| whether(word, of)),
    }
}

fn word(meaning: usize) -> Option<&'static str> {
    let place = meaning.checked_sub(2)?;
    COLOURS.iter().chain(&SHAPES).nth(place).copied()
}

/// Questions and statements about one color or shape. A hash decides in which of easy-VQA's own forms each has it.
fn whether(word: &str, of: Wordings) -> Vec<String> {
    let what = match SHAPES.contains(&word) {
        true => format!("a {word}"),
        false => format!("a {word} shape"),
    };
    let forms = [
        format!("is there {what}?"),
        format!("is there {what} in the image?"),
        format!("does the image contain {what}?"),
        format!("is {what} present?"),
    ];
    let asked = |wording: &&str| {
        let form = &forms[draw(&format!("{wording}/{word}/form"), forms.len())];
        let said = statement(form).unwrap_or_default();
        fill(wording, &[("question", form), ("statement", &said)])
    };
    let tasks = [&YES_NO, &STATEMENT].map(|task| task.wordings(of));
    tasks.into_iter().flatten().map(asked).collect()
}

/// Pictures whose questions leave one color and one shape, as far as `answers` has what is to be answered.
///
/// Of a training picture four things are asked: its color, its shape, something that it is and something that it is not,
/// which a hash of its id chooses; each in all wordings that are learnt from. Of a picture of the other splits one of the
/// four is asked, in four wordings of that split, so that it can be told whether the answers agree. The test has no more
/// than 200 pictures.
///
/// # Errors
///
/// Whatever is wrong with a sample, and [`DataError::Empty`] where no training picture can be asked about.
pub fn reworded(data: &VqaData, answers: &[String], few: Few) -> Result<RewordedData, DataError> {
    let answered = |item: &Reworded| answers.contains(&item.answer);
    let items = |split: Split| -> Result<Vec<Vec<Reworded>>, DataError> {
        let samples = data.split(split);
        let mut items = Vec::new();
        for at in 0..samples.len() {
            let sample = samples.get(at).map_err(DataError::Dataset)?;
            let mut asked = asked(&sample, split);
            asked.retain(answered);
            if !asked.is_empty() {
                items.push(asked);
            }
        }
        Ok(items)
    };
    let train = items(Split::Train)?.into_iter().flatten().collect();
    let [valid, mut test] = [Split::Valid, Split::Test].map(|split| Ok(one_each(items(split)?)));
    if let Ok(test) = &mut test {
        test.sort_by(|a, b| fraction(&a.id).total_cmp(&fraction(&b.id)));
        test.truncate(TESTED);
    }
    let digest = digest(&["reworded", &data.digest]);
    let splits = [learnt(train, few), valid?, test?];
    let data = Data::in_memory(&data.name, splits, answers.to_vec(), digest);
    data.samples(Split::Train).map(|_| data)
}

/// What a split asks about a picture.
fn asked(sample: &VqaSample, split: Split) -> Vec<Reworded> {
    let [(colour, shape)] = possible_pairs(&sample.questions)[..] else {
        return Vec::new();
    };
    let words: Vec<&str> = COLOURS.iter().chain(&SHAPES).copied().collect();
    let (right, wrong): (Vec<usize>, Vec<usize>) =
        (0..words.len()).partition(|&at| words[at] == colour || words[at] == shape);
    let some = |of: &[usize], name| of[draw(&format!("{}/{name}", sample.id), of.len())] + 2;
    let facts = [
        (0, colour),
        (1, shape),
        (some(&right, "right"), "yes"),
        (some(&wrong, "wrong"), "no"),
    ];
    let item = |(meaning, answer): (usize, &str)| {
        let id = format!("{}/{meaning}", sample.id);
        let all = wordings(meaning, Wordings::of(split));
        // Of eight, of questions and of statements as many.
        let (first, apart) = match (split, all.len()) {
            (Split::Valid | Split::Test, 8) => (draw(&id, 2), 2),
            _ => (0, 1),
        };
        Reworded {
            image: sample.image.clone(),
            meaning,
            answer: answer.to_owned(),
            wordings: all.into_iter().skip(first).step_by(apart).collect(),
            id,
        }
    };
    facts.map(item).into()
}

/// One of the items of each picture: items of one picture would be no independent draws.
fn one_each(items: Vec<Vec<Reworded>>) -> Vec<Reworded> {
    let one = |mut of: Vec<Reworded>| {
        let place = draw(&format!("{}/asked", of.first()?.id), of.len());
        Some(of.swap_remove(place))
    };
    items.into_iter().filter_map(one).collect()
}

/// As few samples and wordings of each meaning as are to be learnt from.
fn learnt(items: Vec<Reworded>, of: Few) -> Vec<Reworded> {
    let mut of_meaning: BTreeMap<usize, Vec<Reworded>> = BTreeMap::new();
    for mut item in items {
        if of.wordings > 0 {
            let count = item.wordings.len();
            let order = Permutation::new(of.seed, item.meaning as u64, count as u64);
            let kept = (0..count.min(of.wordings)).map(|at| order.at(at as u64) as usize);
            item.wordings = kept.map(|at| item.wordings[at].clone()).collect();
        }
        of_meaning.entry(item.meaning).or_default().push(item);
    }
    match of.shots {
        0 => of_meaning.into_values().flatten().collect(),
        shots => few(of_meaning, shots, of.seed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_vqa;
    use std::collections::HashSet;

    const FEW: Few = Few {
        shots: 8,
        wordings: 3,
        seed: 1,
    };

    fn all(data: &RewordedData, split: Split) -> Vec<Reworded> {
        let samples = data.split(split);
        (0..samples.len())
            .map(|at| samples.get(at).unwrap())
            .collect()
    }

    #[test]
    fn no_wording_is_in_two_splits_and_each_is_asked_in_several() {
        let easy = open_vqa("easy-vqa").unwrap();
        let few = Few {
            shots: 0,
            wordings: 0,
            ..FEW
        };
        let data = reworded(&easy, &easy.labels, few).unwrap();
        let splits = [Split::Train, Split::Valid, Split::Test].map(|split| all(&data, split));
        let texts = splits.each_ref().map(|items| -> HashSet<&String> {
            items.iter().flat_map(|item| &item.wordings).collect()
        });
        assert!(texts[0].is_disjoint(&texts[1]) && texts[0].is_disjoint(&texts[2]));
        assert!(texts[1].is_disjoint(&texts[2]));
        for items in &splits[1..] {
            // Pictures whose questions leave more than one object are not asked about.
            assert!((170..=200).contains(&items.len()), "{}", items.len());
            assert!(items.iter().all(|item| item.wordings.len() == 4));
            let pictures: HashSet<&str> = items
                .iter()
                .map(|item| item.id.rsplit_once('/').unwrap().0)
                .collect();
            assert_eq!(pictures.len(), items.len());
            for answer in ["yes", "no", "red", "circle"] {
                assert!(items.iter().any(|item| item.answer == answer), "{answer}");
            }
        }
        // Four of each picture, of all meanings, each in all of its wordings.
        assert_eq!(splits[0].len() % 4, 0);
        let seen: HashSet<usize> = splits[0].iter().map(|item| item.meaning).collect();
        assert_eq!(seen.len(), meanings().len());
        for item in &splits[0] {
            assert_eq!(item.wordings, wordings(item.meaning, Wordings::Seen));
        }
    }

    #[test]
    fn answers_are_those_of_the_dataset() {
        let easy = open_vqa("easy-vqa").unwrap();
        let data = reworded(&easy, &easy.labels, FEW).unwrap();
        for item in all(&data, Split::Test) {
            let picture = item.id.rsplit_once('/').unwrap().0;
            let sample = (0..easy.test.len()).map(|at| easy.test.get(at).unwrap());
            let sample = sample
                .into_iter()
                .find(|sample| sample.id == picture)
                .unwrap();
            let [(colour, shape)] = possible_pairs(&sample.questions)[..] else {
                panic!("{picture} is ambiguous");
            };
            let expected = match word(item.meaning) {
                None => [colour, shape][item.meaning],
                Some(word) if word == colour || word == shape => "yes",
                Some(_) => "no",
            };
            assert_eq!(item.answer, expected, "{picture}");
        }
    }

    #[test]
    fn few_are_drawn_by_the_seed_and_the_test_stays_whole() {
        let easy = open_vqa("easy-vqa").unwrap();
        let drawn = |few| all(&reworded(&easy, &easy.labels, few).unwrap(), Split::Train);
        let train = drawn(FEW);
        assert_eq!(train.len(), 8 * meanings().len());
        for meaning in 0..meanings().len() {
            let of: Vec<&Reworded> = train
                .iter()
                .filter(|item| item.meaning == meaning)
                .collect();
            let texts: HashSet<&String> = of.iter().flat_map(|item| &item.wordings).collect();
            assert_eq!((of.len(), texts.len()), (8, 3));
        }
        let ids = |items: Vec<Reworded>| -> Vec<String> {
            items.into_iter().map(|item| item.id).collect()
        };
        assert_ne!(ids(train), ids(drawn(Few { seed: 2, ..FEW })));
        let data = reworded(&easy, &easy.labels, FEW).unwrap();
        assert_eq!(all(&data, Split::Test).len(), 200);
    }

    #[test]
    fn what_cannot_be_answered_is_not_asked() {
        let easy = open_vqa("easy-vqa").unwrap();
        let answers = ["yes".to_owned(), "no".to_owned()];
        let data = reworded(&easy, &answers, FEW).unwrap();
        assert!(all(&data, Split::Train).iter().all(|item| item.meaning > 1));
        let error = reworded(&easy, &["maybe".to_owned()], FEW).err().unwrap();
        assert!(error.to_string().contains("train"), "{error}");
    }
}
