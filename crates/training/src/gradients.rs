//! The gradients of all parameters taken together: norm, clipping, mean over batches, what is no number.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use crucible_kernels::squared_norm;

/// The L2 norm of all gradients together, as one vector.
pub fn global_norm<M: Module>(model: &M, grads: &GradientsParams) -> f64 {
    let mut visitor = SquaredNorm { grads, sum: None };
    model.visit(&mut visitor);
    visitor
        .sum
        .map_or(0.0, |sum| sum.into_scalar::<f64>().sqrt())
}

/// Scales all gradients by one factor so that their [`global_norm`], given as `norm`, is at most
/// `max_norm` (Pascanu et al. 2013). A `max_norm` of 0 clips nothing.
pub fn clip<M: Module>(
    model: &M,
    grads: GradientsParams,
    norm: f64,
    max_norm: f64,
) -> GradientsParams {
    match max_norm > 0.0 && norm > max_norm {
        true => scale(model, grads, max_norm / norm),
        false => grads,
    }
}

fn scale<M: Module>(model: &M, mut grads: GradientsParams, factor: f64) -> GradientsParams {
    model.visit(&mut Scale {
        grads: &mut grads,
        factor,
    });
    grads
}

/// The mean over the samples of several batches, from the mean over those of each.
#[derive(Default)]
pub(crate) struct Mean {
    sum: Option<GradientsParams>,
    weight: f64,
}

impl Mean {
    /// Adds the mean over `weight` samples; over none it is none.
    pub fn add<M: Module>(&mut self, model: &M, grads: GradientsParams, weight: f64) {
        if weight == 0.0 {
            return;
        }
        let before = self.weight;
        self.weight += weight;
        self.sum = Some(match self.sum.take() {
            None => grads,
            // As a running mean, so that half-precision sums do not grow with the batches.
            Some(sum) => {
                let mut mean = scale(model, sum, before / self.weight);
                model.visit(&mut Add {
                    sum: &mut mean,
                    grads: scale(model, grads, weight / self.weight),
                });
                mean
            }
        });
    }

    /// The mean; empty if nothing was added.
    pub fn finish(self) -> GradientsParams {
        self.sum.unwrap_or_default()
    }
}

/// The path of the first parameter, in the order of the model, that a number broke in, and where.
pub(crate) fn first_broken<M: Module>(model: &M, grads: &GradientsParams) -> Option<String> {
    let mut visitor = Broken {
        grads,
        path: Vec::new(),
        found: None,
    };
    model.visit(&mut visitor);
    visitor.found
}

struct SquaredNorm<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let squares = squared_norm(grad);
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + squares,
                None => squares,
            });
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.mul_scalar(self.factor));
        }
    }
}

struct Add<'a> {
    sum: &'a mut GradientsParams,
    grads: GradientsParams,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A parameter may take part in one batch and not in another.
        let sum = match (
            self.sum.remove::<D>(param.id),
            self.grads.remove::<D>(param.id),
        ) {
            (Some(sum), Some(grad)) => sum + grad,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        self.sum.register(param.id, sum);
    }
}

struct Broken<'a> {
    grads: &'a GradientsParams,
    path: Vec<String>,
    found: Option<String>,
}

impl ModuleVisitor for Broken<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_some() {
            return;
        }
        let broken = |tensor: Tensor<D>| !tensor.is_finite().all().into_scalar::<bool>();
        let path = self.path.join(".");
        if broken(param.val()) {
            self.found = Some(format!("the weights of `{path}`"));
        } else if self.grads.get::<D>(param.id).is_some_and(broken) {
            self.found = Some(format!("the gradient of `{path}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::alone;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn linear() -> Linear {
        LinearConfig::new(2, 2).init(&Device::flex())
    }

    /// Gradients of a linear layer: four for the weight, two for the bias.
    fn grads(model: &Linear, weight: [[f32; 2]; 2], bias: [f32; 2]) -> GradientsParams {
        let device = Device::flex();
        let mut grads = GradientsParams::new();
        grads.register(model.weight.id, Tensor::<2>::from_data(weight, &device));
        let id = model.bias.as_ref().unwrap().id;
        grads.register(id, Tensor::<1>::from_data(bias, &device));
        grads
    }

    fn read(model: &Linear, grads: &GradientsParams) -> Vec<f32> {
        let weight = grads.get::<2>(model.weight.id).unwrap();
        let bias = grads.get::<1>(model.bias.as_ref().unwrap().id).unwrap();
        let weight: Vec<f32> = weight.into_data().try_to_vec().unwrap();
        let bias: Vec<f32> = bias.into_data().try_to_vec().unwrap();
        [weight, bias].concat()
    }

    #[test]
    fn the_norm_is_of_all_gradients_together() {
        let _turn = alone();
        let model = linear();
        let grads = grads(&model, [[1.0, -2.0], [2.0, 4.0]], [0.0, 12.0]);
        // 1 + 4 + 4 + 16 + 144 = 169.
        assert_eq!(global_norm(&model, &grads), 13.0);
        assert_eq!(global_norm(&model, &GradientsParams::new()), 0.0);
    }

    #[test]
    fn clipping_scales_every_gradient_by_one_factor() {
        let _turn = alone();
        let model = linear();
        let (weight, bias) = ([[1.0, -2.0], [2.0, 4.0]], [0.0, 12.0]);
        let clipped = clip(&model, grads(&model, weight, bias), 13.0, 6.5);
        assert_eq!(read(&model, &clipped), [0.5, -1.0, 1.0, 2.0, 0.0, 6.0]);
        assert!((global_norm(&model, &clipped) - 6.5).abs() < 1e-6);
        for (norm, max_norm) in [(13.0, 13.0), (13.0, 20.0), (13.0, 0.0)] {
            let kept = clip(&model, grads(&model, weight, bias), norm, max_norm);
            let expected = [1.0, -2.0, 2.0, 4.0, 0.0, 12.0];
            assert_eq!(read(&model, &kept), expected, "{max_norm}");
        }
    }

    #[test]
    fn the_mean_counts_samples_and_not_batches() {
        let _turn = alone();
        let model = linear();
        let mut mean = Mean::default();
        mean.add(&model, grads(&model, [[1.0; 2]; 2], [4.0; 2]), 3.0);
        mean.add(&model, grads(&model, [[5.0; 2]; 2], [0.0; 2]), 1.0);
        let mut missing = GradientsParams::new();
        missing.register(
            model.weight.id,
            Tensor::<2>::full([2, 2], 2.0, &Device::flex()),
        );
        mean.add(&model, missing, 4.0);
        // (3 * 1 + 5 + 4 * 2) / 8 and (3 * 4) / 8.
        let expected = [[2.0; 4].as_slice(), &[1.5; 2]].concat();
        assert_eq!(read(&model, &mean.finish()), expected);
    }

    #[test]
    fn the_first_broken_parameter_is_named() {
        let _turn = alone();
        let model = linear();
        let find = |weight, bias| first_broken(&model, &grads(&model, weight, bias));
        assert_eq!(find([[1.0; 2]; 2], [0.0; 2]), None);
        let found = find([[1.0; 2]; 2], [0.0, f32::NAN]);
        assert_eq!(found.as_deref(), Some("the gradient of `bias`"));
        let found = find([[1.0, f32::INFINITY], [0.0; 2]], [0.0, f32::NAN]);
        assert_eq!(found.as_deref(), Some("the gradient of `weight`"));
        let mut broken = model.clone();
        broken.weight = broken.weight.map(|weight| weight / 0.0);
        let found = first_broken(&broken, &GradientsParams::new());
        assert_eq!(found.as_deref(), Some("the weights of `weight`"));
    }
}
