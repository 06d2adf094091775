//! Which files of a folder are meant, and which may be.

use std::fs;
use std::path::Path;

use crucible_weights::files::{Tensors, config, holds_weights};
use serde_json::json;

use crate::{assert_expected, copied, fixture, refusal};

#[test]
fn shards_are_one_checkpoint() {
    for path in ["sharded", "sharded/model.safetensors.index.json"] {
        let tensors = Tensors::open(&fixture(path)).unwrap();
        assert_expected(&tensors, "sharded", &[]);
        assert_eq!(
            tensors.path(),
            fixture("sharded/model.safetensors.index.json")
        );
    }
    let (folder, _) = copied("pytorch_model.bin", "part.bin");
    let index = folder.path().join("pytorch_model.bin.index.json");
    fs::write(index, r#"{"weight_map": {"base": "part.bin"}}"#).unwrap();
    let tensors = Tensors::open(folder.path()).unwrap();
    assert_eq!(tensors.names().collect::<Vec<_>>(), ["base"]);
}

/// As `sha256sum` prints them.
#[test]
fn each_file_of_tensors_has_its_digest() {
    let digests = |path: &str| {
        let tensors = Tensors::open(&fixture(path)).unwrap();
        tensors.digests(&mut |line| panic!("{line}")).unwrap()
    };
    let sharded = digests("sharded").into_iter().collect::<Vec<_>>();
    let expected = [
        (
            "model-00001-of-00002.safetensors",
            "538e69e6b334ea7e6cd2320a64c9c521971ef6cc87880cf2cedd3fad6433d181",
        ),
        (
            "model-00002-of-00002.safetensors",
            "aafee70c8c1e71cc4872a3a1f586257e711a8a8160294baba44337ff2bafa1df",
        ),
    ];
    assert_eq!(
        sharded,
        expected.map(|(file, digest)| (file.to_owned(), digest.to_owned()))
    );
    let digest = "6a75e66aadd75508e00cf658ecb973a7d27d89df6c1cc0281597bd887b81f3e5";
    assert_eq!(digests("llama.gguf")["llama.gguf"], digest);
}

#[test]
fn a_folder_of_a_gguf_alone_holds_weights() {
    let (folder, path) = copied("llama.gguf", "model-q4.gguf");
    let empty = tempfile::tempdir().unwrap();
    assert!(holds_weights(folder.path()) && holds_weights(&path));
    assert!(!holds_weights(empty.path()) && !holds_weights(&empty.path().join("none")));
}

#[test]
fn an_index_names_files_of_its_own_folder_that_have_its_tensors() {
    let outside = tempfile::tempdir().unwrap();
    let (folder, _) = copied("types.safetensors", "part.safetensors");
    let index = folder.path().join("model.safetensors.index.json");
    let refused = |tensor: &str, file: &str| {
        let content = json!({"weight_map": {tensor: file}}).to_string();
        fs::write(&index, content).unwrap();
        refusal(folder.path())
    };
    let secret = outside.path().join("secret.safetensors");
    fs::copy(fixture("types.safetensors"), &secret).unwrap();
    let relative = format!(
        "../{}/secret.safetensors",
        outside.path().file_name().unwrap().display()
    );
    for file in [secret.to_str().unwrap(), relative.as_str(), "", "."] {
        let message = refused("f32", file);
        assert!(
            message.contains("must be a path below the folder"),
            "{message}"
        );
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, folder.path().join("link.safetensors")).unwrap();
        let message = refused("f32", "link.safetensors");
        assert!(message.contains("leads out of the folder"), "{message}");
    }
    let message = refused("f32", "missing.safetensors");
    assert!(message.contains("missing.safetensors"), "{message}");
    let message = refused("other", "part.safetensors");
    assert!(
        message.contains("`other`: should be in `part.safetensors`"),
        "{message}"
    );
    let message = refused("f32", "model.safetensors.index.json");
    assert!(message.contains("an index within an index"), "{message}");
}

/// The Hugging Face cache keeps files elsewhere and links to them.
#[cfg(unix)]
#[test]
fn shards_of_the_hugging_face_cache_are_found() {
    let cache = tempfile::tempdir().unwrap();
    let [blobs, snapshot] = ["blobs", "snapshots/0123"].map(|name| cache.path().join(name));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for (blob, file) in fs::read_dir(fixture("sharded")).unwrap().enumerate() {
        let file = file.unwrap();
        let blob = blob.to_string();
        fs::copy(file.path(), blobs.join(&blob)).unwrap();
        let target = Path::new("../../blobs").join(blob);
        std::os::unix::fs::symlink(target, snapshot.join(file.file_name())).unwrap();
    }
    assert_expected(&Tensors::open(&snapshot).unwrap(), "sharded", &[]);
}

#[test]
fn open_clip_has_names_of_its_own() {
    let (folder, _) = copied("types.safetensors", "open_clip_model.safetensors");
    let write = |name: &str| {
        fs::write(folder.path().join(name), json!({"from": name}).to_string()).unwrap();
        config(folder.path()).unwrap()["from"].clone()
    };
    assert_eq!(write("open_clip_config.json"), "open_clip_config.json");
    assert_eq!(write("config.json"), "open_clip_config.json");
    fs::copy(
        fixture("types.safetensors"),
        folder.path().join("model.safetensors"),
    )
    .unwrap();
    assert_eq!(write("config.json"), "config.json");
}

#[test]
fn what_is_no_checkpoint_says_what_would_be() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(folder.path()).contains("has none of model.safetensors, "));
    for name in ["x.safetensors", "folder"] {
        assert!(refusal(&folder.path().join(name)).contains("check that it exists"));
    }
    fs::write(folder.path().join("x.onnx"), "x").unwrap();
    assert!(refusal(&folder.path().join("x.onnx")).contains("of no known format"));
    fs::create_dir(folder.path().join("model.safetensors")).unwrap();
    assert!(refusal(folder.path()).contains("not a regular file"));
}
