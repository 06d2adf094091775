use std::ops::ControlFlow;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use crucible_transformer::{
    AttentionPattern, CausalLm, CausalLmConfig, EncoderConfig, Generates, GenerationConfig,
    LinearAttentionConfig, TextEncoder, TextEncoderConfig, generate,
};
use crucible_vision::{Vit, VitConfig};

use super::*;
use crate::testing::{assert_gradients_reach_everything, device, difference, values};

/// All numbers of a model, with the paths and shapes of its parameters.
#[derive(Debug, Default, PartialEq)]
struct Numbers(Vec<(String, Vec<usize>, Vec<u32>)>, Vec<String>);

fn numbers_of<M: Module>(model: &M) -> Numbers {
    let mut numbers = Numbers::default();
    model.visit(&mut numbers);
    numbers
}

impl ModuleVisitor for Numbers {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data();
        let bits = values.iter::<f32>().map(f32::to_bits).collect();
        self.0.push((self.1.join("."), param.dims().to_vec(), bits));
    }
}

/// Of two layers, with heads that share keys and positions that turn them.
fn language() -> CausalLm {
    let config = CausalLmConfig::new(11, 24, 12, 6, 20, 2).with_kv_heads(2);
    config.init(&device())
}

fn text() -> TextEncoder {
    TextEncoderConfig::new(6, 4, EncoderConfig::new(8, 2, 12, 2)).init(&device())
}

fn vision() -> Vit {
    VitConfig::new(16, 8, EncoderConfig::new(8, 2, 12, 2)).init(&device())
}

fn soft(tokens: usize) -> SoftPromptConfig {
    SoftPromptConfig::new(tokens)
}

/// One of each kind that a causal model takes.
fn of_language() -> Vec<PrefixConfig> {
    let lstm = PTuningConfig::new(3).with_encoder(PromptEncoder::Lstm);
    vec![
        PrefixConfig::PromptTuning(soft(3)),
        PrefixConfig::PromptTuning(soft(3).with_init(SoftPromptInit::Uniform)),
        PrefixConfig::of_words(3, vec![4, 2]),
        PrefixConfig::PTuning(PTuningConfig::new(3)),
        PrefixConfig::PTuning(lstm.with_hidden(5)),
        PrefixConfig::PrefixTuning(PrefixTuningConfig::new(3)),
        PrefixConfig::PrefixTuning(PrefixTuningConfig::new(3).with_hidden(5)),
    ]
}

/// One of each kind that an encoder takes.
fn of_encoders() -> Vec<PrefixConfig> {
    vec![
        PrefixConfig::PTuning(PTuningConfig::new(3)),
        PrefixConfig::Deep(DeepPromptConfig::new(3, 1)),
        PrefixConfig::Deep(DeepPromptConfig::new(3, 2)),
    ]
}

fn before<M: Backbone>(backbone: M, config: &PrefixConfig) -> Prefixed<M> {
    let prefix = config.init(&backbone.sizes(), &device()).unwrap();
    Prefixed::new(backbone, prefix).unwrap()
}

fn ids<const L: usize>(rows: [[i32; L]; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::from(rows), device)
}

/// Two sequences, the second of them padded.
fn padding() -> [Vec<bool>; 2] {
    [vec![false; 4], vec![false, false, true, true]]
}

fn of_words(model: &Prefixed<CausalLm>) -> Tensor<3> {
    let device = model.backbone.word.weight.val().device();
    let x = model
        .backbone
        .embed(ids([[1, 2, 3, 4], [5, 6, 0, 0]], &device));
    let states = model.forward(x, &padding());
    // What stands in padding is nobody's.
    let [_, length, _] = states.dims();
    states.narrow(1, 0, length - 2)
}

#[test]
fn all_of_every_prompt_trains_and_nothing_else() {
    for config in of_language() {
        let model = before(language(), &config);
        assert_gradients_reach_everything(&model, of_words(&model));
        let expected = config.parameters(&model.backbone.sizes());
        assert_eq!(model.prefix.num_params(), expected, "{config:?}");
    }
    for config in of_encoders() {
        let model = before(text(), &config);
        let words = ids([[1, 2, 3, 4], [5, 1, 0, 0]], &device());
        let hidden = [[false; 4], [false, false, true, true]];
        let hidden = Tensor::<2, Bool>::from_data(TensorData::from(hidden), &device());
        let encoded = model.forward(words, None, Some(hidden));
        assert_eq!(encoded.tokens.dims(), [2, 4, 8]);
        assert_gradients_reach_everything(&model, encoded.pooled);
        let expected = config.parameters(&model.backbone.sizes());
        assert_eq!(model.prefix.num_params(), expected, "{config:?}");
        let model = before(vision(), &config);
        let encoded = model.forward(values([2, 3, 16, 16], 1, &device()));
        assert_gradients_reach_everything(&model, encoded.pooled);
    }
}

/// With weight decay, which moves whatever an optimizer takes.
#[test]
fn steps_move_the_prompt_and_no_bit_of_the_model() {
    for config in of_language() {
        let mut model = before(language(), &config);
        let (of_model, of_prompt) = (numbers_of(&model.backbone), numbers_of(&model.prefix));
        let decay = Some(WeightDecayConfig::new(0.1));
        let mut optimizer = SgdConfig::new().with_weight_decay(decay).init();
        for _ in 0..3 {
            let loss = (of_words(&model) * values([1, 1, 12], 5, &device())).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.1, model, gradients);
        }
        assert_eq!(numbers_of(&model.backbone), of_model, "{config:?}");
        assert_ne!(numbers_of(&model.prefix), of_prompt, "{config:?}");
    }
}

#[test]
fn gradients_of_keys_and_values_are_differences_of_the_loss() {
    let weights = values([1, 1, 12], 5, &device());
    for hidden in [0, 5] {
        let config = PrefixTuningConfig::new(3).with_hidden(hidden);
        // With words as large as what they attend to: the first norm bends a small stream sharply.
        let mut backbone = language();
        backbone.word.weight = backbone.word.weight.map(|words| words * 50.0);
        let mut model = before(backbone, &PrefixConfig::PrefixTuning(config));
        let loss = |model: &Prefixed<CausalLm>| (of_words(model) * weights.clone()).sum();
        let table = |model: &Prefixed<CausalLm>| match &model.prefix {
            Prefix::PrefixTuning(prefix) => prefix.table.clone(),
            _ => panic!("another kind"),
        };
        let original = table(&model);
        let gradients = loss(&model).backward();
        let gradient = original.val().grad(&gradients).unwrap();
        let largest = gradient.clone().abs().max().into_scalar::<f32>();
        let direction = values(gradient.dims(), 3, &device());
        let exact = (gradient * direction.clone().inner())
            .sum()
            .into_scalar::<f32>();
        let mut at = |step: f64| {
            let moved = original.val().detach() + direction.clone() * step;
            if let Prefix::PrefixTuning(prefix) = &mut model.prefix {
                prefix.table = Param::from_data(moved.into_data(), &device());
            }
            loss(&model).into_scalar::<f32>()
        };
        let numeric = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!(largest > 1e-4);
        assert!(
            (numeric - exact).abs() < 2e-3 * exact.abs().max(1.0),
            "{numeric} for {exact}"
        );
    }
}

#[test]
fn what_is_fixed_does_the_same() {
    for config in of_language() {
        let model = before(language(), &config);
        let fixed = Prefixed::new(model.backbone.clone(), model.prefix.fixed()).unwrap();
        assert!(matches!(
            fixed.prefix,
            Prefix::PromptTuning(_) | Prefix::PrefixTuning(_)
        ));
        assert_eq!(difference(of_words(&model), of_words(&fixed)), 0.0);
    }
}

/// Both prompts at once, of different lengths, against each as one sequence without a cache.
#[test]
fn texts_go_on_after_every_prompt() {
    let config = GenerationConfig {
        max_new_tokens: 5,
        ..GenerationConfig::default()
    };
    for prefix in of_language() {
        let model = before(language(), &prefix).valid();
        let prompts = [vec![1, 2, 3, 4], vec![5, 6]];
        let taken = model.prompt(&prompts);
        let generated = generate(
            &model,
            taken,
            &config,
            &[],
            &|_| String::new(),
            &mut |_, _| ControlFlow::Continue(()),
        );
        for (prompt, generated) in prompts.iter().zip(generated.unwrap()) {
            let mut words = prompt.clone();
            for _ in 0..5 {
                let ids: Vec<i32> = words.iter().map(|&id| id as i32).collect();
                let ids = TensorData::new(ids, [1, words.len()]);
                let x = model
                    .backbone
                    .embed(Tensor::from_data(ids, &device().inner()));
                let states = model.forward(x, &[vec![false; words.len()]]);
                let [_, length, _] = states.dims();
                let scores = model.backbone.logits(states.narrow(1, length - 1, 1));
                words.push(scores.argmax(2).into_scalar::<i64>() as u32);
            }
            assert_eq!(generated.tokens, words[prompt.len()..], "{prefix:?}");
        }
    }
}

#[test]
fn a_text_leaves_room_for_the_prompt() {
    for prefix in of_language() {
        assert_eq!(Generates::max_length(&before(language(), &prefix)), 21);
    }
}

#[test]
fn prompts_begin_as_they_are_told() {
    let sizes = language().sizes();
    let words = sizes.words.clone().unwrap();
    let vectors = |config: SoftPromptConfig| config.init(&sizes, &device()).vectors.val();
    let ids = vec![4, 2];
    let of_words = vectors(soft(3).with_init(SoftPromptInit::Words { ids }));
    for (row, word) in [4, 2, 4].into_iter().enumerate() {
        let word = words.clone().narrow(0, word, 1);
        assert_eq!(difference(of_words.clone().narrow(0, row, 1), word), 0.0);
    }
    // Of several layers the first; the others are drawn.
    let (encoder, config) = (text().sizes(), DeepPromptConfig::new(3, 2));
    let init = SoftPromptInit::Words { ids: vec![4, 2] };
    let deep = config.init(&init, &encoder, &device()).vectors;
    assert!(deep.is_require_grad());
    let [first, second] = [0, 1].map(|layer| deep.val().narrow(0, layer, 1).squeeze_dim::<2>(0));
    let of_encoder = encoder.words.clone().unwrap();
    for (row, word) in [4, 2, 4].into_iter().enumerate() {
        let word = of_encoder.clone().narrow(0, word, 1);
        assert_eq!(difference(first.clone().narrow(0, row, 1), word), 0.0);
    }
    let largest = second.abs().max().into_scalar::<f32>();
    assert!(0.0 < largest && largest < 0.2, "{largest}");
    let uniform = vectors(soft(20).with_init(SoftPromptInit::Uniform));
    let range = |x: Tensor<2>| [x.clone().min(), x.max()].map(|x| x.into_scalar::<f32>());
    let ([min, max], [least, most]) = (range(uniform), range(words));
    assert!(least <= min && min < 0.8 * least && 0.8 * most < max && max <= most);
}

#[test]
fn what_does_not_fit_names_the_field() {
    let (causal, image) = (language().sizes(), vision().sizes());
    // Six places for five tokens and one of a prompt.
    let encoder = EncoderConfig::new(8, 2, 12, 2);
    let bounded = AttentionPattern::Linear(LinearAttentionConfig {
        projected: 2,
        max_length: 6,
        shared: false,
    });
    let tight = VitConfig::new(16, 8, encoder.clone().with_attention(bounded));
    let tight = tight.init(&device()).sizes();
    let text = TextEncoderConfig::new(6, 4, encoder.with_attention(bounded));
    let text = text.init(&device()).sizes();
    assert_eq!(
        (tight.room, text.room, image.room),
        (Some(1), Some(2), None)
    );
    let words = |ids| PrefixConfig::of_words(2, ids);
    let uniform = soft(2).with_init(SoftPromptInit::Uniform);
    for (config, sizes, field) in [
        (PrefixConfig::PromptTuning(soft(0)), &causal, "tokens"),
        (PrefixConfig::PromptTuning(soft(24)), &causal, "tokens"),
        (
            PrefixConfig::PTuning(PTuningConfig::new(0)),
            &causal,
            "tokens",
        ),
        (
            PrefixConfig::PrefixTuning(PrefixTuningConfig::new(0)),
            &causal,
            "tokens",
        ),
        (
            PrefixConfig::PrefixTuning(PrefixTuningConfig::new(24)),
            &causal,
            "tokens",
        ),
        (
            PrefixConfig::PrefixTuning(PrefixTuningConfig::new(2)),
            &image,
            "prefix",
        ),
        (
            PrefixConfig::Deep(DeepPromptConfig::new(0, 1)),
            &image,
            "tokens",
        ),
        (
            PrefixConfig::Deep(DeepPromptConfig::new(2, 1)),
            &tight,
            "tokens",
        ),
        (PrefixConfig::PromptTuning(soft(3)), &text, "tokens"),
        (PrefixConfig::deep(0), &image, "layers"),
        (PrefixConfig::deep(3), &image, "layers"),
        (PrefixConfig::deep(1), &causal, "prefix"),
        (words(Vec::new()), &causal, "ids"),
        (words(vec![3, 11]), &causal, "ids"),
        (words(vec![3]), &image, "ids"),
        (PrefixConfig::PromptTuning(uniform), &image, "init"),
    ] {
        let error = config.init(sizes, &device()).unwrap_err();
        assert_eq!(error.field, field, "{config:?}");
    }
    for config in [
        PrefixConfig::prompt_tuning(),
        PrefixConfig::p_tuning(PromptEncoder::Lstm),
        PrefixConfig::prefix_tuning(),
    ] {
        assert_eq!(config.check(&causal), Ok(()));
    }
    for config in [PrefixConfig::deep(1), PrefixConfig::deep(2)] {
        assert_eq!(config.check(&image), Ok(()));
    }
}

#[test]
fn configurations_are_written_by_their_names() {
    let config = PrefixConfig::of_words(3, vec![4, 2]);
    let json = serde_json::to_value(&config).unwrap();
    let expected = serde_json::json!({
        "prefix": "prompt-tuning", "tokens": 3, "init": {"kind": "words", "ids": [4, 2]},
    });
    assert_eq!(json, expected);
    let json = r#"{"prefix": "p-tuning", "tokens": 3, "encoder": "lstm", "hidden": 0}"#;
    let config: PrefixConfig = serde_json::from_str(json).unwrap();
    let PrefixConfig::PTuning(config) = config else {
        panic!("another kind")
    };
    assert_eq!((config.encoder, config.hidden), (PromptEncoder::Lstm, 0));
}

#[test]
fn a_prompt_comes_back_from_its_numbers() {
    for config in of_language() {
        let model = before(language(), &config);
        let keys = matches!(model.prefix, Prefix::PrefixTuning(_));
        let prefix = Prefix::of(model.prefix.numbers(), keys, &device()).unwrap();
        let again = Prefixed::new(model.backbone.clone(), prefix).unwrap();
        assert_eq!(difference(of_words(&again), of_words(&model)), 0.0);
        // Before a model of other sizes it is refused.
        let other = Prefix::of(model.prefix.numbers(), !keys, &device()).unwrap();
        assert!(other.check(&model.backbone.sizes()).is_err(), "{config:?}");
    }
    for shape in [vec![1, 0], vec![2], vec![1, 1, 2]] {
        let count = shape.iter().product();
        let numbers = TensorData::new(vec![0f32; count], shape);
        assert!(Prefix::of(numbers, false, &device()).is_none());
    }
}
