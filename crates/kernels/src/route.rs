use std::sync::OnceLock;

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Tensor};

/// Which code the operations of this crate run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// Own code where the backend has it.
    Fused,
    /// Composed from the operations of Burn.
    Composed,
}

impl Implementation {
    /// `fused` or `composed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::Composed => "composed",
        }
    }
}

/// What runs on a device: `CRUCIBLE_KERNELS=composed` switches own code off for the whole process.
pub fn implementation(device: &Device) -> Implementation {
    static SWITCHED_OFF: OnceLock<bool> = OnceLock::new();
    let off = SWITCHED_OFF.get_or_init(|| {
        std::env::var_os("CRUCIBLE_KERNELS").is_some_and(|value| value == "composed")
    });
    match !off && has_own_code(device.clone().inner().as_dispatch()) {
        true => Implementation::Fused,
        false => Implementation::Composed,
    }
}

/// How many threads share an operation on the CPU.
pub fn threads() -> usize {
    #[cfg(feature = "flex")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "flex"))]
    return std::thread::available_parallelism().map_or(1, usize::from);
}

/// Runs `work` on one of the threads that share operations: it takes part in each of them, where another thread
/// would hand them over and wait. `work` must not wait for a thread that computes.
pub fn among_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    return rayon::scope(|_| work());
    #[cfg(not(feature = "flex"))]
    return work();
}

/// Whether an operation on `tensor` has own code.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && implementation(&tensor.device()) == Implementation::Fused
}

fn has_own_code(device: &DispatchDevice) -> bool {
    match device {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[allow(unreachable_patterns)] // when flex is the only backend
        _ => false,
    }
}
