//! From `--backend NAME` to a device: the one place that names backends.

use burn::tensor::{Device, Tensor};
use crucible_training::tell;
use crucible_training::{Error, memory};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use sysinfo::System;

/// A backend of Burn; a cargo feature of the same name compiles it in.
pub struct Backend {
    pub name: &'static str,
    pub about: &'static str,
    pub compiled: bool,
}

macro_rules! backend {
    ($name:literal, $about:literal) => {
        Backend {
            name: $name,
            about: $about,
            compiled: cfg!(feature = $name),
        }
    };
}

pub const BACKENDS: [Backend; 9] = [
    backend!("flex", "any CPU, in Rust"),
    backend!("cuda", "NVIDIA GPUs"),
    backend!("rocm", "AMD GPUs"),
    backend!("metal", "Apple GPUs"),
    backend!("vulkan", "GPUs through Vulkan"),
    backend!("webgpu", "GPUs through WebGPU"),
    backend!("wgpu", "GPUs, through whatever interface they offer"),
    backend!("cpu", "any CPU, kernels compiled when first used"),
    backend!("tch", "CPU and NVIDIA GPUs through LibTorch"),
];

/// The backend to use when none is asked for: flex, or the first that is compiled in.
pub const DEFAULT: &str = {
    let mut index = 0;
    while index < BACKENDS.len() && !BACKENDS[index].compiled {
        index += 1;
    }
    BACKENDS[index % BACKENDS.len()].name
};

/// What `--backend` asked for.
#[derive(Clone)]
pub struct Request {
    /// As it was written, for the records.
    pub name: String,
    backend: &'static Backend,
    index: Option<usize>,
}

/// Reads `NAME` or `NAME:N`; N counts the devices as `crucible backends` lists them.
///
/// # Errors
///
/// [`Error::UnknownName`] with the nearest name, or [`Error::Usage`] saying how to get a backend that
/// is not compiled in.
pub fn find(request: &str) -> Result<Request, Error> {
    let (name, index) = match request.split_once(':') {
        None => (request, None),
        Some((name, index)) => (
            name,
            Some(index.parse().map_err(|_| {
                Error::Usage(format!(
                    "--backend {request}: `{index}` is no number of a device; write it as {name}:0"
                ))
            })?),
        ),
    };
    let backend = BACKENDS
        .iter()
        .find(|backend| backend.name == name)
        .ok_or_else(|| {
            Error::unknown("backend", name, BACKENDS.iter().map(|backend| backend.name))
        })?;
    match backend.compiled {
        true => Ok(Request {
            name: request.to_string(),
            backend,
            index,
        }),
        false => Err(Error::Usage(format!(
            "this binary has no backend `{name}`; get it with {}",
            backend.remedy()
        ))),
    }
}

/// The backend that a finished run is opened on: `request`, else the one of its training, else the
/// default of this binary. A checkpoint fits them all.
///
/// # Errors
///
/// As [`find`].
pub fn reopen(request: Option<&str>, trained_on: &str) -> Result<Request, Error> {
    match (request, find(trained_on)) {
        (Some(request), _) => find(request),
        (None, Ok(found)) => Ok(found),
        (None, Err(_)) => {
            tell!("trained on {trained_on}, which this binary does not have; using {DEFAULT}");
            find(DEFAULT)
        }
    }
}

impl Request {
    /// The device, after it has shown that it computes.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a number that no device has, [`Error::Backend`] for a device that cannot be
    /// opened or computes something else than it should.
    pub fn open(&self) -> Result<Device, Error> {
        let Backend { name, .. } = self.backend;
        let broken = |reason: String| {
            Error::Backend(format!(
                "the backend `{name}` does not work here: {reason}; `crucible backends` shows what does"
            ))
        };
        let device = match self.index {
            None => guarded(|| self.backend.preferred()).map_err(broken)?,
            Some(index) => {
                let mut devices = self.backend.devices().map_err(broken)?;
                if index >= devices.len() {
                    return Err(Error::Usage(format!(
                        "the backend `{name}` has no device {index}; `crucible backends` lists the {} it has",
                        devices.len()
                    )));
                }
                Some(devices.swap_remove(index))
            }
        };
        let device = device.ok_or_else(|| broken("it is not compiled in".into()))?;
        check(&device).map_err(broken)?;
        Ok(device)
    }

    /// The devices of these numbers, or, without any, the one of [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::Usage`] for numbers beside that of the backend.
    pub fn open_all(&self, numbers: &[usize]) -> Result<Vec<Device>, Error> {
        if numbers.is_empty() {
            return Ok(vec![self.open()?]);
        }
        if self.index.is_some() {
            return Err(Error::Usage(format!(
                "--backend {} names a device and --devices others; write --backend {} --devices {}",
                self.name,
                self.backend.name,
                numbers
                    .iter()
                    .map(usize::to_string)
                    .collect::<Vec<_>>()
                    .join(",")
            )));
        }
        let open = |number: &usize| {
            let index = Some(*number);
            Self {
                index,
                ..self.clone()
            }
            .open()
        };
        numbers.iter().map(open).collect()
    }

    /// Most bytes that this process may hold, for the backends that compute in its memory. No GPU's driver tells.
    pub fn memory(&self, numbers: &[usize]) -> Option<u64> {
        let first = numbers.iter().chain(&self.index).all(|number| *number == 0);
        let in_host_memory =
            ["flex", "cpu"].contains(&self.backend.name) || (self.backend.name == "tch" && first);
        if !in_host_memory {
            return None;
        }
        let mut system = System::new();
        system.refresh_memory();
        let free = match system.cgroup_limits() {
            Some(limits) => limits.free_memory.min(system.available_memory()),
            None => system.available_memory(),
        };
        let held = memory::now()?;
        Some(held + free)
    }
}

impl Backend {
    /// How to get a binary with this backend.
    pub fn remedy(&self) -> String {
        format!("`cargo run --features {} -- ...`", self.name)
    }

    /// The device that the backend itself prefers.
    // LibTorch's constructors are deprecated in Burn: its next release drops that backend.
    #[allow(deprecated)]
    fn preferred(&self) -> Option<Device> {
        Some(match self.name {
            #[cfg(feature = "flex")]
            "flex" => Device::flex(),
            #[cfg(feature = "cuda")]
            "cuda" => Device::cuda(burn::tensor::DeviceIndex::Default),
            #[cfg(feature = "rocm")]
            "rocm" => Device::rocm(burn::tensor::DeviceIndex::Default),
            #[cfg(feature = "metal")]
            "metal" => Device::metal(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "vulkan")]
            "vulkan" => Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "webgpu")]
            "webgpu" => Device::webgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "wgpu")]
            "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "cpu")]
            "cpu" => Device::cpu(),
            #[cfg(feature = "tch")]
            "tch" => Device::libtorch(),
            _ => return None,
        })
    }

    /// Every device of the backend, or why they cannot be listed.
    ///
    /// # Errors
    ///
    /// What the driver said.
    pub fn devices(&self) -> Result<Vec<Device>, String> {
        guarded(|| self.enumerate())
    }

    fn enumerate(&self) -> Vec<Device> {
        #[allow(unused_imports)] // nothing to list without any backend
        use burn::tensor::DeviceType;
        let devices = match self.name {
            #[cfg(feature = "flex")]
            "flex" => Device::enumerate(DeviceType::Flex),
            #[cfg(feature = "cuda")]
            "cuda" => Device::enumerate(DeviceType::Cuda),
            #[cfg(feature = "rocm")]
            "rocm" => Device::enumerate(DeviceType::Rocm),
            #[cfg(feature = "metal")]
            "metal" => Device::enumerate(DeviceType::Metal),
            #[cfg(feature = "vulkan")]
            "vulkan" => Device::enumerate(DeviceType::Vulkan),
            #[cfg(feature = "webgpu")]
            "webgpu" => Device::enumerate(DeviceType::WebGpu),
            #[cfg(feature = "wgpu")]
            "wgpu" => Device::enumerate(DeviceType::Wgpu),
            #[cfg(feature = "cpu")]
            "cpu" => Device::enumerate(DeviceType::Cpu),
            #[cfg(feature = "tch")]
            "tch" => {
                // Burn lists LibTorch's GPUs only.
                let gpus = Device::enumerate(DeviceType::LibTorch).into_vec();
                return self.preferred().into_iter().chain(gpus).collect();
            }
            _ => return Vec::new(),
        };
        devices.into_vec()
    }
}

/// Multiplies two small matrices on `device` and differentiates, against the known results.
///
/// # Errors
///
/// What is wrong: the message of a panic, or the wrong numbers.
pub fn check(device: &Device) -> Result<(), String> {
    guarded(|| {
        let device = device.clone().autodiff();
        let matrix = |values: [[f32; 2]; 2]| Tensor::<2>::from_data(values, &device).require_grad();
        let (a, b) = (
            matrix([[1.0, 2.0], [3.0, 4.0]]),
            matrix([[5.0, 6.0], [7.0, 8.0]]),
        );
        let product = a.clone().matmul(b.clone());
        let gradients = product.clone().sum().backward();
        expect(
            "the product of two matrices",
            Some(product),
            [19.0, 22.0, 43.0, 50.0],
        )?;
        // d sum(AB) / dA = 1 Bᵀ and d sum(AB) / dB = Aᵀ 1.
        expect("a gradient", a.grad(&gradients), [11.0, 15.0, 11.0, 15.0])?;
        expect("a gradient", b.grad(&gradients), [4.0, 4.0, 6.0, 6.0])
    })?
}

fn expect(what: &str, found: Option<Tensor<2>>, expected: [f32; 4]) -> Result<(), String> {
    let found: Vec<f32> = found.map_or(Vec::new(), |found| found.into_data().iter().collect());
    // All numbers are small integers, exact even in half precision.
    match found == expected {
        true => Ok(()),
        false => Err(format!(
            "{what} came out as {found:?} instead of {expected:?}"
        )),
    }
}

/// Runs `work` on a backend. A missing driver or adapter reaches us as a panic, as Burn has no other
/// way to say so when a device is first used; here it becomes a message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    result.map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    // One line says enough; the rest is a backtrace or a hint for programmers.
    let first = text.and_then(|text| text.lines().find(|line| !line.trim().is_empty()));
    first.unwrap_or("it panicked").trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_first_line() {
        let number = 3;
        assert_eq!(guarded(|| number), Ok(3));
        let result = guarded(|| panic!("\n no adapter {number}\nbacktrace"));
        assert_eq!(result, Err::<(), _>("no adapter 3".into()));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn a_device_is_opened_by_name_and_number() {
        for request in ["flex", "flex:0"] {
            assert_eq!(find(request).unwrap().open().unwrap(), Device::flex());
        }
        let error = find("flex:1").unwrap().open().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("no device 1"), "{error}");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn wrong_numbers_do_not_pass() {
        let device = Device::flex();
        let tensor = Tensor::<2>::from_data([[1.0f32, 2.0], [3.0, 4.0]], &device);
        let error = expect("it", Some(tensor), [1.0, 2.0, 3.0, 5.0]).unwrap_err();
        assert!(error.contains("[1.0, 2.0, 3.0, 4.0]"), "{error}");
        assert!(expect("it", None, [0.0; 4]).is_err());
    }
}
