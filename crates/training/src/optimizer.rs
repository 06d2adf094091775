//! AdamW, with groups of parameters.

use crate::TrainingConfig;
use burn::module::{Module, ParamGroup};
use burn::optim::{
    AdamW, AdamWConfig, DynOptimizer, DynState, LearningRate, ModuleOptimizer, StateSink,
    StateSource,
};
use burn::tensor::Device;
use burn::tensor::kind::BridgeTensor;

pub(crate) use parameters::group;
pub use parameters::{Parameter, parameters};

mod parameters;

/// AdamW (Loshchilov and Hutter 2019) for `model` as `config` describes it, its state kept on `device`.
pub fn adamw<M: Module>(config: &TrainingConfig, model: &M, device: &Device) -> ModuleOptimizer {
    let base = AdamWConfig::new()
        .with_beta_1(config.beta_1 as f32)
        .with_beta_2(config.beta_2 as f32)
        .with_epsilon(config.epsilon as f32);
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
        ModuleOptimizer::from(base.build()),
        |optimizer, (decays, scale, paths)| {
            let weight_decay = if decays { config.weight_decay } else { 0.0 };
            let of_group = OnDevice {
                inner: base.clone().with_weight_decay(weight_decay as f32).build(),
                scale,
                device: device.clone(),
            };
            optimizer.with_group(ParamGroup::from_paths(paths), of_group, None)
        },
    )
}

/// AdamW whose state is restored on the device of the run. Burn restores it on `Device::default()`,
/// which in a binary with several backends may be one that this machine does not have.
#[derive(Clone)]
struct OnDevice {
    inner: AdamW,
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
