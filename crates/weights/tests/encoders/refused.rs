//! Checkpoints that are not what they say, and what is said of them.

use std::fs;
use std::path::Path;

use crucible_weights::files::{self, Tensors};
use crucible_weights::{
    DualCheckpoint, Error, SentenceEmbedding, TextCheckpoint, VisionCheckpoint,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{device, folder};

type Tensor = (String, Vec<usize>, Vec<f32>);

/// A copy of a fixture, with other tensors.
fn altered(name: &str, change: impl Fn(&mut Vec<Tensor>)) -> TempDir {
    let copy = reconfigured(name, |_| ());
    let original = Tensors::open(&folder(name)).unwrap();
    let tensor = |name: &str| {
        let shape = original.shape(name).unwrap().to_vec();
        (name.to_owned(), shape, original.read(name).unwrap())
    };
    let mut tensors: Vec<Tensor> = original.names().map(tensor).collect();
    change(&mut tensors);
    let file = copy.path().join(original.path().file_name().unwrap());
    fs::remove_file(&file).unwrap();
    let tensors = tensors.into_iter();
    let tensors = tensors.map(|(name, shape, values)| (name, shape, move || Ok(values)));
    files::save(&file, tensors.collect::<Vec<_>>().into_iter()).unwrap();
    copy
}

/// A copy of a fixture, with another configuration.
fn reconfigured(name: &str, change: impl Fn(&mut Value)) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(folder(name)).unwrap() {
        let file = file.unwrap().path();
        let to = copy.path().join(file.file_name().unwrap());
        if file.is_file() {
            fs::copy(&file, to).unwrap();
        }
    }
    for file in ["config.json", "open_clip_config.json"] {
        let file = copy.path().join(file);
        if let Ok(text) = fs::read_to_string(&file) {
            let mut config = serde_json::from_str(&text).unwrap();
            change(&mut config);
            fs::write(&file, config.to_string()).unwrap();
        }
    }
    copy
}

/// Of the kind that the fixture is.
fn open(name: &str, path: &Path) -> Result<Vec<String>, Error> {
    let device = device();
    let loaded = match name {
        "bert" | "roberta" => TextCheckpoint::open(path)?
            .load(path, &device)
            .map(|(_, loaded)| loaded),
        "vit" | "deit" | "dinov2" => VisionCheckpoint::open(path)?
            .load(path, &device)
            .map(|(_, loaded)| loaded),
        _ => DualCheckpoint::open(path)?
            .load(path, &device)
            .map(|(_, loaded)| loaded),
    };
    Ok(loaded?.unused)
}

/// One tensor of each fixture, with its place in our model.
const TENSORS: [(&str, &str, &str); 6] = [
    (
        "bert",
        "encoder.layer.1.output.dense.weight",
        "encoder.blocks.1.feed_forward.outer.weight",
    ),
    ("roberta", "pooler.dense.bias", "pooler.linear.bias"),
    (
        "dinov2",
        "encoder.layer.0.layer_scale1.lambda1",
        "encoder.blocks.0.attention_residual.scale",
    ),
    ("clip", "logit_scale", "log_scale"),
    (
        "siglip",
        "vision_model.head.probe",
        "vision.pooler.Attention.probe",
    ),
    (
        "open_clip",
        "visual.conv1.weight",
        "vision.patch_embedding.projection.weight",
    ),
];

#[test]
fn a_tensor_of_another_name_is_missing_and_unused() {
    for (name, theirs, ours) in TENSORS {
        let copy = altered(name, |tensors| {
            let found = tensors.iter_mut().find(|(name, ..)| name == theirs);
            found.unwrap().0 = format!("{theirs}_of_old");
        });
        let error = open(name, copy.path()).unwrap_err();
        let Error::Missing {
            missing, unused, ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(missing, ours);
        assert_eq!(*unused, format!("{theirs}_of_old"));
    }
}

#[test]
fn a_tensor_that_is_gone_is_missing() {
    for (name, theirs, ours) in TENSORS {
        let copy = altered(name, |tensors| tensors.retain(|(name, ..)| name != theirs));
        let error = open(name, copy.path()).unwrap_err();
        let Error::Missing {
            missing, unused, ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((missing.as_str(), unused.as_str()), (ours, "none"));
    }
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both() {
    for (name, theirs, ours) in TENSORS {
        let copy = altered(name, |tensors| {
            let found = tensors.iter_mut().find(|(name, ..)| name == theirs);
            let (_, shape, values) = found.unwrap();
            *shape = vec![values.len(), 3];
            values.resize(values.len() * 3, 0.0);
        });
        let error = open(name, copy.path()).unwrap_err();
        let Error::Shapes { tensors, .. } = &error else {
            panic!("{error}");
        };
        assert!(
            tensors.starts_with(&format!("`{theirs}` is [")),
            "{tensors}"
        );
        assert!(tensors.ends_with(&format!("at `{ours}`")), "{tensors}");
    }
}

#[test]
fn a_tensor_too_many_is_unused() {
    for (name, ..) in TENSORS {
        let copy = altered(name, |tensors| {
            tensors.push(("something.else".into(), vec![2], vec![1.0, 2.0]));
        });
        assert_eq!(open(name, copy.path()).unwrap(), ["something.else"]);
    }
}

#[test]
fn the_oldest_names_of_norms_are_known() {
    let copy = altered("bert", |tensors| {
        for (name, ..) in tensors {
            *name = name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
        }
    });
    assert_eq!(open("bert", copy.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn buffers_are_no_tensors_too_many() {
    for (name, buffer) in [
        ("bert", "embeddings.position_ids"),
        ("clip", "text_model.embeddings.position_ids"),
        ("clip", "vision_model.embeddings.position_ids"),
    ] {
        let copy = altered(name, |tensors| {
            tensors.push((buffer.into(), vec![2], vec![0.0, 1.0]));
        });
        assert_eq!(open(name, copy.path()).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_wrong_architecture_names_the_nearest() {
    for (name, found, near) in [
        ("bert", "albert", "bert"),
        ("bert", "xlm-roberta", "roberta"),
        ("vit", "dinov3_vit", "dinov2"),
        ("vit", "siglip2_vision_model", "siglip_vision_model"),
        ("clip", "clap", "clip"),
        ("clip", "siglip2", "siglip"),
    ] {
        let copy = reconfigured(name, |config| config["model_type"] = json!(found));
        let error = open(name, copy.path()).unwrap_err();
        let Error::Architecture {
            found: said,
            nearest,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((said.as_str(), *nearest), (found, near), "{error}");
    }
}

#[test]
fn what_is_not_supported_names_its_key() {
    let cases = [
        ("bert", "/position_embedding_type", json!("relative_key")),
        ("bert", "/is_decoder", json!(true)),
        ("bert", "/hidden_act", json!("mish")),
        ("bert", "/num_hidden_layers", json!(100_000)),
        ("bert", "/hidden_size", json!("wide")),
        ("roberta", "/max_position_embeddings", json!(2)),
        ("vit", "/qkv_bias", json!(false)),
        ("vit", "/pooler_act", json!("relu")),
        ("vit", "/pooler_output_size", json!(32)),
        ("vit", "/image_size", json!(16_000_000)),
        ("vit", "/patch_size", json!(7)),
        ("vit", "/patch_size", json!(16_000_000)),
        ("vit", "/num_channels", json!(16_000_000)),
        ("dinov2", "/mlp_ratio", json!(1e9)),
        ("clip", "/vision_config/hidden_act", json!("mish")),
        ("siglip", "/vision_config/vision_use_head", json!(false)),
        ("siglip", "/text_config/projection_size", json!(40)),
        (
            "open_clip",
            "/model_cfg/vision_cfg/timm_model_name",
            json!("resnet50"),
        ),
        (
            "open_clip",
            "/model_cfg/text_cfg/hf_model_name",
            json!("roberta-base"),
        ),
        ("open_clip", "/model_cfg/custom_text", json!(true)),
        ("open_clip", "/preprocess_cfg/resize_mode", json!("squash")),
    ];
    for (name, pointer, value) in cases {
        let (table, key) = pointer.rsplit_once('/').unwrap();
        let copy = reconfigured(name, |config| {
            config.pointer_mut(table).unwrap()[key] = value.clone();
        });
        let error = open(name, copy.path()).unwrap_err();
        let Error::Config { key: said, .. } = &error else {
            panic!("{error}");
        };
        let expected = match key {
            // Two sizes that do not fit together: ours is named.
            "projection_size" => "d_embedding",
            key => key,
        };
        assert_eq!(said, expected, "{error}");
    }
}

#[test]
fn other_ways_to_embed_sentences_are_refused() {
    for (file, change, key) in [
        (
            "modules.json",
            json!([{"type": "sentence_transformers.models.Transformer"}]),
            "modules.json",
        ),
        (
            "1_Pooling/config.json",
            json!({"pooling_mode_lasttoken": true}),
            "pooling_mode_lasttoken",
        ),
        (
            "1_Pooling/config.json",
            json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}),
            "1_Pooling/config.json",
        ),
    ] {
        let copy = reconfigured("minilm", |_| ());
        let pooling = copy.path().join("1_Pooling");
        fs::create_dir(&pooling).unwrap();
        let original = folder("minilm").join("1_Pooling/config.json");
        fs::copy(original, pooling.join("config.json")).unwrap();
        assert!(SentenceEmbedding::open(copy.path()).unwrap().is_some());
        fs::write(copy.path().join(file), change.to_string()).unwrap();
        let error = SentenceEmbedding::open(copy.path()).unwrap_err();
        assert!(
            matches!(&error, Error::Config { key: said, .. } if said == key),
            "{error}"
        );
    }
    assert_eq!(SentenceEmbedding::open(&folder("bert")).unwrap(), None);
    let error = SentenceEmbedding::open(reconfigured("minilm", |_| ()).path()).unwrap_err();
    assert!(
        error.to_string().contains("1_Pooling/config.json"),
        "{error}"
    );
}
