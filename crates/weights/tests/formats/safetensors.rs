//! safetensors, read and written.

use std::fs;
use std::path::Path;

use crucible_weights::Error;
use crucible_weights::files::{Tensors, save};
use serde_json::{Value, json};

use crate::{assert_expected, copied, fixture, refusal};

#[test]
fn safetensors_of_every_type_are_read() {
    let tensors = Tensors::open(&fixture("types.safetensors")).unwrap();
    assert_expected(&tensors, "types.safetensors", &["empty"]);
    assert_eq!(tensors.shape("empty").unwrap(), [0, 4]);
    assert!(tensors.read("empty").unwrap().is_empty());
    assert_eq!(tensors.shape("scalar").unwrap(), [0; 0]);
    let message = tensors.read("none").unwrap_err().to_string();
    assert!(
        message.contains("`none`: is not in the checkpoint"),
        "{message}"
    );
}

/// The one test whose values do not go through the reader on both sides.
#[test]
fn values_are_what_the_bytes_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let header = json!({
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "BF16", "shape": [1], "data_offsets": [8, 10]},
        "c": {"dtype": "F16", "shape": [3], "data_offsets": [10, 16]},
        "d": {"dtype": "I64", "shape": [1], "data_offsets": [16, 24]},
    });
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc1]); // 1, -10
    file.extend([0x40, 0x40]); // 3
    file.extend([0x00, 0x3c, 0x01, 0x00, 0xff, 0xfb]); // 1, 2^-24, -65504
    file.extend((-7i64).to_le_bytes());
    fs::write(&path, &file).unwrap();
    let tensors = Tensors::open(&path).unwrap();
    assert_eq!(tensors.read("a").unwrap(), [1.0, -10.0]);
    assert_eq!(tensors.read("b").unwrap(), [3.0]);
    assert_eq!(tensors.read("c").unwrap(), [1.0, 2f32.powi(-24), -65504.0]);
    assert_eq!(tensors.read("d").unwrap(), [-7.0]);
}

#[test]
fn a_safetensors_header_must_describe_all_of_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let refused = |header: &str, data: usize| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.resize(file.len() + data, 1);
        fs::write(&path, file).unwrap();
        refusal(&path)
    };
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#""dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}"#)
    };
    let one = tensor("F32", "[2]", "[0,8]");
    for (header, data, reason) in [
        (
            format!("{{\"a\":{{{one}}}}}"),
            7,
            "7 bytes of data where its tensors have 8",
        ),
        (
            format!("{{\"a\":{{{one}}}}}"),
            9,
            "9 bytes of data where its tensors have 8",
        ),
        (format!("{{\"a\":{{{one}}},\"b\":{{{one}}}}}"), 8, "overlap"),
        (
            format!("{{\"a\":{{{}}}}}", tensor("F32", "[2]", "[8,16]")),
            16,
            "hole",
        ),
        (
            format!("{{\"a\":{{{}}}}}", tensor("F32", "[2]", "[8,0]")),
            8,
            "hole",
        ),
        (
            format!("{{\"a\":{{{one}}},\"a\":{{{one}}}}}"),
            8,
            "`a` stands there twice",
        ),
        (
            format!("{{\"a\":{{{}}}}}", tensor("F32", "[3]", "[0,8]")),
            8,
            "do not fit",
        ),
        (
            format!("{{\"a\":{{{}}}}}", tensor("F16", "[2]", "[0,8]")),
            8,
            "its shape needs 4 bytes",
        ),
        (
            format!("{{\"a\":{{{}}}}}", tensor("F8_E4M3", "[8]", "[0,8]")),
            8,
            "is of type F8_E4M3",
        ),
        (
            format!(
                "{{\"a\":{{{}}}}}",
                tensor("F32", "[4611686018427387904,4]", "[0,8]")
            ),
            8,
            "is too large",
        ),
        (
            format!("{{\"a\":{{{}}}}}", tensor("F32", "[-2]", "[0,8]")),
            8,
            "in its header",
        ),
        ("[".repeat(10_000), 0, "in its header"),
    ] {
        let message = refused(&header, data);
        assert!(
            message.contains(reason),
            "{message}\nwhere {reason} was expected"
        );
    }
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(refusal(&path).contains("its header would have"));
    fs::write(&path, [1, 0]).unwrap();
    assert!(refusal(&path).contains("ends before byte 8"));
}

#[test]
fn a_truth_value_is_zero_or_one() {
    let (_folder, path) = copied("types.safetensors", "x.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(9)
        .position(|window| window == [1; 9])
        .unwrap();
    bytes[at + 4] = 2;
    fs::write(&path, bytes).unwrap();
    let tensors = Tensors::open(&path).unwrap();
    let message = tensors.read("bool").unwrap_err().to_string();
    assert!(message.contains("`bool`: a truth value is 2"), "{message}");
}

#[test]
fn a_file_that_shrinks_after_it_was_opened_is_an_error() {
    let (_folder, path) = copied("types.safetensors", "x.safetensors");
    let tensors = Tensors::open(&path).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length - 1).unwrap();
    let failed = tensors.names().filter(|name| tensors.read(name).is_err());
    assert_eq!(failed.count(), 1);
}

type Values = fn() -> Result<Vec<f32>, Error>;

#[test]
fn what_is_saved_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors: [(String, Vec<usize>, Values); 4] = [
        ("b".into(), vec![2, 3], || {
            Ok(vec![1.0, -2.0, 3.5, f32::MIN_POSITIVE, f32::MAX, -0.0])
        }),
        ("a".into(), vec![], || Ok(vec![7.0])),
        ("ünï \"code\"".into(), vec![1], || Ok(vec![8.0])),
        ("empty".into(), vec![0, 3], || Ok(vec![])),
    ];
    save(&path, tensors.into_iter()).unwrap();
    let read = Tensors::open(folder.path()).unwrap();
    assert_eq!(
        read.names().collect::<Vec<_>>(),
        ["a", "b", "empty", "ünï \"code\""]
    );
    assert_eq!(read.shape("b").unwrap(), [2, 3]);
    assert_eq!(
        read.read("b").unwrap(),
        [1.0, -2.0, 3.5, f32::MIN_POSITIVE, f32::MAX, -0.0]
    );
    assert_eq!(read.read("a").unwrap(), [7.0]);
    // What transformers demands, and values at a multiple of 8.
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"], json!({"format": "pt"}));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let other = folder.path().join("other");
        fs::write(&other, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
    }
}

#[test]
fn a_failed_save_leaves_the_old_file_and_no_litter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, "old").unwrap();
    let failed = |tensors: Vec<(&str, Vec<usize>, Values)>| {
        let tensors = tensors
            .into_iter()
            .map(|(name, shape, values)| (name.to_owned(), shape, values));
        save(&path, tensors).unwrap_err().to_string()
    };
    let one: Values = || Ok(vec![1.0]);
    assert!(failed(vec![("a", vec![2], one)]).contains("1 values for the shape [2]"));
    assert!(failed(vec![("a", vec![1], one), ("a", vec![1], one)]).contains("`a` is taken"));
    assert!(failed(vec![("__metadata__", vec![1], one)]).contains("is taken"));
    assert!(failed(vec![("a", vec![usize::MAX, 2], one)]).contains("is too large"));
    let broken: Values = || Tensors::open(Path::new("nowhere.safetensors"))?.read("a");
    assert!(failed(vec![("a", vec![1], one), ("b", vec![1], broken)]).contains("nowhere"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
