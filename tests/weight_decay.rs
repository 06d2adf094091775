//! Weight decay leaves the embeddings, positions and tokens of the real models alone.

use burn::tensor::Device;
use crucible_downstream::{Vqa, VqaModel};
use crucible_training::Recipe;
use crucible_training::optimizer::parameters;
use crucible_transformer::Pooling;

/// The `vqa` recipe's model, with `[CLS]` tokens.
fn model(strategy: &str) -> VqaModel {
    let choices = toml::Table::from_iter([("fusion".into(), toml::Value::from(strategy))]);
    let mut config = Vqa::preset("smoke", &choices);
    config.model.pooling = Pooling::Cls;
    config.init(30, 13, &Device::flex())
}

/// Neither a bias nor of a norm.
fn tables(strategy: &str) -> Vec<String> {
    let undecayed = parameters(&model(strategy), 1.0).into_iter();
    let undecayed = undecayed.filter(|parameter| !parameter.decays);
    let plain = |path: &String| {
        let field = path.rsplit('.').next().unwrap();
        !["bias", "gamma", "beta"].contains(&field)
    };
    undecayed
        .map(|parameter| parameter.path)
        .filter(plain)
        .collect()
}

#[test]
fn embeddings_positions_and_tokens_do_not_decay() {
    let towers = [
        "encoder.vision.class_token",
        "encoder.vision.position.Learned",
        "encoder.text.embeddings.word.weight",
        "encoder.text.embeddings.position.Learned",
    ];
    for strategy in crucible_fusion::FusionConfig::NAMES {
        let mut expected = towers.to_vec();
        if strategy == "early" {
            expected.push("encoder.fusion.Early.modality");
        }
        assert_eq!(tables(strategy), expected, "{strategy}");
    }
}
