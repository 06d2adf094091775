//! SmolLM2-135M-Instruct from its GGUF against transformers on the same dequantised weights: `tests/reference/published.py`
//! wrote down what that says to ten prompts.

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::tensor::Device;
use crucible_transformer::{CausalLm, GenerationConfig, generate};
use crucible_weights::CausalCheckpoint;
use crucible_weights::files::{load_tokenizer, tokenizer};
use serde::Deserialize;

const FIXTURE: &str = include_str!("../../../tests/fixtures/published/smollm2.json");
/// The end of a turn.
const END: u32 = 2;

#[derive(Deserialize)]
struct Said {
    text: String,
    prompt: Vec<u32>,
    generated: Vec<u32>,
}

fn continued(model: &CausalLm, prompts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let config = GenerationConfig {
        max_new_tokens: 64,
        ..GenerationConfig::default()
    };
    let decode = |_: &[u32]| String::new();
    let on_token = &mut |_: usize, _: &str| ControlFlow::Continue(());
    let prompted = model.prompt(prompts);
    let generated = generate(model, prompted, &config, &[END], &decode, on_token).unwrap();
    generated
        .into_iter()
        .map(|generated| generated.tokens)
        .collect()
}

#[test]
#[ignore = "needs the weights: CRUCIBLE_GGUF=FILE cargo test --workspace --test smollm2 -- --ignored --nocapture"]
fn it_says_what_transformers_says() {
    let path =
        PathBuf::from(std::env::var_os("CRUCIBLE_GGUF").expect("CRUCIBLE_GGUF names the file"));
    let said: Vec<Said> = serde_json::from_str(FIXTURE).unwrap();
    assert_eq!(said.len(), 10);
    let tokenizer = load_tokenizer(&tokenizer(&path).unwrap().json).unwrap();
    for said in &said {
        let ids = tokenizer.encode(said.text.as_str(), false).unwrap();
        assert_eq!(ids.get_ids(), said.prompt, "{}", said.text);
    }
    let checkpoint = CausalCheckpoint::open(&path).unwrap();
    let (model, loaded) = checkpoint.load(&path, &Device::default()).unwrap();
    assert_eq!(
        (loaded.missing.len(), loaded.unused.len()),
        (0, 0),
        "{loaded:?}"
    );
    let prompts: Vec<Vec<u32>> = said.iter().map(|said| said.prompt.clone()).collect();
    // Together, the shorter padded on the left, and one by one.
    let together = continued(&model, &prompts);
    let mut tokens = 0;
    for ((said, together), prompt) in said.iter().zip(together).zip(&prompts) {
        assert_eq!(together, said.generated, "{}", said.text);
        assert_eq!(continued(&model, std::slice::from_ref(prompt)), [together]);
        tokens += said.generated.len();
    }
    println!(
        "{tokens} tokens of {} answers are those of transformers",
        said.len()
    );
}
