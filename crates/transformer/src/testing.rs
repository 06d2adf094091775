//! What the unit tests share; `crucible-vision` includes this file by its path.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// The CPU, with gradients: modules on it behave as in training.
pub fn device() -> Device {
    Device::flex().autodiff()
}

/// The same well spread values between -1 and 1 each time; another `seed`, other values.
pub fn values<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count)
        .map(|i| ((i + 7919 * seed) as f32 * 12.9898).sin())
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Largest difference of two tensors; NaN when either holds one.
pub fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    let [a, b] = [a, b].map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap());
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs())
        .fold(
            0.0,
            |worst: f32, d| if d > worst || d.is_nan() { d } else { worst },
        )
}

/// Back from a weighted sum of `output`: every parameter has a finite gradient that is not zero.
pub fn assert_gradients_reach_everything<M: Module, const D: usize>(module: &M, output: Tensor<D>) {
    let weights = values(output.dims(), 99, &output.device());
    let mut check = Check {
        gradients: (output * weights).sum().backward(),
        path: Vec::new(),
        parameters: 0,
    };
    module.visit(&mut check);
    assert!(check.parameters > 0);
}

struct Check {
    gradients: Gradients,
    path: Vec<String>,
    parameters: usize,
}

impl ModuleVisitor for Check {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Running statistics have none.
        if !param.is_require_grad() {
            return;
        }
        let name = self.path.join(".");
        let gradient = param.val().grad(&self.gradients);
        let gradient = gradient.unwrap_or_else(|| panic!("{name} has no gradient"));
        let largest = gradient.abs().max().into_scalar::<f32>();
        assert!(
            largest.is_finite() && largest > 0.0,
            "the gradient of {name} is {largest}"
        );
        self.parameters += 1;
    }
}
