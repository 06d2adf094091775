//! What goes out is what came in, name by name and bit by bit.

use std::fs;
use std::path::PathBuf;

use burn::module::Module;
use crucible_weights::files::Tensors;
use crucible_weights::rules::Rules;
use crucible_weights::{DualCheckpoint, TextCheckpoint, VisionCheckpoint, export};

use crate::fixture::{classifier, classifier_rules, device, folder, masked_lm, masked_rules};

/// Exports to a folder as the fixture is one, in CRUCIBLE_EXPORTS where that is set: `tests/reference/roundtrip.py` says
/// what the library makes of it.
fn assert_returns<M: Module>(name: &str, model: &M, rules: &Rules) {
    let original = folder(name);
    let temporary = tempfile::tempdir().unwrap();
    let folder = match std::env::var_os("CRUCIBLE_EXPORTS") {
        Some(exports) => PathBuf::from(exports).join(name),
        None => temporary.path().join(name),
    };
    fs::create_dir_all(&folder).unwrap();
    for file in fs::read_dir(&original).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|end| end == "json") {
            fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
        }
    }
    let expected = Tensors::open(&original).unwrap();
    let file = folder.join(expected.path().file_name().unwrap());
    export(model, rules, &file).unwrap();
    let found = Tensors::open(&file).unwrap();
    let names = |tensors: &Tensors| tensors.names().map(String::from).collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected), "{name}");
    for tensor in expected.names() {
        assert_eq!(
            found.shape(tensor),
            expected.shape(tensor),
            "{tensor} of {name}"
        );
        let bits = |tensors: &Tensors| -> Vec<u32> {
            let values = tensors.read(tensor).unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&found), bits(&expected), "{tensor} of {name}");
    }
}

#[test]
fn text_encoders_return() {
    for name in ["bert", "roberta", "minilm"] {
        let checkpoint = TextCheckpoint::open(&folder(name)).unwrap();
        let (model, _) = checkpoint.load(&folder(name), &device()).unwrap();
        assert_returns(name, &model, &checkpoint.rules);
    }
    let path = folder("bert-mlm");
    let checkpoint = TextCheckpoint::open(&path).unwrap();
    let (model, _) = masked_lm(&checkpoint, &path).unwrap();
    assert_returns("bert-mlm", &model, &masked_rules(&checkpoint));
}

#[test]
fn image_encoders_return() {
    for name in ["vit", "deit", "dinov2", "dinov2-swiglu"] {
        let checkpoint = VisionCheckpoint::open(&folder(name)).unwrap();
        let (model, _) = checkpoint.load(&folder(name), &device()).unwrap();
        assert_returns(name, &model, &checkpoint.rules);
    }
    let path = folder("vit-classifier");
    let checkpoint = VisionCheckpoint::open(&path).unwrap();
    let (model, _) = classifier(&checkpoint, &path);
    assert_returns("vit-classifier", &model, &classifier_rules(&checkpoint));
}

#[test]
fn dual_encoders_return() {
    for name in [
        "clip",
        "clip-gelu",
        "open_clip",
        "open_clip-quickgelu",
        "siglip",
    ] {
        let checkpoint = DualCheckpoint::open(&folder(name)).unwrap();
        let (model, _) = checkpoint.load(&folder(name), &device()).unwrap();
        assert_returns(name, &model, &checkpoint.rules);
    }
}
