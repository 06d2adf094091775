//! AdamW with decay groups, and clipping by the global norm.

use crate::TrainingConfig;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::{
    AdamW, AdamWConfig, DynOptimizer, DynState, GradientsParams, LearningRate, ModuleOptimizer,
    StateSink, StateSource,
};
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{DType, Device, Tensor};

pub use decay::undecayed;

mod decay;

/// AdamW (Loshchilov and Hutter 2019) for `model` as `config` describes it, its state kept on `device`.
pub fn adamw<M: Module>(config: &TrainingConfig, model: &M, device: &Device) -> ModuleOptimizer {
    let base = AdamWConfig::new()
        .with_beta_1(config.beta_1 as f32)
        .with_beta_2(config.beta_2 as f32)
        .with_epsilon(config.epsilon as f32);
    let on = |weight_decay: f64| OnDevice {
        inner: base.clone().with_weight_decay(weight_decay as f32).build(),
        device: device.clone(),
    };
    // The last matching group wins, so the optimizer that `from` makes is never asked.
    ModuleOptimizer::from(base.build())
        .with_group(ParamGroup::all(), on(config.weight_decay), None)
        .with_group(ParamGroup::from_paths(undecayed(model)), on(0.0), None)
}

/// AdamW whose state is restored on the device of the run. Burn restores it on `Device::default()`,
/// which in a binary with several backends may be one that this machine does not have.
#[derive(Clone)]
struct OnDevice {
    inner: AdamW,
    device: Device,
}

impl DynOptimizer for OnDevice {
    fn step_dyn(
        &self,
        rank: usize,
        lr: LearningRate,
        tensor: BridgeTensor,
        grad: BridgeTensor,
        state: Option<DynState>,
    ) -> (BridgeTensor, Option<DynState>) {
        self.inner.step_dyn(rank, lr, tensor, grad, state)
    }

    fn to_device_dyn(&self, state: DynState, device: &Device) -> DynState {
        self.inner.to_device_dyn(state, device)
    }

    fn state_flatten(&self, prefix: &str, state: &DynState, out: &mut StateSink) {
        self.inner.state_flatten(prefix, state, out);
    }

    fn state_unflatten(
        &self,
        rank: usize,
        prefix: &str,
        src: &mut StateSource,
        _: &Device,
    ) -> Option<DynState> {
        self.inner.state_unflatten(rank, prefix, src, &self.device)
    }
}

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
    mut grads: GradientsParams,
    norm: f64,
    max_norm: f64,
) -> GradientsParams {
    if max_norm > 0.0 && norm > max_norm {
        model.visit(&mut Scale {
            grads: &mut grads,
            factor: max_norm / norm,
        });
    }
    grads
}

struct SquaredNorm<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            // Squares of half-precision gradients overflow.
            let squares = grad.cast(DType::F32).square().sum();
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

#[cfg(test)]
mod tests;
