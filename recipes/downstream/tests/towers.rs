//! Where the models of a comparison start. A target by itself: the generator of initial weights is one for the process.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use crucible_downstream::Vqa;
use crucible_fusion::FusionConfig;
use crucible_training::Recipe;
use crucible_training::fit::draw;
use std::collections::BTreeMap;

#[derive(Default)]
struct Weights {
    path: Vec<String>,
    found: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found
            .insert(self.path.join("."), param.val().into_data());
    }
}

fn initial(strategy: &str, seed: u64) -> BTreeMap<String, TensorData> {
    let choices = toml::Table::from_iter([("fusion".into(), toml::Value::from(strategy))]);
    let (config, device) = (Vqa::preset("smoke", &choices), Device::flex());
    let model = config.init(30, 13, &device);
    draw(&model, &device, seed);
    let mut weights = Weights::default();
    model.visit(&mut weights);
    weights.found
}

#[test]
fn towers_start_alike_whatever_fuses_them() {
    let late = initial("late", 3);
    let random = |path: &&String| path.ends_with("weight") && !path.contains("norm");
    for strategy in FusionConfig::names() {
        let other = initial(strategy, 3);
        let towers = other
            .keys()
            .filter(|path| path.starts_with("encoder.vision") || path.starts_with("encoder.text"));
        let shared: Vec<&String> = towers.filter(|path| late.contains_key(*path)).collect();
        // The stem, the embeddings, and every layer that both have.
        assert!(shared.len() >= 8, "{strategy}: {shared:?}");
        for path in &shared {
            assert!(late[*path] == other[*path], "{strategy}: {path}");
        }
        assert!(
            other.keys().any(|path| path.starts_with("hidden"))
                && late["hidden.weight"] == other["hidden.weight"]
        );
    }
    // The same with another seed is another start.
    let other = initial("late", 4);
    assert!(
        late.keys()
            .filter(random)
            .all(|path| late[path] != other[path])
    );
}
