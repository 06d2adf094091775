//! Losses and gradients of continuous prompts are those of Hugging Face `peft`: fixtures of
//! `tests/reference/prompting.py`.

use std::path::{Path, PathBuf};

use burn::module::{Module, Param};
use burn::nn::{BiLstm, GateController, Linear};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use crucible_prompt::prefix::{
    PTuning, Prefix, PrefixTuning, Prefixed, Reparameterisation, SoftPrompt,
};
use crucible_transformer::CausalLm;
use crucible_weights::CausalCheckpoint;
use crucible_weights::files::Tensors;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// What peft computed.
struct Golden(Tensors);

impl Golden {
    fn of(name: &str) -> Self {
        let path = fixtures().join(format!("prompt/{name}.safetensors"));
        Self(Tensors::open(&path).unwrap())
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape = self.0.shape(name).unwrap().to_vec();
        let data = TensorData::new(self.0.read(name).unwrap(), shape);
        Tensor::from_data(data, &device())
    }

    fn param<const D: usize>(&self, name: &str) -> Param<Tensor<D>> {
        Param::from_tensor(self.tensor(&format!("prompt.{name}")))
    }

    /// PyTorch has weights as `[output, input]`.
    fn linear(&self, name: &str) -> Linear {
        Linear {
            weight: Param::from_tensor(
                self.tensor::<2>(&format!("prompt.{name}.weight"))
                    .transpose(),
            ),
            bias: Some(self.param(&format!("{name}.bias"))),
        }
    }

    /// One gate of four that PyTorch has below each other.
    fn gate(&self, layer: &str, gate: usize) -> GateController {
        let linear = |side: &str| {
            let weight = self.tensor::<2>(&format!("prompt.lstm_head.weight_{side}_{layer}"));
            let bias = self.tensor::<1>(&format!("prompt.lstm_head.bias_{side}_{layer}"));
            let hidden = bias.dims()[0] / 4;
            Linear {
                weight: Param::from_tensor(weight.narrow(0, gate * hidden, hidden).transpose()),
                bias: Some(Param::from_tensor(bias.narrow(0, gate * hidden, hidden))),
            }
        };
        GateController {
            input_transform: linear("ih"),
            hidden_transform: linear("hh"),
        }
    }

    fn close<const D: usize>(&self, name: &str, found: Tensor<D>) {
        let expected = self.tensor::<D>(name);
        assert_eq!(found.dims(), expected.dims(), "{name}");
        let [found, expected] = [found, expected].map(Tensor::into_data);
        let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
        let worst = pairs
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, |a: f32, b| match a.is_nan() {
                true => a,
                false if b > a || b.is_nan() => b,
                false => a,
            });
        println!("{name}: {worst:.1e}");
        assert!(worst < 1e-5, "{name}: {worst}");
    }

    fn gradient<const D: usize>(
        &self,
        name: &str,
        param: &Param<Tensor<D>>,
        gradients: &Gradients,
    ) -> Tensor<D> {
        let gradient = param.val().grad(gradients);
        gradient.unwrap_or_else(|| panic!("{name} has no gradient"))
    }

    fn linear_gradients(&self, name: &str, layer: &Linear, gradients: &Gradients) {
        let weight = self.gradient(name, &layer.weight, gradients).transpose();
        self.close(&format!("grad.{name}.weight"), weight);
        let bias = self.gradient(name, layer.bias.as_ref().unwrap(), gradients);
        self.close(&format!("grad.{name}.bias"), bias);
    }

    fn lstm_gradients(&self, layer: &str, lstm: &burn::nn::Lstm, gradients: &Gradients) {
        let forget = lstm.forget_gate.as_ref().unwrap();
        let gates = [&lstm.input_gate, forget, &lstm.cell_gate, &lstm.output_gate];
        let sides = [
            ("ih", gates.map(|gate| &gate.input_transform)),
            ("hh", gates.map(|gate| &gate.hidden_transform)),
        ];
        for (side, linears) in sides {
            let name = |what: &str| format!("lstm_head.{what}_{side}_{layer}");
            let weights = linears.map(|linear| {
                self.gradient(&name("weight"), &linear.weight, gradients)
                    .transpose()
            });
            let biases = linears.map(|linear| {
                self.gradient(&name("bias"), linear.bias.as_ref().unwrap(), gradients)
            });
            self.close(
                &format!("grad.{}", name("weight")),
                Tensor::cat(weights.into(), 0),
            );
            self.close(
                &format!("grad.{}", name("bias")),
                Tensor::cat(biases.into(), 0),
            );
        }
    }
}

fn gpt2() -> CausalLm {
    let folder = fixtures().join("weights/gpt2");
    let checkpoint = CausalCheckpoint::open(&folder).unwrap();
    // Dropout has no place here.
    checkpoint.load(&folder, &device()).unwrap().0.freeze()
}

/// Checks the loss and gives the gradients.
fn backward(golden: &Golden, prefix: Prefix) -> (Prefix, Gradients) {
    let places = prefix.places();
    let model = Prefixed::new(gpt2(), prefix).unwrap();
    let shape = golden.0.shape("input.ids").unwrap().to_vec();
    let [rows, length] = [shape[0], shape[1]];
    let ids: Vec<i32> = golden
        .0
        .read("input.ids")
        .unwrap()
        .iter()
        .map(|&id| id as i32)
        .collect();
    let seen = golden.0.read("input.mask").unwrap();
    let padding: Vec<Vec<bool>> = seen
        .chunks(length)
        .map(|row| row.iter().map(|&seen| seen == 0.0).collect())
        .collect();
    let words =
        Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [rows, length]), &device());
    let states = model.forward(model.backbone.embed(words), &padding);
    assert_eq!(states.dims()[1], places + length);
    let logits = model.backbone.logits(states);
    let log = log_softmax(logits, 2);
    // The place before each word tells it; the first word is told by what of the prompt has a place.
    let mut told = Vec::new();
    for row in 0..rows {
        for word in 0..length {
            if padding[row][word] || places + word == 0 {
                continue;
            }
            let place = log
                .clone()
                .narrow(0, row, 1)
                .narrow(1, places + word - 1, 1);
            let id = ids[row * length + word] as usize;
            told.push(place.narrow(2, id, 1).reshape([1]));
        }
    }
    let loss = Tensor::<1>::cat(told, 0).mean().neg();
    golden.close("loss", loss.clone());
    let gradients = loss.backward();
    (model.prefix, gradients)
}

#[test]
fn prompt_tuning() {
    let golden = Golden::of("prompt-tuning");
    let vectors = golden.param("embedding.weight");
    let (prefix, gradients) = backward(&golden, Prefix::PromptTuning(SoftPrompt { vectors }));
    let Prefix::PromptTuning(prompt) = prefix else {
        unreachable!()
    };
    let gradient = golden.gradient("vectors", &prompt.vectors, &gradients);
    golden.close("grad.embedding.weight", gradient);
}

#[test]
fn p_tuning() {
    for (name, layers) in [
        (
            "p-tuning-mlp",
            &["mlp_head.0", "mlp_head.2", "mlp_head.4"][..],
        ),
        ("p-tuning-lstm", &["mlp_head.0", "mlp_head.2"]),
    ] {
        let golden = Golden::of(name);
        let lstm = |layer: usize| {
            let name = |direction: &str| format!("l{layer}{direction}");
            let [forward, reverse] = ["", "_reverse"].map(|direction| {
                let gate = |number| golden.gate(&name(direction), number);
                let hidden = golden.0.shape("prompt.lstm_head.weight_hh_l0").unwrap()[1];
                let inputs = gate(0).input_transform.weight.dims()[0];
                // PyTorch's order: input, forget, cell, output.
                burn::nn::Lstm {
                    input_gate: gate(0),
                    forget_gate: Some(gate(1)),
                    cell_gate: gate(2),
                    output_gate: gate(3),
                    ..burn::nn::LstmConfig::new(inputs, hidden, true).init(&device())
                }
            });
            BiLstm {
                d_hidden: forward.d_hidden,
                batch_first: true,
                forward,
                reverse,
            }
        };
        let lstms = if name.ends_with("lstm") { 2 } else { 0 };
        let prompt = PTuning {
            inner: golden.param("embedding.weight"),
            lstms: (0..lstms).map(lstm).collect(),
            layers: layers.iter().map(|name| golden.linear(name)).collect(),
        };
        let (prefix, gradients) = backward(&golden, Prefix::PTuning(prompt));
        let Prefix::PTuning(prompt) = prefix else {
            unreachable!()
        };
        let gradient = golden.gradient("inner", &prompt.inner, &gradients);
        golden.close("grad.embedding.weight", gradient);
        for (name, layer) in layers.iter().zip(&prompt.layers) {
            golden.linear_gradients(name, layer, &gradients);
        }
        for (layer, lstm) in prompt.lstms.iter().enumerate() {
            golden.lstm_gradients(&format!("l{layer}"), &lstm.forward, &gradients);
            golden.lstm_gradients(&format!("l{layer}_reverse"), &lstm.reverse, &gradients);
        }
    }
}

#[test]
fn prefix_tuning() {
    for (name, projects) in [("prefix-tuning", false), ("prefix-tuning-mlp", true)] {
        let golden = Golden::of(name);
        let network = projects.then(|| Reparameterisation {
            inner: golden.linear("transform.0"),
            outer: golden.linear("transform.2"),
        });
        let prefix = PrefixTuning {
            table: golden.param("embedding.weight"),
            network,
        };
        let (prefix, gradients) = backward(&golden, Prefix::PrefixTuning(prefix));
        let Prefix::PrefixTuning(prefix) = prefix else {
            unreachable!()
        };
        let gradient = golden.gradient("table", &prefix.table, &gradients);
        golden.close("grad.embedding.weight", gradient);
        if let Some(network) = &prefix.network {
            golden.linear_gradients("transform.0", &network.inner, &gradients);
            golden.linear_gradients("transform.2", &network.outer, &gradients);
        }
    }
}
