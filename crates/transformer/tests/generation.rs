//! Text generation by a model that is a table: against `transformers` (see `tests/reference/generation.py`), in
//! batches and one by one, interrupted, and where it must refuse.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crucible_transformer::{
    Finish, Generated, Generates, GenerationConfig, GenerationError, Prompted, Stop, generate,
};
use serde_json::{Value, json};

/// Scores are looked up by a hash of all tokens before; the last token never comes.
#[derive(Clone)]
struct Table {
    seed: u32,
    vocabulary: u32,
    /// Tokens with higher scores, by so much.
    likely: Vec<u32>,
    by: f32,
    max_length: usize,
    /// A score that is not one, of the token 1 after so many tokens.
    broken: Option<(usize, f32)>,
}

/// For each sequence the tokens so far and their hash.
type Contexts = Vec<(usize, u32)>;

impl Table {
    fn new(seed: u32) -> Self {
        Self {
            seed,
            vocabulary: 24,
            likely: Vec::new(),
            by: 0.0,
            max_length: 1000,
            broken: None,
        }
    }

    fn hash(context: u32, token: u32) -> u32 {
        context.wrapping_mul(31).wrapping_add(token + 1)
    }

    fn row(&self, &(length, context): &(usize, u32)) -> Vec<f32> {
        let score = |token: u32| {
            if let Some((_, score)) = self.broken.filter(|&(at, _)| token == 1 && at == length) {
                return score;
            }
            let mut x = context
                .wrapping_mul(2_654_435_761)
                .wrapping_add(token.wrapping_mul(40_503))
                .wrapping_add(12_345);
            x = (x ^ (x >> 15)).wrapping_mul(2_246_822_519);
            x ^= x >> 13;
            let more = if self.likely.contains(&token) {
                self.by
            } else {
                0.0
            };
            (x >> 8) as f32 / (1 << 21) as f32 - 4.0 + more
        };
        (0..self.vocabulary - 1).map(score).chain([-50.0]).collect()
    }

    fn prompted(&self, prompts: &[Vec<u32>]) -> Prompted<Contexts> {
        let context = |prompt: &Vec<u32>| {
            let hash = prompt
                .iter()
                .fold(self.seed, |hash, &t| Self::hash(hash, t));
            (prompt.len(), hash)
        };
        let cache: Contexts = prompts.iter().map(context).collect();
        Prompted {
            scores: cache.iter().map(|context| self.row(context)).collect(),
            cache,
            prompts: prompts.to_vec(),
            keys: Vec::new(),
        }
    }
}

impl Generates for Table {
    type Cache = Contexts;

    fn max_length(&self) -> usize {
        self.max_length
    }

    fn step(&self, cache: &mut Contexts, tokens: &[u32]) -> Vec<Vec<f32>> {
        assert_eq!(cache.len(), tokens.len());
        for ((length, hash), &token) in cache.iter_mut().zip(tokens) {
            (*length, *hash) = (*length + 1, Self::hash(*hash, token));
            assert!(*length < self.max_length, "a step that nobody needs");
        }
        cache.iter().map(|context| self.row(context)).collect()
    }

    fn select(&self, cache: &mut Contexts, sequences: &[usize]) {
        *cache = sequences.iter().map(|&row| cache[row]).collect();
    }
}

/// A token is a letter.
fn letters(tokens: &[u32]) -> String {
    tokens.iter().map(|&t| char::from(b'a' + t as u8)).collect()
}

/// What comes out, after seeing that each sequence was streamed as it came out.
fn run(
    table: &Table,
    prompts: &[Vec<u32>],
    config: &GenerationConfig,
    stop_ids: &[u32],
) -> Result<Vec<Generated>, GenerationError> {
    let mut streamed = vec![String::new(); prompts.len()];
    let mut told = vec![0; prompts.len()];
    let generated = generate(
        table,
        table.prompted(prompts),
        config,
        stop_ids,
        &letters,
        &mut |sequence, text| {
            streamed[sequence] += text;
            told[sequence] += 1;
            ControlFlow::Continue(())
        },
    )?;
    let texts: Vec<&str> = generated.iter().map(|g| g.text.as_str()).collect();
    assert_eq!(streamed, texts);
    if config.beams == 1 {
        let lengths: Vec<usize> = generated.iter().map(|g| g.tokens.len()).collect();
        assert_eq!(told, lengths);
    }
    Ok(generated)
}

fn list(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

fn config(of: &Value) -> GenerationConfig {
    let mut all = serde_json::to_value(GenerationConfig::default()).unwrap();
    for (key, value) in of.as_object().unwrap() {
        all[key] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

#[test]
fn sequences_are_those_of_transformers() {
    let text = include_str!("../../../tests/fixtures/generation.json");
    let fixture: Value = serde_json::from_str(text).unwrap();
    let cases = fixture["sequences"].as_array().unwrap();
    assert_eq!(cases.len(), 110);
    let mut ends: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    for case in cases {
        let of = &case["table"];
        let table = Table {
            seed: whole(&of["seed"]) as u32,
            vocabulary: whole(&of["vocabulary"]) as u32,
            likely: list(&of["likely"]),
            by: of["by"].as_f64().unwrap() as f32,
            max_length: whole(&case["max_length"]),
            broken: None,
        };
        let prompts: Vec<Vec<u32>> = case["prompts"]
            .as_array()
            .unwrap()
            .iter()
            .map(list)
            .collect();
        let config = config(&case["config"]);
        let stop_ids = list(&case["stop_ids"]);
        let generated = run(&table, &prompts, &config, &stop_ids).unwrap();
        let expected = case["expected"].as_array().unwrap();
        assert_eq!(generated.len(), expected.len());
        for (generated, expected) in generated.iter().zip(expected) {
            assert_eq!(generated.tokens, list(&expected["tokens"]), "{case}");
            let score = expected["score"].as_f64().unwrap();
            let off = (f64::from(generated.score) - score).abs();
            assert!(off <= 1e-5 * score.abs().max(1.0), "{generated:?}: {case}");
            let all = letters(&generated.tokens);
            let (end, text) = match &generated.finish {
                Finish::Stop(Stop::Token(token)) => {
                    assert!(stop_ids.contains(token));
                    ("token", all.strip_suffix(&letters(&[*token])).unwrap())
                }
                Finish::Stop(Stop::Text(stop)) => ("text", all.strip_suffix(stop).unwrap()),
                Finish::Length => ("length", all.as_str()),
                Finish::Interrupted => unreachable!(),
            };
            assert_eq!(generated.text, text, "{case}");
            *ends.entry((config.beams > 1, end)).or_default() += 1;
        }
    }
    // Greedily and by beam search, sequences of all kinds.
    assert_eq!(ends.len(), 6, "{ends:?}");
}

/// Different prompts, of different lengths.
fn prompts() -> Vec<Vec<u32>> {
    (0..12)
        .map(|i| (0..1 + i * 5 % 7).map(|j| (i * 3 + j) % 20).collect())
        .collect()
}

#[test]
fn a_batch_is_its_prompts_one_by_one() {
    let mut table = Table::new(5);
    (table.likely, table.by, table.max_length) = (vec![4], 1.5, 24);
    let configs = [
        json!({"max_new_tokens": 20}),
        json!({"max_new_tokens": 20, "temperature": 0.9, "seed": 3}),
        json!({"max_new_tokens": 20, "temperature": 1.3, "top_k": 9, "top_p": 0.9,
            "repetition_penalty": 1.2, "stop_strings": ["c", "bb"], "seed": 3}),
        json!({"max_new_tokens": 20, "beams": 3, "repetition_penalty": 1.1, "stop_strings": ["c"]}),
    ];
    for config in configs.iter().map(config) {
        let prompts = prompts();
        let batch = run(&table, &prompts, &config, &[4]).unwrap();
        let mut lengths: Vec<usize> = batch.iter().map(|g| g.tokens.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        assert!(
            lengths.len() > 3,
            "no sequence outlives another: {lengths:?}"
        );
        for (prompt, in_batch) in prompts.iter().zip(&batch) {
            let alone = run(&table, std::slice::from_ref(prompt), &config, &[4]).unwrap();
            assert_eq!(&alone[0], in_batch, "{prompt:?}");
        }
    }
}

#[test]
fn the_same_prompt_again_is_continued_differently() {
    let table = Table::new(8);
    let drawn = config(&json!({"max_new_tokens": 1, "temperature": 2.0, "seed": 9}));
    let count = 5_000;
    let batch = run(&table, &vec![vec![3]; count], &drawn, &[]).unwrap();
    let mut counts = [0.0; 24];
    for generated in &batch {
        counts[generated.tokens[0] as usize] += 1.0;
    }
    let powers: Vec<f64> = table.prompted(&[vec![3]]).scores[0]
        .iter()
        .map(|&score| f64::from(score / 2.0).exp())
        .collect();
    let total: f64 = powers.iter().sum();
    let squares = counts.iter().zip(&powers).take(23).map(|(seen, power)| {
        let expected = power / total * count as f64;
        (seen - expected).powi(2) / expected
    });
    // 22 degrees of freedom: larger in one of 1,000 seeds.
    let chi_square: f64 = squares.sum();
    assert!(chi_square < 48.3, "{chi_square}");
    assert_eq!(
        run(&table, &vec![vec![3]; count], &drawn, &[]).unwrap(),
        batch
    );
    let other = GenerationConfig { seed: 10, ..drawn };
    assert_ne!(
        run(&table, &vec![vec![3]; count], &other, &[]).unwrap(),
        batch
    );
}

#[test]
fn a_break_ends_all_sequences() {
    let table = Table::new(2);
    for temperature in [0.0, 1.0] {
        let config = config(&json!({"temperature": temperature, "stop_strings": ["zzz"]}));
        let mut calls = Vec::new();
        let generated = generate(
            &table,
            table.prompted(&[vec![1], vec![2], vec![3]]),
            &config,
            &[],
            &letters,
            &mut |sequence, _| {
                calls.push(sequence);
                match calls.len() {
                    8 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            },
        );
        assert_eq!(calls, [0, 1, 2, 0, 1, 2, 0, 1]);
        let whole = run(&table, &[vec![1], vec![2], vec![3]], &config, &[]).unwrap();
        for ((generated, whole), length) in generated.unwrap().iter().zip(whole).zip([3, 3, 2]) {
            assert_eq!(generated.finish, Finish::Interrupted);
            assert_eq!(generated.tokens, whole.tokens[..length]);
            assert_eq!(generated.text, letters(&generated.tokens));
        }
    }
}

#[test]
fn a_break_at_the_first_token_leaves_the_others_empty() {
    let table = Table::new(2);
    let prompts = [vec![1], vec![2]];
    let generated = generate(
        &table,
        table.prompted(&prompts),
        &GenerationConfig::default(),
        &[],
        &letters,
        &mut |_, _| ControlFlow::Break(()),
    );
    let second = Generated {
        tokens: Vec::new(),
        text: String::new(),
        finish: Finish::Interrupted,
        score: 0.0,
    };
    assert_eq!(generated.unwrap()[1], second);
}

#[test]
fn a_break_ends_a_beam_search_with_the_best_so_far() {
    let mut table = Table::new(4);
    (table.likely, table.by) = (vec![2], 1.0);
    let config = config(&json!({"beams": 3, "max_new_tokens": 40, "length_penalty": 2.0}));
    let interrupted = |after: usize| {
        let mut calls = 0;
        let generated = generate(
            &table,
            table.prompted(&[vec![1]]),
            &config,
            &[2],
            &letters,
            &mut |_, text| {
                calls += 1;
                assert_eq!(text, "");
                match calls == after {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            },
        );
        generated.unwrap().remove(0)
    };
    let one = interrupted(1);
    assert_eq!((one.finish, one.tokens.len()), (Finish::Interrupted, 1));
    let some = interrupted(5);
    assert_eq!(some.finish, Finish::Interrupted);
    assert!(some.tokens.len() > 1 && some.text.len() >= some.tokens.len() - 1);
}

#[test]
fn what_is_held_back_comes_out_at_a_stop_token() {
    let mut table = Table::new(1);
    (table.likely, table.by) = (vec![4], 2.0);
    let plain = GenerationConfig::default();
    let whole = run(&table, &[vec![1]], &plain, &[4]).unwrap();
    assert_eq!(whole[0].finish, Finish::Stop(Stop::Token(4)));
    let last = whole[0].text.chars().last().unwrap();
    let held = config(&json!({"stop_strings": [format!("{last}?")]}));
    assert_eq!(run(&table, &[vec![1]], &held, &[4]).unwrap(), whole);
}

#[test]
fn each_prompt_has_the_room_that_the_model_leaves() {
    let mut table = Table::new(6);
    table.max_length = 6;
    let prompts = [vec![1, 2, 3, 4, 5], vec![1], vec![1, 2, 3]];
    for beams in [1, 2] {
        let config = config(&json!({"max_new_tokens": 4, "beams": beams}));
        let generated = run(&table, &prompts, &config, &[]).unwrap();
        let lengths: Vec<usize> = generated.iter().map(|g| g.tokens.len()).collect();
        assert_eq!(lengths, [1, 4, 3]);
        assert!(generated.iter().all(|g| g.finish == Finish::Length));
    }
    let error = run(
        &table,
        &[vec![1], vec![1; 6]],
        &GenerationConfig::default(),
        &[],
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "prompt 1 has 6 tokens, but the model takes 6 with at least one new one; shorten it"
    );
}

#[test]
fn unusable_scores_are_errors() {
    let greedy = GenerationConfig::default();
    let drawn = config(&json!({"temperature": 1.0, "top_k": 3, "top_p": 0.5}));
    let beams = config(&json!({"beams": 2}));
    for config in [&greedy, &drawn, &beams] {
        for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut table = Table::new(1);
            table.broken = Some((4, score));
            let error = run(&table, &[vec![1, 2]], config, &[]).unwrap_err();
            let GenerationError::NotFinite { prompt, step, .. } = error else {
                panic!("{error}");
            };
            assert_eq!((prompt, step), (0, 2));
        }
        let table = Table::new(1);
        let refusal = |scores: Vec<Vec<f32>>| {
            let mut prompted = table.prompted(&[vec![1]]);
            prompted.scores = scores;
            let callback = &mut |_: usize, _: &str| ControlFlow::Continue(());
            generate(&table, prompted, config, &[], &letters, callback).unwrap_err()
        };
        assert!(matches!(
            refusal(vec![vec![]]),
            GenerationError::NoScores { prompt: 0 }
        ));
        let rows = refusal(vec![vec![1.0]; 2]);
        assert!(matches!(
            rows,
            GenerationError::Rows {
                expected: 1,
                found: 2
            }
        ));
    }
    let cold = config(&json!({"temperature": 1e-42}));
    let error = run(&Table::new(1), &[vec![1]], &cold, &[]).unwrap_err();
    assert!(matches!(error, GenerationError::NotFinite { .. }));
    let wrong = config(&json!({"top_p": 0.0}));
    let error = run(&Table::new(1), &[vec![1]], &wrong, &[]).unwrap_err();
    assert!(matches!(error, GenerationError::Config(e) if e.field == "top_p"));
}

#[test]
fn no_prompts_are_no_texts() {
    let table = Table::new(1);
    assert_eq!(
        run(&table, &[], &GenerationConfig::default(), &[]).unwrap(),
        []
    );
}
