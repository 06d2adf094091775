//! Weight decay leaves the embeddings, positions and tokens of the real models alone.

use burn::tensor::Device;
use crucible_downstream::Vqa;
use crucible_shared::VqaModel;
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
    let fusion = |path: &String| path.starts_with("encoder.fusion.");
    for strategy in crucible_fusion::FusionConfig::names() {
        let (of_fusion, rest): (Vec<_>, Vec<_>) = tables(strategy).into_iter().partition(fusion);
        assert_eq!(rest, towers, "{strategy}");
        // What a fusion does not let decay is learned tokens and gates, and no weight of a layer.
        let layer = |path: &String| path.ends_with(".weight");
        assert!(!of_fusion.iter().any(layer), "{of_fusion:?}");
        if strategy == "early" {
            assert_eq!(of_fusion, ["encoder.fusion.Early.modality"]);
        }
    }
}

/// Mid fusion, from the pixels up: stem, tower, co-attention, head.
#[test]
fn the_lower_a_layer_the_slower_it_learns() {
    let scale = |path: &str| {
        let mut all = parameters(&model("mid"), 0.5).into_iter();
        let found = all.find(|parameter| parameter.path == path);
        found.unwrap_or_else(|| panic!("no {path}")).scale
    };
    let tower = scale("encoder.vision.encoder.blocks.0.attention.query.weight");
    let fusion = scale("encoder.fusion.Mid.layers.0.image.cross_attention.query.weight");
    assert_eq!(scale("output.weight"), 1.0);
    assert!(tower < fusion && fusion < 1.0, "{tower} {fusion}");
    for below in [
        "class_token",
        "patch_embedding.stem.0.norm.gamma",
        "patch_embedding.projection.bias",
    ] {
        assert_eq!(
            scale(&format!("encoder.vision.{below}")),
            tower / 2.0,
            "{below}"
        );
    }
}
