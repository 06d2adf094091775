//! Fixtures of `tests/reference/weights.py`: checkpoints, and what transformers computes with them.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use crucible_weights::files::Tensors;
use crucible_weights::rules::Rules;
use crucible_weights::{export, save_folder};
use serde_json::Value;

/// The folder of a checkpoint.
pub fn folder(name: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/weights");
    Path::new(fixtures).join(name)
}

/// A folder with a copy of a checkpoint whose configuration was changed.
pub fn changed(name: &str, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in folder(name).read_dir().unwrap() {
        let file = file.unwrap().path();
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    let path = copy.path().join("config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
    copy
}

/// What is expected.
pub struct Golden(Tensors);

impl Golden {
    pub fn of(name: &str) -> Self {
        Self(Tensors::open(&folder(name).join("golden.safetensors")).unwrap())
    }

    pub fn floats<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape = self.0.shape(name).unwrap().to_vec();
        Tensor::from_data(
            TensorData::new(self.0.read(name).unwrap(), shape),
            &Device::default(),
        )
    }

    pub fn tokens(&self, name: &str) -> Vec<u32> {
        let values = self.0.read(name).unwrap();
        values.into_iter().map(|value| value as u32).collect()
    }

    /// Ids, `[sequences, length]`.
    pub fn ids(&self, name: &str) -> Tensor<2, Int> {
        let &[rows, length] = self.0.shape(name).unwrap() else {
            panic!("{name} is no table");
        };
        ids(&self.tokens(name), [rows, length])
    }

    /// Rows of a mask, `true` = padding.
    pub fn padding(&self, name: &str) -> Vec<Vec<bool>> {
        let length = self.0.shape(name).unwrap()[1];
        let seen = self.tokens(name);
        let rows = seen.chunks(length);
        rows.map(|row| row.iter().map(|&seen| seen == 0).collect())
            .collect()
    }
}

pub fn ids(tokens: &[u32], shape: [usize; 2]) -> Tensor<2, Int> {
    let tokens: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    Tensor::from_data(TensorData::new(tokens, shape), &Device::default())
}

pub fn bools(rows: &[Vec<bool>]) -> Tensor<2, Bool> {
    let shape = [rows.len(), rows[0].len()];
    let values: Vec<bool> = rows.iter().flatten().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

/// That all numbers agree to 1e-4, but for those of padding.
pub fn assert_close(
    what: &str,
    found: Tensor<3>,
    expected: Tensor<3>,
    padding: Option<&[Vec<bool>]>,
) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let wrong = (found - expected).abs();
    let wrong = match padding {
        Some(padding) => {
            let shape = wrong.dims();
            wrong.mask_fill(bools(padding).unsqueeze_dim::<3>(2).expand(shape), 0.0)
        }
        None => wrong,
    };
    let largest = wrong
        .into_data()
        .iter::<f32>()
        .fold(0.0, |a: f32, b| match a.is_nan() {
            true => a,
            false if b > a || b.is_nan() => b,
            false => a,
        });
    println!("{what}: {largest:.1e}");
    assert!(largest < 1e-4, "{what}: {largest}");
}

/// The most likely token of each sequence.
pub fn likeliest(scores: Tensor<2>) -> Vec<u32> {
    let [rows, _] = scores.dims();
    let ids = scores.argmax(1).reshape([rows]).into_data();
    ids.iter::<i64>().map(|id| id as u32).collect()
}

/// That a model is written as the checkpoint `name` has it: the same names, shapes and bits.
pub fn assert_exports<M: Module>(name: &str, model: &M, rules: &Rules) {
    let written = tempfile::tempdir().unwrap();
    let path = written.path().join("model.safetensors");
    export(model, rules, &path).unwrap();
    assert_same(&folder(name), &path);
}

fn assert_same(original: &Path, written: &Path) {
    let [original, written] = [original, written].map(|path| Tensors::open(path).unwrap());
    let names = |tensors: &Tensors| tensors.names().map(String::from).collect::<Vec<_>>();
    assert_eq!(names(&written), names(&original));
    for name in original.names() {
        assert_eq!(written.shape(name), original.shape(name), "{name}");
        let bits = |tensors: &Tensors| -> Vec<u32> {
            let values = tensors.read(name).unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        assert!(bits(&written) == bits(&original), "{name}");
    }
}

/// That the checkpoint `name` is written as a folder, with its texts, once. `CRUCIBLE_EXPORTS` names where the folder is
/// kept, for `tests/reference/roundtrip.py`.
pub fn assert_saves<M: Module>(name: &str, model: &M, rules: &Rules, json: &Value) {
    let written = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("CRUCIBLE_EXPORTS").map(PathBuf::from);
    let path = kept.as_deref().unwrap_or(written.path()).join(name);
    save_folder(&path, model, rules, json, &folder(name)).unwrap();
    assert_same(&folder(name), &path);
    let config: Value =
        serde_json::from_slice(&fs::read(path.join("config.json")).unwrap()).unwrap();
    assert_eq!(&config, json);
    let text = |folder: &Path| fs::read(folder.join("generation_config.json")).unwrap();
    assert_eq!(text(&path), text(&folder(name)));
    let others = path.parent().unwrap().read_dir().unwrap();
    let hidden = |name: &std::ffi::OsString| name.to_string_lossy().starts_with('.');
    assert!(
        !others
            .map(|file| file.unwrap().file_name())
            .any(|name| hidden(&name))
    );
    let again = save_folder(&path, model, rules, json, &folder(name)).unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
}
