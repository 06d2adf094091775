use std::cell::RefCell;
use std::ops::ControlFlow;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use crucible_transformer::{CausalLm, CausalLmConfig, Places};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::wording::tests::{Listed, strings};
use super::*;
use crate::testing::device;

/// Nine words, of which `bad` (7) and `good` (8) are label words.
fn wording() -> Wording<Listed> {
    let words = vec![
        "film", "it", "was", "so", "very", "all", "in", "bad", "good",
    ];
    let texts = strings(&["film it", "it"]);
    Wording::new(Listed(words), 9, &texts, &strings(&["bad", "good"])).unwrap()
}

fn go_on(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The texts of [`wording`] and two more, of both classes.
fn labelled() -> Vec<(Vec<u32>, usize)> {
    vec![
        (vec![0, 1], 0),
        (vec![1], 1),
        (vec![2, 5, 3, 6], 1),
        (vec![6, 6], 0),
    ]
}

/// Label words of one token and of two, two of them for one class and two that begin alike.
fn words() -> (Vec<Vec<u32>>, Vec<usize>) {
    let words = vec![vec![7], vec![8], vec![8, 7], vec![8, 3]];
    (words, vec![0, 1, 1, 0])
}

/// A frozen model of nine words, the same each time.
fn model() -> CausalLm {
    let config = CausalLmConfig::new(9, 16, 12, 6, 20, 2)
        .with_kv_heads(2)
        .with_tied(false);
    let drawn = &mut Drawn(ChaCha8Rng::seed_from_u64(1));
    config.init(&device()).map(drawn).no_grad()
}

/// Numbers in place of each tensor's own.
struct Drawn(ChaCha8Rng);

impl ModuleMapper for Drawn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let count = tensor.shape().num_elements();
            let numbers = (0..count).map(|_| self.0.random_range(-0.7..0.7));
            let numbers = TensorData::new(numbers.collect::<Vec<f32>>(), tensor.dims());
            Tensor::from_data(numbers, &tensor.device())
        })
    }
}

fn with_words(model: &CausalLm, words: Tensor<2>) -> CausalLm {
    let mut model = model.clone();
    model.word.weight = Param::from_tensor(words);
    model.no_grad()
}

/// Log-probabilities of what follows each token of a sequence.
fn whole(model: &CausalLm, ids: &[u32]) -> Vec<Vec<f64>> {
    let values: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let ids: Tensor<2, Int> = Tensor::from_data(TensorData::new(values, [1, ids.len()]), &device());
    let [_, length] = ids.dims();
    let states = model.forward(model.embed(ids), &Places::whole(1, length));
    let scores = log_softmax(model.logits(states).squeeze_dim::<2>(0), 1);
    let scores: Vec<f64> = scores.into_data().iter().collect();
    scores.chunks(9).map(<[f64]>::to_vec).collect()
}

/// As [`CausalTexts::classes`], one text and one word at a time.
fn one_by_one(model: &CausalLm, template: &[u32]) -> Vec<[f64; 2]> {
    let (words, class) = words();
    let texts = labelled().into_iter().map(|(text, _)| {
        let mut classes = [0.0; 2];
        for (word, &class) in words.iter().zip(&class) {
            let ids = [&text[..], template, word].concat();
            let scores = whole(model, &ids);
            let first = text.len() + template.len();
            let places = first..first + word.len();
            classes[class] += places
                .map(|at| scores[at - 1][ids[at] as usize])
                .sum::<f64>()
                / 2.0;
        }
        classes
    });
    texts.collect()
}

#[test]
fn kept_keys_and_values_give_what_whole_texts_give() {
    let model = model();
    let (words, class) = words();
    // Together, in chunks one of which holds only a text of one token, and each alone.
    for at_once in [4, 1, 2] {
        let texts = CausalTexts::new(&model, &labelled(), (&words, &class), 3, at_once).unwrap();
        for template in [&[][..], &[4], &[4, 2, 4]] {
            let expected = one_by_one(&model, template);
            let found = texts.classes(template);
            assert_eq!(found.len(), 4);
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
            }
            let (mut loss, mut label_loss, mut right) = (0.0, 0.0, 0.0);
            for (row, (_, label)) in expected.iter().zip(labelled()) {
                loss += (row[0].exp() + row[1].exp()).ln() - row[label];
                label_loss -= row[label];
                right += f64::from(u8::from(row[label] > row[1 - label]));
            }
            assert!((texts.loss(template) - loss / 4.0).abs() < 1e-4);
            assert!((texts.label_loss(template) - label_loss / 4.0).abs() < 1e-4);
            assert_eq!(texts.accuracy(template), right / 4.0);
            let next = texts.next(template);
            assert_eq!(next.len(), 9);
            for (token, sum) in next.iter().enumerate() {
                let after = |(text, _): (Vec<u32>, usize)| {
                    whole(&model, &[&text[..], template].concat())
                        .pop()
                        .unwrap()[token]
                };
                let expected: f64 = labelled().into_iter().map(after).sum();
                assert!((sum - expected).abs() < 1e-3, "{sum} is not {expected}");
            }
        }
    }
}

/// A row that nothing else reads takes a step from the old word towards each other one.
#[test]
fn first_order_changes_are_numeric_differences() {
    let model = model();
    let (words, class) = words();
    let loss = |model: &CausalLm, template: &[u32]| {
        let texts = CausalTexts::new(model, &labelled(), (&words, &class), 3, 3).unwrap();
        texts.loss(template)
    };
    let table = model.word.weight.val();
    let template = [2, 0, 2];
    for place in 0..3 {
        let texts = CausalTexts::new(&model, &labelled(), (&words, &class), 3, 3).unwrap();
        let changes = texts.changes(&template, place);
        assert_eq!(changes.len(), 9);
        assert_eq!(changes[template[place] as usize], 0.0);
        let mut largest = 0.0_f64;
        for (word, &change) in changes.iter().enumerate() {
            let row = |row: usize| table.clone().narrow(0, row, 1);
            let old = row(template[place] as usize);
            // No text has the word 4.
            let moved = |by: f64| {
                let new = old.clone() + (row(word) - old.clone()) * by;
                let table = table.clone().slice_assign([4..5, 0..12], new);
                let mut template = template;
                template[place] = 4;
                loss(&with_words(&model, table), &template)
            };
            let (step, change) = (0.02, f64::from(change));
            let numeric = (moved(step) - moved(-step)) / (2.0 * step);
            let tolerance = 1e-4 + 0.005 * change.abs();
            assert!((numeric - change).abs() < tolerance, "{numeric}, {change}");
            largest = largest.max(change.abs());
        }
        assert!(largest > 1e-2, "{largest}");
    }
}

/// A loss that is known: each place has its own cost of each token, and a pair of words is dearer than both.
struct Planted {
    costs: Vec<[f64; 9]>,
    asked: RefCell<Vec<Vec<u32>>>,
}

impl Planted {
    fn new() -> Self {
        let cost = |place: usize| {
            let costs = (0..9).map(|token| ((7 * token + 5 * place) % 9) as f64 + 1.0);
            let mut costs: [f64; 9] = costs.collect::<Vec<_>>().try_into().unwrap();
            // Label words would be the best everywhere.
            (costs[7], costs[8]) = (-5.0, -6.0);
            costs
        };
        Self {
            costs: (0..3).map(cost).collect(),
            asked: RefCell::default(),
        }
    }

    /// The best without label words.
    fn best(&self) -> Vec<u32> {
        let best = |costs: &[f64; 9]| (0..7).min_by(|&a, &b| costs[a].total_cmp(&costs[b]));
        self.costs
            .iter()
            .map(|costs| best(costs).unwrap() as u32)
            .collect()
    }
}

impl TriggerLoss for Planted {
    fn loss(&self, template: &[u32]) -> f64 {
        self.asked.borrow_mut().push(template.to_vec());
        let costs = self.costs.iter().zip(template);
        costs.map(|(costs, &token)| costs[token as usize]).sum()
    }

    fn changes(&self, template: &[u32], place: usize) -> Vec<f32> {
        let costs = self.costs[place];
        let old = costs[template[place] as usize];
        costs.iter().map(|new| (new - old) as f32).collect()
    }
}

fn gradient() -> GradientSearch {
    GradientSearch {
        tokens: 3,
        steps: 100,
        candidates: 2,
        kept: 4,
    }
}

#[test]
fn the_gradient_leads_to_the_planted_words() {
    for seed in 0..10 {
        let planted = Planted::new();
        let found = gradient().search(&wording(), &planted, seed, &mut go_on);
        let found = found.unwrap();
        assert_eq!(found[0].tokens, planted.best());
        let words = wording().words(&planted.best()).unwrap();
        assert_eq!(
            found[0].template.to_string(),
            format!("{{text}}{words} {{mask}}")
        );
        assert_eq!(found[0].accuracy, None);
        assert_eq!(found.len(), 4);
        assert!(found.is_sorted_by(|a, b| a.loss <= b.loss));
        // Only what may be said was asked about, and nothing twice.
        let mut asked = planted.asked.into_inner();
        assert!(asked.iter().flatten().all(|&token| token < 7));
        let count = asked.len();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), count);
    }
}

#[test]
fn a_seed_gives_the_same_search_again() {
    let asked = |seed| {
        let planted = Planted::new();
        let mut told = Vec::new();
        let on_step = &mut |progress: Progress<'_>| {
            told.push((progress.step, progress.score, progress.words.to_owned()));
            ControlFlow::Continue(())
        };
        gradient()
            .search(&wording(), &planted, seed, on_step)
            .unwrap();
        assert!(told.is_sorted_by(|a, b| a.0 < b.0 && a.1 >= b.1));
        // It is over when all three places are settled.
        assert!(told.len() < 40, "{}", told.len());
        (planted.asked.into_inner(), told)
    };
    assert_eq!(asked(1), asked(1));
    assert!((2..5).any(|seed| asked(seed) != asked(1)));
}

/// With one token and all words tried, a step is an exhaustive search.
#[test]
fn the_best_word_before_a_model_is_found() {
    let model = model();
    let (words, class) = words();
    let texts = CausalTexts::new(&model, &labelled(), (&words, &class), 1, 4).unwrap();
    let search = GradientSearch {
        tokens: 1,
        steps: 1,
        candidates: 9,
        kept: 9,
    };
    let found = search.search(&wording(), &texts, 0, &mut go_on).unwrap();
    let mut all: Vec<(f64, u32)> = (0..7).map(|word| (texts.loss(&[word]), word)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: Vec<u32> = all.into_iter().map(|(_, word)| word).collect();
    let found: Vec<u32> = found.iter().map(|found| found.tokens[0]).collect();
    assert_eq!(found, all);
}

/// The probability of a token hangs on the one before it.
fn chain(tokens: &[u32]) -> Vec<f64> {
    let last = tokens.last().map_or(9, |&last| last as usize);
    let scores = (0..9).map(|token| ((token * 13 + last * 5) as f64).sin() * 2.0 - 4.0);
    scores.collect()
}

fn chained(tokens: &[u32]) -> f64 {
    let score = |at: usize| chain(&tokens[..at])[tokens[at] as usize];
    (0..tokens.len()).map(score).sum()
}

#[test]
fn wide_beams_find_what_exhaustive_search_finds() {
    // Seven words may be said: 49 beginnings of two are all there are of templates of three.
    let search = GeneratedSearch {
        tokens: 3,
        beam: 49,
    };
    let mut told = Vec::new();
    let on_step = &mut |progress: Progress<'_>| {
        told.push((progress.step, progress.score));
        ControlFlow::Continue(())
    };
    let loss = |tokens: &[u32]| -chained(tokens) / tokens.len() as f64;
    let found = search.search(&wording(), &chain, &loss, on_step).unwrap();
    let longer = |all: Vec<Vec<u32>>| -> Vec<Vec<u32>> {
        let more = |one: &Vec<u32>| (0..7).map(|token| [&one[..], &[token]].concat()).collect();
        all.iter()
            .flat_map(|one| -> Vec<Vec<u32>> { more(one) })
            .collect()
    };
    let one = longer(vec![Vec::new()]);
    let two = longer(one.clone());
    let mut three = longer(two.clone());
    three.sort_by(|a, b| chained(b).total_cmp(&chained(a)));
    let likeliest = [&one, &two, &three].map(|all| {
        let scores = all.iter().map(|tokens| chained(tokens));
        scores.fold(f64::NEG_INFINITY, f64::max)
    });
    for ((step, score), (number, likeliest)) in told.iter().zip((1..).zip(likeliest)) {
        assert_eq!(*step, number);
        assert!((score - likeliest).abs() < 1e-9);
    }
    // Of 7 + 49 + 49 templates those by whose loss the label words are likeliest.
    let mut all = [one, two, three[..49].to_vec()].concat();
    all.sort_by(|a, b| loss(a).total_cmp(&loss(b)).then_with(|| a.cmp(b)));
    let found: Vec<Vec<u32>> = found.into_iter().map(|found| found.tokens).collect();
    assert_eq!(found, all[..49]);
}

#[test]
fn narrow_beams_keep_the_best_beginnings() {
    let asked = RefCell::new(Vec::new());
    let next = |tokens: &[u32]| {
        asked.borrow_mut().push(tokens.to_vec());
        // Label words are the likeliest.
        let mut scores = chain(tokens);
        (scores[7], scores[8]) = (-0.1, -0.2);
        scores
    };
    let search = GeneratedSearch { tokens: 2, beam: 2 };
    let found = search.search(&wording(), &next, &|tokens| -chained(tokens), &mut go_on);
    let mut first: Vec<u32> = (0..7).collect();
    first.sort_by(|a, b| chained(&[*b]).total_cmp(&chained(&[*a])));
    assert_eq!(asked.into_inner(), [vec![], vec![first[0]], vec![first[1]]]);
    let found = found.unwrap();
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|found| found.tokens.iter().all(|&token| token < 7))
    );
}

#[test]
fn what_cannot_be_searched_is_told() {
    let (wording, planted) = (wording(), Planted::new());
    let none = GradientSearch {
        candidates: 0,
        ..gradient()
    };
    let error = none.search(&wording, &planted, 0, &mut go_on).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`candidates` must be at least 1"),
        "{error}"
    );
    let stop = &mut |_: Progress<'_>| ControlFlow::Break(());
    let stopped = gradient().search(&wording, &planted, 0, stop);
    assert_eq!(stopped, Err(SearchError::Interrupted));

    let search = GeneratedSearch::default();
    let none = GeneratedSearch {
        beam: 0,
        ..search.clone()
    };
    let error = none
        .search(&wording, &chain, &chained, &mut go_on)
        .unwrap_err();
    assert!(
        error.to_string().contains("`beam` must be at least 1"),
        "{error}"
    );
    let stopped = search.search(&wording, &chain, &chained, stop);
    assert_eq!(stopped, Err(SearchError::Interrupted));
    let broken = search.search(&wording, &chain, &|_| f64::NAN, &mut go_on);
    let error = broken.unwrap_err().to_string();
    assert!(error.contains("is NaN; look for broken weights"), "{error}");

    let model = model();
    let (words, class) = words();
    let told = |texts: &[(Vec<u32>, usize)], words: &[Vec<u32>], tokens| {
        let texts = CausalTexts::new(&model, texts, (words, &class[..words.len()]), tokens, 2);
        texts.unwrap_err().to_string()
    };
    assert!(told(&[], &words, 1).starts_with("texts: there are none"));
    assert!(told(&labelled(), &[], 1).starts_with("label words: there are none"));
    assert!(told(&[(vec![], 0)], &words, 1).starts_with("text 0 has no token"));
    assert!(
        told(&[(vec![1], 2)], &words, 1).starts_with("the class of text 0 is 2, but there are 2")
    );
    let long = told(&labelled(), &words, 11);
    assert!(
        long.starts_with("text 2 takes 17 tokens with a template and a label word, the model 16")
    );
}
