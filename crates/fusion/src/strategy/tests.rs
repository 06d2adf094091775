use super::*;
use crate::fixture;
use crate::testing::difference;
use crate::{Missing, Modalities};
use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Tensor, TensorData};
use crucible_transformer::{linear, project};

#[test]
fn every_strategy_keeps_its_promises() {
    for name in FusionConfig::names() {
        println!("{name}");
        let config = FusionConfig::named(name, 2).unwrap();
        fixture::check(|block, device| config.init(block, device));
    }
}

#[test]
fn names_are_unique_and_speak_of_their_source() {
    let names: Vec<&str> = FusionConfig::names().collect();
    assert!(names.len() >= 20);
    for (number, described) in STRATEGIES.iter().enumerate() {
        assert!(!names[..number].contains(&described.name));
        assert!(described.about.len() > 20, "{}", described.name);
        // As a configuration names it.
        let config = FusionConfig::named(described.name, 1).unwrap();
        let json = serde_json::to_value(&config).unwrap();
        assert_eq!(json["strategy"], described.name);
        let layered = json.get("layers").is_some();
        assert_eq!(layered, described.layer != Sublayers::NONE);
        assert!(layered || described.family == Family::Late);
    }
    assert!(FusionConfig::named("no such", 1).is_none());
}

/// A layer's parameters are those its [`Sublayers`] stand for, up to norms, biases and what is small beside them.
#[test]
fn layers_are_as_large_as_they_say() {
    let (block, device) = (BlockConfig::new(64, 2, 128), Device::flex());
    for Described { name, layer, .. } in STRATEGIES {
        let count = |layers| {
            let fusion = FusionConfig::named(name, layers)
                .unwrap()
                .init(&block, &device);
            fusion.num_params() as f64
        };
        let linears = 4 * layer.attentions + 4 * layer.feed_forwards + layer.linears;
        let units = linears * 64 * 64;
        let more = count(3) - count(2);
        let expected = units as f64..=1.03 * units as f64;
        assert!(expected.contains(&more), "{name}: {more} for {units}");
    }
}

#[test]
fn tokens_have_met_where_more_than_pooled_vectors_meet() {
    let (device, block) = (Device::flex(), fixture::block());
    for Described {
        name,
        family,
        least,
        ..
    } in STRATEGIES
    {
        let fusion = FusionConfig::named(name, *least)
            .unwrap()
            .init(&block, &device);
        let modalities = fixture::modalities(&block, &device);
        let change = |encoded: &mut crucible_transformer::Encoded| {
            encoded.tokens = encoded.tokens.clone().flip([2]) * 2.0;
            encoded.pooled = encoded.pooled.clone() * -2.0;
        };
        let [mut of_image, mut of_text] = [modalities.clone(), modalities.clone()];
        change(&mut of_image.image);
        change(&mut of_text.text);
        let (image, text) = fusion.tokens(modalities);
        assert_eq!(image.values.dims(), [6, 5, block.d_model], "{name}");
        assert_eq!(text.values.dims(), [6, 4, block.d_model], "{name}");
        assert_eq!(text.padding.clone().unwrap().dims(), [6, 4], "{name}");
        // The words with another image, the patches with another text.
        let words = difference(text.values, fusion.tokens(of_image).1.values) > 1e-4;
        let patches = difference(image.values, fusion.tokens(of_text).0.values) > 1e-4;
        assert_eq!(words || patches, *family != Family::Late, "{name}");
    }
}

#[test]
fn an_image_weighs_between_nothing_and_everything() {
    let (device, block) = (Device::flex(), fixture::block());
    let mut found = 0;
    for name in FusionConfig::names() {
        let fusion = FusionConfig::named(name, 1).unwrap().init(&block, &device);
        let weight = fusion.image_weight(fixture::modalities(&block, &device));
        assert_eq!(weight.is_some(), fusion.weighs(), "{name}");
        let Some(weight) = weight else { continue };
        let weights: Vec<f32> = weight.into_data().try_to_vec().unwrap();
        assert!(
            weights.iter().all(|weight| (0.0..1.0).contains(weight)),
            "{weights:?}"
        );
        assert!(weights.len() == 6 && weights.iter().any(|weight| *weight != weights[0]));
        found += 1;
    }
    assert!(found >= 2, "{found}");
}

/// A strategy with a head of one hidden layer.
struct Decider {
    fusion: Fusion,
    inner: Linear,
    outer: Linear,
}

impl Decider {
    fn new(name: &str) -> Self {
        let device = Device::flex();
        let config = FusionConfig::named(name, 1).unwrap();
        Self {
            fusion: config.init(&fixture::block(), &device),
            inner: linear(8, 16, &device),
            outer: linear(16, 3, &device),
        }
    }

    fn decide(&self, modalities: Modalities) -> Tensor<2> {
        let head = |x| project(&self.outer, project(&self.inner, x).tanh());
        self.fusion.decide(modalities, &head)
    }
}

/// A sum of judgements has no interaction: what a pair of images makes of a difference in the text is the same.
#[test]
fn decisions_add_up_at_the_decision_level_and_nowhere_else() {
    let (device, block) = (Device::flex(), fixture::block());
    for name in FusionConfig::names() {
        // Pairs 0 to 2 and 3 to 5 are three texts with either image.
        let logits = Decider::new(name).decide(fixture::modalities(&block, &device));
        let relative = logits.clone() - logits.narrow(1, 0, 1);
        let of_image =
            |row| relative.clone().narrow(0, row, 2) - relative.clone().narrow(0, row + 1, 2);
        let interaction = difference(of_image(0), of_image(3));
        // As its name says.
        let additive = name.starts_with("decision-");
        assert_eq!(interaction < 1e-5, additive, "{name}: {interaction}");
    }
}

#[test]
fn experts_that_lack_their_modality_leave_the_decision_to_the_other() {
    let (device, block) = (Device::flex(), fixture::block());
    let whole = fixture::modalities(&block, &device);
    let all = || {
        Some(Tensor::<1, Bool>::from_data(
            TensorData::from([true; 6]),
            &device,
        ))
    };
    let mut alone = [whole.clone(), whole.clone(), whole.clone()];
    alone[0].missing = Missing {
        image: all(),
        text: None,
    };
    alone[1].missing = Missing {
        image: None,
        text: all(),
    };
    alone[2].missing = Missing {
        image: all(),
        text: all(),
    };
    // The mean of what each says.
    let average = Decider::new("decision-average");
    let [text, image, none] = alone.clone().map(|m| average.decide(m));
    let both = average.decide(whole.clone());
    assert!(difference(both, (image + text) / 2.0) < 1e-6);
    assert_eq!(difference(none, Tensor::zeros([6, 3], &device)), 0.0);
    // The product of what each says, as a probability again.
    let product = Decider::new("decision-product");
    let said = |m| log_softmax(product.decide(m), 1);
    let [text, image, _] = alone.map(said);
    assert!(difference(said(whole), log_softmax(image + text, 1)) < 1e-5);
}

#[test]
fn modality_dropout_drops_in_training_alone_and_never_both() {
    let block = fixture::block();
    let device = Device::flex().autodiff();
    let fusion =
        FusionConfig::EarlyDropout(crate::ModalityDropoutConfig::new(1).with_probability(0.9));
    let fusion = fusion.init(&block, &device);
    let modalities = fixture::modalities(&block, &device);
    let [a, b] = [(); 2].map(|()| fusion.forward(modalities.clone()));
    assert!(difference(a, b) > 1e-4);
    let (fusion, still) = (fusion.valid(), fixture::modalities(&block, &Device::flex()));
    let [a, b] = [(); 2].map(|()| fusion.forward(still.clone()));
    assert_eq!(difference(a, b), 0.0);
}
