//! AdamW, with groups of parameters.

use crate::TrainingConfig;
use burn::module::{Module, ParamGroup};
use burn::optim::{
    AdamWState, AdaptiveMomentumState, DynOptimizer, DynState, LearningRate, ModuleOptimizer,
    Optimizer, StateSink, StateSource,
};
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{Device, Tensor};
use crucible_kernels::{AdamW, Moments};

pub(crate) use parameters::group;
pub use parameters::{Parameter, parameters};

mod parameters;

/// AdamW (Loshchilov and Hutter 2019) for `model` as `config` describes it, its state kept on `device`.
pub fn adamw<M: Module>(config: &TrainingConfig, model: &M, device: &Device) -> ModuleOptimizer {
    let base = AdamW {
        learning_rate: config.learning_rate,
        beta_1: config.beta_1 as f32,
        beta_2: config.beta_2 as f32,
        epsilon: config.epsilon as f32,
        weight_decay: config.weight_decay as f32,
    };
    let mut groups: Vec<(bool, f64, Vec<String>)> = Vec::new();
    for Parameter {
        path,
        decays,
        scale,
    } in parameters(model, config.layer_decay)
    {
        let same = |group: &&mut (bool, f64, _)| (group.0, group.1) == (decays, scale);
        match groups.iter_mut().find(same) {
            Some((_, _, paths)) => paths.push(path),
            None => groups.push((decays, scale, vec![path])),
        }
    }
    // The last matching group wins, and each parameter has one: the base is never asked.
    groups.into_iter().fold(
        ModuleOptimizer::from(Fused(base)),
        |optimizer, (decays, scale, paths)| {
            let weight_decay = if decays { base.weight_decay } else { 0.0 };
            let of_group = OnDevice {
                inner: Fused(AdamW {
                    weight_decay,
                    ..base
                }),
                scale,
                device: device.clone(),
            };
            optimizer.with_group(ParamGroup::from_paths(paths), of_group, None)
        },
    )
}

/// The fused AdamW as an optimizer of Burn, with the state of Burn's own.
#[derive(Clone)]
struct Fused(AdamW);

impl Optimizer for Fused {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let options = AdamW {
            learning_rate,
            ..self.0
        };
        let moments = state.map(|AdamWState { momentum }| Moments {
            first: momentum.moment_1,
            second: momentum.moment_2,
            steps: momentum.time,
        });
        let (tensor, moments) = crucible_kernels::adamw(options, tensor, grad, moments);
        let Moments {
            first,
            second,
            steps,
        } = moments;
        let momentum = AdaptiveMomentumState::new(steps, first, second);
        (tensor, Some(AdamWState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

/// AdamW whose state is restored on the device of the run. Burn restores it on `Device::default()`,
/// which in a binary with several backends may be one that this machine does not have.
#[derive(Clone)]
struct OnDevice {
    inner: Fused,
    /// Learning rate of its parameters over that of the schedule.
    scale: f64,
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
        self.inner
            .step_dyn(rank, self.scale * lr, tensor, grad, state)
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

#[cfg(test)]
mod tests;
