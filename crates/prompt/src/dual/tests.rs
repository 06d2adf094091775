use super::*;
use crate::testing::{assert_gradients_reach_everything, device, difference, values};
use burn::module::ModuleMapper;
use burn::tensor::TensorData;
use crucible_fusion::DualEncoderConfig;
use crucible_transformer::{EncoderConfig, TextEncoderConfig};
use crucible_vision::VitConfig;

/// An image tower of three layers and a text tower of two, of unlike widths.
fn model() -> DualEncoder {
    let vision = VitConfig::new(16, 8, EncoderConfig::new(8, 2, 12, 3));
    let text = TextEncoderConfig::new(11, 6, EncoderConfig::new(12, 3, 16, 2));
    let model = DualEncoderConfig::new(vision, text, 32).init(&device());
    model.no_grad()
}

fn embedded(prompt: &DualPrompt, model: &DualEncoder) -> [Tensor<2>; 2] {
    let images = prompt.embed_images(model, values([3, 3, 16, 16], 1, &device()));
    let (ids, padding) = texts();
    [images, prompt.embed_texts(model, ids, padding)]
}

fn depth(layers: usize) -> DeepPromptConfig {
    DeepPromptConfig { tokens: 4, layers }
}

#[test]
fn each_kind_changes_its_tower_and_trains_alone() {
    let model = model();
    let none = DualPromptConfig::None
        .init(&model, &SoftPromptInit::Normal, &device())
        .unwrap();
    assert_eq!(none.num_params(), 0);
    let plain = embedded(&none, &model);
    for (config, changed, parameters) in [
        (DualPromptConfig::Text(depth(2)), [false, true], 2 * 4 * 12),
        (DualPromptConfig::Vision(depth(3)), [true, false], 3 * 4 * 8),
        (DualPromptConfig::Both(depth(1)), [true, true], 4 * (12 + 8)),
        (
            DualPromptConfig::Coupled(depth(2)),
            [true, true],
            2 * (4 * 12 + 12 * 8 + 8),
        ),
    ] {
        let prompt = config
            .init(&model, &SoftPromptInit::Normal, &device())
            .unwrap();
        assert_eq!(prompt.num_params(), parameters, "{config:?}");
        // Vectors that begin near zero change little.
        let prompt = prompt.map(&mut Large);
        let [images, texts] = embedded(&prompt, &model);
        for ((found, plain), changed) in [&images, &texts].into_iter().zip(&plain).zip(changed) {
            let by = difference(found.clone(), plain.clone());
            assert_eq!(by > 1e-3, changed, "{config:?}: {by}");
        }
        assert_gradients_reach_everything(&prompt, Tensor::cat(vec![images, texts], 0));
    }
}

/// Vectors that are normal, and a network whose hidden units are open for some image.
fn conditional(model: &DualEncoder) -> DualPrompt {
    let config = DualPromptConfig::Conditional(depth(2));
    let prompt = config.init(model, &SoftPromptInit::Normal, &device());
    let mut prompt = prompt.unwrap();
    let meta = prompt.meta.as_mut().unwrap();
    let shape = meta.inner.weight.dims();
    meta.inner.weight = Param::from_tensor(values(shape, 4, &device()));
    prompt.map(&mut Large)
}

fn texts() -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let ids = Tensor::from_data([[1i32, 2, 3], [4, 5, 0]], &device());
    let padding = TensorData::from([[false; 3], [false, false, true]]);
    (ids, Tensor::from_data(padding, &device()))
}

/// Of length one.
fn seen() -> Tensor<2> {
    let images: Tensor<2> = values([3, 32], 7, &device());
    images.clone() / images.square().sum_dim(1).sqrt()
}

#[test]
fn each_image_changes_every_vector_before_the_words_by_the_same() {
    let model = model();
    let prompt = conditional(&model);
    assert!(prompt.is_conditional());
    // Two layers of four vectors, and a network of two hidden units.
    assert_eq!(prompt.num_params(), 2 * 4 * 12 + 33 * 2 + 3 * 12);
    let (ids, padding) = texts();
    let embedded = prompt.embed_texts_for(&model, seen(), ids.clone(), padding.clone());
    assert_eq!(embedded.dims(), [6, 32]);
    assert_gradients_reach_everything(&prompt, embedded.clone());
    let added = prompt.meta.as_ref().unwrap().forward(seen());
    for image in 0..3 {
        let of_image = embedded.clone().narrow(0, 2 * image, 2);
        let vectors = prompt.text.as_ref().unwrap().val();
        let own = added.clone().narrow(0, image, 1).unsqueeze::<3>();
        let plain = DualPrompt {
            text: Some(Param::from_tensor((vectors + own).detach())),
            meta: None,
            ..prompt.clone()
        };
        let expected = plain.embed_texts(&model, ids.clone(), padding.clone());
        assert!(difference(of_image.clone(), expected) < 1e-5);
        let next = embedded.clone().narrow(0, 2 * ((image + 1) % 3), 2);
        assert!(difference(of_image, next) > 1e-4);
    }
    // Where no image adds anything, all texts are the same for each.
    let plain = DualPrompt {
        meta: None,
        ..prompt
    };
    let embedded = plain.embed_texts_for(&model, seen(), ids.clone(), padding.clone());
    let expected = plain.embed_texts(&model, ids, padding).repeat_dim(0, 3);
    assert!(difference(embedded, expected) < 1e-5);
}

#[test]
fn a_prompt_may_begin_as_words() {
    let model = model();
    let words = SoftPromptInit::Words { ids: vec![3, 7] };
    let config = DualPromptConfig::Both(depth(2));
    let prompt = config.init(&model, &words, &device()).unwrap();
    let first = prompt
        .of_words()
        .unwrap()
        .narrow(0, 0, 1)
        .squeeze_dim::<2>(0);
    let known = model.text.embeddings.word.weight.val();
    for (row, word) in [3, 7, 3, 7].into_iter().enumerate() {
        let word = known.clone().narrow(0, word, 1);
        assert_eq!(difference(first.clone().narrow(0, row, 1), word), 0.0);
    }
    let unknown = SoftPromptInit::Words { ids: vec![11] };
    let error = config.init(&model, &unknown, &device()).unwrap_err();
    assert_eq!(error.field, "ids");
}

#[test]
fn attention_of_the_image_tower_is_told_layer_by_layer() {
    let model = model();
    let images = || values([3, 3, 16, 16], 1, &device());
    let prompt = |config: DualPromptConfig| {
        let prompt = config.init(&model, &SoftPromptInit::Normal, &device());
        prompt.unwrap()
    };
    let coupled = prompt(DualPromptConfig::Coupled(depth(2)));
    let shares = coupled.attention(&model, images()).unwrap();
    assert_eq!(shares.dims(), [3, 3]);
    let expected = coupled.of_patches().unwrap().unsqueeze_dim(1);
    let expected = model
        .vision
        .attention_to_prompt(images(), expected)
        .unwrap();
    assert_eq!(difference(shares, expected), 0.0);
    let text = prompt(DualPromptConfig::Text(depth(2)));
    assert!(text.attention(&model, images()).is_none());
}

#[test]
fn prompts_of_more_layers_than_there_are_are_refused() {
    let model = model();
    for (config, field) in [
        (DualPromptConfig::Text(depth(3)), "layers"),
        (DualPromptConfig::Vision(depth(4)), "layers"),
        (DualPromptConfig::Coupled(depth(3)), "layers"),
        (DualPromptConfig::Conditional(depth(3)), "layers"),
        (DualPromptConfig::Both(depth(0)), "layers"),
        (
            DualPromptConfig::Text(DeepPromptConfig {
                tokens: 0,
                layers: 1,
            }),
            "tokens",
        ),
    ] {
        assert_eq!(config.check(&model).unwrap_err().field, field, "{config:?}");
    }
    assert_eq!(DualPromptConfig::Vision(depth(3)).check(&model), Ok(()));
}

/// Ten times as large.
struct Large;

impl ModuleMapper for Large {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|x| (x * 10.0).detach().require_grad())
    }
}
