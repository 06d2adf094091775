//! Where a case gets its weights and inputs, and gives back what it computed: noise made from names on the
//! host, so that all backends get the same bytes.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Gradients, Int, Tensor, TensorData};

/// Outputs and gradients by name.
pub type Values = BTreeMap<String, TensorData>;

pub const VOCABULARY: usize = 11;

/// Where a case gets its weights and inputs, and gives back what it computed.
pub struct Scene {
    pub device: Device,
    padded: f32,
    padded_positions: usize,
    inputs: Vec<(String, GradientOf)>,
}

type GradientOf = Box<dyn Fn(&Gradients) -> Option<TensorData>>;

impl Scene {
    /// `padded` is what the padded positions are to hold.
    pub fn new(device: &Device, padded: f32) -> Self {
        Self {
            device: device.clone().autodiff(),
            padded,
            padded_positions: 0,
            inputs: Vec::new(),
        }
    }

    /// How many padded positions the inputs so far have.
    pub fn padded_positions(&self) -> usize {
        self.padded_positions
    }

    /// The same model with noise for weights.
    pub fn fill<M: Module>(&self, model: M) -> M {
        model.map(&mut Fill {
            device: self.device.clone(),
            path: Vec::new(),
        })
    }

    pub fn float<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Tensor<D> {
        let length = shape.iter().product();
        self.input(name, TensorData::new(noise(name, length), shape))
    }

    /// Sequences `[batch, longest, width]` and their padding `[batch, longest]`.
    pub fn sequences(
        &mut self,
        name: &str,
        lengths: [usize; 3],
        width: usize,
    ) -> (Tensor<3>, Tensor<2, Bool>) {
        let padding = self.padding(lengths);
        let mut values = noise(name, padding.len() * width);
        for (position, padded) in values.chunks_mut(width).zip(&padding) {
            if *padded {
                position.fill(self.padded);
            }
        }
        let shape = [3, padding.len() / 3];
        let x = self.input(name, TensorData::new(values, [shape[0], shape[1], width]));
        (
            x,
            Tensor::from_data(TensorData::new(padding, shape), &self.device),
        )
    }

    /// Token ids and their padding, both `[batch, longest]`.
    pub fn texts(&mut self, lengths: [usize; 3]) -> (Tensor<2, Int>, Tensor<2, Bool>) {
        let padding = self.padding(lengths);
        let id = |(i, padded): (usize, &bool)| {
            if *padded {
                self.padded as i32
            } else {
                (7 * i % VOCABULARY) as i32
            }
        };
        let ids: Vec<i32> = padding.iter().enumerate().map(id).collect();
        let shape = [3, padding.len() / 3];
        let ids = Tensor::from_data(TensorData::new(ids, shape), &self.device);
        (
            ids,
            Tensor::from_data(TensorData::new(padding, shape), &self.device),
        )
    }

    fn padding(&mut self, lengths: [usize; 3]) -> Vec<bool> {
        let longest = lengths.into_iter().max().unwrap();
        let padding: Vec<bool> = lengths
            .into_iter()
            .flat_map(|length| (0..longest).map(move |i| i >= length))
            .collect();
        self.padded_positions += padding.iter().filter(|padded| **padded).count();
        padding
    }

    fn input<const D: usize>(&mut self, name: &str, data: TensorData) -> Tensor<D> {
        let input = Tensor::from_data(data, &self.device).require_grad();
        let gradient = {
            let input = input.clone();
            move |gradients: &Gradients| input.grad(gradients).map(Tensor::into_data)
        };
        self.inputs
            .push((format!("gradient of {name}"), Box::new(gradient)));
        input
    }

    /// The output, and the gradients of its product with noise: of each parameter and input.
    pub fn values<M: Module, const D: usize>(&self, model: &M, output: Tensor<D>) -> Values {
        let probe = noise("probe", output.shape().num_elements());
        let probe = Tensor::from_data(TensorData::new(probe, output.dims()), &self.device);
        let gradients = (output.clone() * probe).sum().backward();
        let mut named = Named {
            gradients: Some(&gradients),
            ..Named::default()
        };
        model.visit(&mut named);
        let mut values = named.values;
        values.insert("output".into(), output.into_data());
        for (name, gradient) in &self.inputs {
            values.insert(name.clone(), gradient(&gradients).unwrap());
        }
        values
    }
}

/// The weights themselves.
pub fn weights<M: Module>(model: &M) -> Values {
    let mut named = Named::default();
    model.visit(&mut named);
    named.values
}

/// Zero where there is padding: nothing is promised about the output there.
pub fn visible(x: Tensor<3>, padding: Tensor<2, Bool>) -> Tensor<3> {
    let padding = padding.unsqueeze_dim::<3>(2).expand(x.dims());
    x.mask_fill(padding, 0.0)
}

/// Numbers in [-1, 1) that depend on nothing but `name` (splitmix64).
fn noise(name: &str, length: usize) -> Vec<f32> {
    let mut state = name.bytes().fold(0u64, |state, byte| {
        state.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

struct Fill {
    device: Device,
    path: Vec<String>,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.dims();
        let path = self.path.join(".");
        // Variances are positive, and a gain around one keeps the values of deep models in range.
        let centre = if path.ends_with("gamma") || path.ends_with("running_var") {
            1.0
        } else {
            0.0
        };
        let values = noise(&path, shape.iter().product())
            .into_iter()
            .map(|x| centre + 0.3 * x);
        let data = TensorData::new(values.collect::<Vec<f32>>(), shape);
        param.map(|_| Tensor::from_data(data, &self.device).require_grad())
    }
}

/// Gradients of a model's parameters, or the parameters themselves.
#[derive(Default)]
struct Named<'a> {
    gradients: Option<&'a Gradients>,
    path: Vec<String>,
    values: Values,
}

impl ModuleVisitor for Named<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        match self.gradients {
            None => drop(self.values.insert(path, param.val().into_data())),
            Some(gradients) => match param.val().grad(gradients) {
                Some(gradient) => drop(self.values.insert(path, gradient.into_data())),
                None => assert!(path.contains("running_"), "{path} has no gradient"),
            },
        }
    }
}
