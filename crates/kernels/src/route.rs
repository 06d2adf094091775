use std::sync::OnceLock;
#[cfg(feature = "flex")]
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// What `CRUCIBLE_KERNELS` says, which is for the whole process: `fused`, as without it, or `composed`.
///
/// # Errors
/// The value, when it is another one; all then runs as if it had not been set.
pub fn switch() -> Result<Implementation, String> {
    static SWITCH: OnceLock<Result<Implementation, String>> = OnceLock::new();
    let read = || match std::env::var("CRUCIBLE_KERNELS").ok().as_deref() {
        None | Some("fused") => Ok(Implementation::Fused),
        Some("composed") => Ok(Implementation::Composed),
        Some(other) => Err(other.into()),
    };
    SWITCH.get_or_init(read).clone()
}

/// What runs on a device, by itself and by the [`switch`].
pub fn implementation(device: &Device) -> Implementation {
    match has_own_code(device) && switch() != Ok(Implementation::Composed) {
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

/// Runs `work`, which computes on `device`, on one of the threads that share its operations, where they share them:
/// it takes part in each of them, where another thread would hand them over and wait. Always on the same one, which
/// gets back what it freed: an allocator keeps memory for the thread that had it.
///
/// `work` must not wait for a thread that computes: that one may be waiting for it.
pub fn among_threads<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    if has_own_code(device) {
        let (work, result) = (Mutex::new(Some(work)), Mutex::new(None));
        rayon::broadcast(|thread| {
            let mine = (thread.index() == 0).then(|| lock(&work).take()).flatten();
            if let Some(work) = mine {
                let done = work();
                *lock(&result) = Some(done);
            }
        });
        let done = lock(&result).take();
        return done.expect("there is a first thread");
    }
    let _ = device;
    work()
}

#[cfg(feature = "flex")]
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an operation on `tensor` has own code.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && implementation(&tensor.device()) == Implementation::Fused
}

fn has_own_code(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[allow(unreachable_patterns)] // when flex is the only backend
        _ => false,
    }
}
