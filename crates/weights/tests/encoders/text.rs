//! Text encoders.

use burn::tensor::Tensor;
use crucible_transformer::{Pooling, TextEncoder};
use crucible_weights::{SentenceEmbedding, TextCheckpoint};

use crate::fixture::{Golden, assert_whole, device, folder, masked_lm};

fn states(encoder: &TextEncoder, golden: &mut Golden) -> Tensor<3> {
    let types = "input.token_type_ids";
    let types = golden.has(types).then(|| golden.ids(types));
    let (ids, padding) = (golden.ids("input.ids"), golden.padding());
    let states = encoder.hidden_states(ids.clone(), types.clone(), Some(padding.clone()));
    assert!(!golden.has(&format!("hidden.{}", states.len())));
    for (layer, state) in states.into_iter().enumerate() {
        golden.assert_states(&format!("hidden.{layer}"), state, Some(padding.clone()));
    }
    let encoded = encoder.forward(ids, types, Some(padding));
    if golden.has("pooled") {
        golden.assert_near("pooled", encoded.pooled.clone());
    }
    if golden.has("embeds") {
        let sentence = SentenceEmbedding::open(&folder("minilm")).unwrap();
        let expected = SentenceEmbedding {
            pooling: Pooling::Mean,
            normalize: true,
        };
        assert_eq!(sentence, Some(expected));
        golden.assert_near("embeds", expected.forward(&encoded));
    }
    encoded.tokens
}

#[test]
fn text_encoders_give_what_transformers_gives() {
    for (name, golden) in [
        ("bert", "bert"),
        ("bert-bin", "bert"),
        ("roberta", "roberta"),
        ("minilm", "minilm"),
    ] {
        let path = folder(name);
        let checkpoint = TextCheckpoint::open(&path).unwrap();
        assert_eq!(
            checkpoint.config.first_position,
            usize::from(name == "roberta") * 2
        );
        assert!(checkpoint.head.is_none());
        let (encoder, loaded) = checkpoint.load(&path, &device()).unwrap();
        assert_whole(&loaded);
        states(&encoder, &mut Golden::open(golden));
    }
}

#[test]
fn words_are_told_as_transformers_tells_them() {
    let (path, mut golden) = (folder("bert-mlm"), Golden::open("bert-mlm"));
    let checkpoint = TextCheckpoint::open(&path).unwrap();
    let (model, loaded) = masked_lm(&checkpoint, &path).unwrap();
    assert_whole(&loaded);
    let tokens = states(&model.encoder, &mut golden);
    let [batch, length, width] = tokens.dims();
    let words = model.encoder.embeddings.word.weight.val();
    let logits = model
        .head
        .forward(tokens.reshape([batch * length, width]), words);
    let logits = logits.reshape([batch as i32, length as i32, -1]);
    let padding = golden.padding();
    golden.assert_states("logits", logits, Some(padding));
}

#[test]
fn a_head_is_reported_where_the_model_has_none() {
    let path = folder("bert-mlm");
    let checkpoint = TextCheckpoint::open(&path).unwrap();
    let (encoder, loaded) = checkpoint.load(&path, &device()).unwrap();
    assert!(encoder.pooler.is_none());
    assert_eq!(
        loaded.unused,
        [
            "cls.predictions.bias",
            "cls.predictions.transform.LayerNorm.bias",
            "cls.predictions.transform.LayerNorm.weight",
            "cls.predictions.transform.dense.bias",
            "cls.predictions.transform.dense.weight",
        ]
    );
}
