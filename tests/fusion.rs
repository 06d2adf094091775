//! Every fusion strategy against PyTorch: `tests/reference/fusion.py` writes the fixture and says what each was
//! compared with. A strategy that the fixture does not have is tested by `crates/fusion` alone.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Gradients, Int, Tensor};
use burn_store::{ModuleSnapshot, ModuleStore, SafetensorsStore, bridge};
use crucible_fusion::{Fusion, FusionConfig, Missing, Modalities, Strategy};
use crucible_kernels::flops::counted;
use crucible_transformer::{BlockConfig, Encoded};

/// Largest difference of an output, relative to the largest entry of its tensor (at least one).
const FORWARD: f32 = 1e-5;
/// Largest difference of a gradient, likewise.
const GRADIENT: f32 = 2e-5;
/// Largest difference of a count of floating-point operations.
const FLOPS: f64 = 0.1;

struct Fixture {
    store: SafetensorsStore,
    device: Device,
}

impl Fixture {
    fn open(device: Device) -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/fusion.safetensors"
        );
        Self {
            store: SafetensorsStore::from_file(path),
            device,
        }
    }

    fn has(&mut self, name: &str) -> bool {
        self.store.get_tensor(name).unwrap().is_some()
    }

    fn float<const D: usize>(&mut self, name: &str) -> Tensor<D> {
        let tensor = self.store.get_tensor(name).unwrap();
        let tensor = tensor.unwrap_or_else(|| panic!("no {name}"));
        Tensor::from_data(bridge::to_data(tensor).unwrap(), &self.device)
    }

    fn int<const D: usize>(&mut self, name: &str) -> Tensor<D, Int> {
        let tensor = self.store.get_tensor(name).unwrap();
        let tensor = tensor.unwrap_or_else(|| panic!("no {name}"));
        Tensor::from_data(bridge::to_data(tensor).unwrap(), &self.device)
    }

    fn flags(&mut self, name: &str) -> Tensor<1, Bool> {
        self.int(name).equal_elem(1)
    }

    fn modalities(&mut self) -> Modalities {
        let encoded = |fixture: &mut Self, name: &str, mask| Encoded {
            tokens: fixture.float(&format!("input/{name}/tokens")),
            pooled: fixture.float(&format!("input/{name}/pooled")),
            mask,
        };
        let padding = self.int::<2>("input/text/padding").equal_elem(1);
        Modalities {
            image: encoded(self, "image", None),
            text: encoded(self, "text", Some(padding)),
            image_of: self.int("input/image_of"),
            text_of: self.int("input/text_of"),
            missing: Missing::default(),
        }
    }

    fn without_some(&mut self) -> Modalities {
        Modalities {
            missing: Missing {
                image: Some(self.flags("input/missing/image")),
                text: Some(self.flags("input/missing/text")),
            },
            ..self.modalities()
        }
    }

    /// The strategy with the weights of its twin; every tensor must find its place.
    fn strategy(&mut self, name: &str) -> Fusion {
        let config = match FusionConfig::named(name, 2) {
            // What is dropped by chance cannot be compared.
            Some(FusionConfig::EarlyDropout(config)) => {
                FusionConfig::EarlyDropout(config.with_probability(0.0))
            }
            Some(FusionConfig::LateMutan(config)) => FusionConfig::LateMutan(config.with_width(64)),
            config => config.unwrap(),
        };
        let mut fusion = config.init(&BlockConfig::new(8, 2, 16), &self.device);
        let prefix = format!("{name}/param/");
        let tensors = self.store.get_all_tensors().unwrap().values().cloned();
        let tensors = tensors.filter_map(|mut tensor| {
            tensor.name = tensor.name.strip_prefix(&prefix)?.to_owned();
            Some(tensor)
        });
        let result = fusion.apply(tensors.collect(), None, None, true);
        let whole =
            result.errors.is_empty() && result.missing.is_empty() && result.unused.is_empty();
        assert!(whole, "{name}: {result}");
        fusion
    }
}

fn assert_close<const D: usize>(name: &str, found: Tensor<D>, expected: Tensor<D>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims(), "{name}");
    let largest = expected.clone().abs().max().into_scalar::<f32>().max(1.0);
    let difference = (found - expected).abs().max().into_scalar::<f32>();
    assert!(
        difference <= tolerance * largest,
        "{name}: {difference} of {largest}"
    );
}

/// Compares the gradient of every parameter of a strategy.
struct Compare<'a> {
    fixture: &'a mut Fixture,
    gradients: Gradients,
    name: &'a str,
    path: Vec<String>,
    compared: usize,
}

impl ModuleVisitor for Compare<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // The first name is that of the enum's variant.
        let key = format!("{}/grad/{}", self.name, self.path[1..].join("."));
        let expected = self.fixture.float::<D>(&key).inner();
        let found = param.val().grad(&self.gradients);
        assert_close(
            &key,
            found.unwrap_or_else(|| panic!("no {key}")),
            expected,
            GRADIENT,
        );
        self.compared += 1;
    }
}

fn known(fixture: &mut Fixture) -> Vec<&'static str> {
    let names = FusionConfig::names();
    let known: Vec<_> = names
        .filter(|name| fixture.has(&format!("{name}/output")))
        .collect();
    assert!(known.len() >= 20, "{known:?}");
    known
}

#[test]
fn outputs_and_gradients_are_those_of_the_twins() {
    let mut fixture = Fixture::open(Device::flex().autodiff());
    for name in known(&mut fixture) {
        let fusion = fixture.strategy(name);
        let missing = fusion.forward(fixture.without_some());
        let expected = fixture.float::<2>(&format!("{name}/output_missing"));
        assert_close(&format!("{name}, missing"), missing, expected, FORWARD);
        let output = fusion.forward(fixture.modalities());
        let expected = fixture.float::<2>(&format!("{name}/output"));
        assert_close(name, output.clone(), expected, FORWARD);
        if fusion.num_params() == 0 {
            continue;
        }
        let gradients = (output * fixture.float("direction")).sum().backward();
        let mut compare = Compare {
            fixture: &mut fixture,
            gradients,
            name,
            path: Vec::new(),
            compared: 0,
        };
        fusion.visit(&mut compare);
        let compared = compare.compared;
        let gradients = fixture.store.keys().unwrap();
        let prefix = format!("{name}/grad/");
        let expected = gradients.iter().filter(|key| key.starts_with(&prefix));
        assert_eq!(compared, expected.count(), "{name}");
    }
}

#[test]
fn decisions_are_those_of_the_twins() {
    let mut fixture = Fixture::open(Device::flex());
    for name in ["decision-average", "decision-product"] {
        let fusion = fixture.strategy(name);
        let (weight, bias) = (
            fixture.float::<2>("head/weight"),
            fixture.float::<1>("head/bias"),
        );
        let head = move |x: Tensor<2>| x.matmul(weight.clone()) + bias.clone().unsqueeze::<2>();
        for (key, modalities) in [
            ("decision", fixture.modalities()),
            ("decision_missing", fixture.without_some()),
        ] {
            let key = format!("{name}/{key}");
            let found = fusion.decide(modalities, &head);
            let expected = fixture.float::<2>(&key);
            assert_close(&key, found, expected, FORWARD);
        }
    }
}

/// What is counted here, beside what PyTorch's counter says of the twins.
#[test]
fn operations_are_those_that_a_counter_finds_in_the_twins() {
    let mut fixture = Fixture::open(Device::flex());
    for name in known(&mut fixture) {
        let fusion = fixture.strategy(name);
        let modalities = fixture.modalities();
        let (_, found) = counted(|| fusion.forward(modalities));
        let expected = fixture
            .int::<1>(&format!("{name}/flops"))
            .into_scalar::<i64>();
        println!("{name}: {found} here, {expected} in PyTorch");
        let off = found as f64 / f64::max(expected as f64, 1.0) - 1.0;
        let same = found == 0 && expected == 0;
        assert!(
            same || off.abs() <= FLOPS,
            "{name}: {found} here, {expected} in PyTorch"
        );
    }
}
