//! Every module on every backend that is compiled in: outputs and gradients agree with flex, and padding
//! is ignored, on flex too.

mod cases;
mod language;
mod objectives;
mod prompts;
mod scene;

use burn::tensor::Device;
use crucible_fusion::FusionConfig;

use cases::cases;
use scene::Values;

/// Largest difference from flex, relative to the largest entry of the tensor (at least [`SMALL`]).
const AGREEMENT: f32 = 2e-5;
/// Largest difference that other contents of padded positions may make, in the same measure.
const PADDING: f32 = 1e-6;
/// What counts as a small tensor: rounding does not shrink with a gradient that is zero by nature, such as
/// that of the bias of the keys.
const SMALL: f32 = 0.1;

/// The largest difference over all values, and where it is.
fn difference(found: &Values, expected: &Values) -> (f32, String) {
    let names = |values: &Values| values.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    let mut worst = (0.0, "nowhere".to_owned());
    for (name, expected) in expected {
        let found = &found[name];
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let [found, expected] = [found, expected].map(|data| data.iter().collect::<Vec<f32>>());
        let scale = expected.iter().fold(SMALL, |scale, x| scale.max(x.abs()));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let difference = (found - expected).abs() / scale;
            if difference > worst.0 || !difference.is_finite() {
                worst = (
                    difference,
                    format!("{name}[{i}]: {found} instead of {expected}"),
                );
            }
        }
    }
    worst
}

/// Checks one backend; all cases are run before any failure is told.
fn check(device: &Device) {
    let mut wrong = Vec::new();
    let mut worst = [0f32; 2];
    let mut padded_cases = 0;
    for case in cases() {
        let (here, padded) = case.on(device, 1.0);
        let mut differences = vec![(
            0,
            AGREEMENT,
            difference(&here, &case.on(&Device::flex(), 1.0).0),
        )];
        if padded > 0 {
            padded_cases += 1;
            differences.push((1, PADDING, difference(&case.on(device, 9.0).0, &here)));
        }
        for (kind, tolerance, (difference, place)) in differences {
            worst[kind] = worst[kind].max(difference);
            if difference > tolerance || difference.is_nan() {
                let what = ["differs from flex", "depends on padding"][kind];
                wrong.push(format!("{} {what} by {difference:e} at {place}", case.name));
            }
        }
    }
    println!(
        "largest differences: {:e} from flex, {:e} by padding",
        worst[0], worst[1]
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(padded_cases, 30 + FusionConfig::names().count());
}

#[test]
fn flex() {
    check(&Device::flex());
}

#[cfg(feature = "tch")]
#[test]
#[allow(deprecated)] // Burn's next release drops this backend.
fn tch() {
    check(&Device::libtorch());
}

#[cfg(feature = "cpu")]
#[test]
fn cpu() {
    check(&Device::cpu());
}

/// A test that needs a driver or a device.
#[allow(unused_macros)] // without such a backend
macro_rules! on_device {
    ($name:ident, $command:literal, $device:expr) => {
        #[test]
        #[ignore = $command]
        fn $name() {
            check(&$device);
        }
    };
}

#[cfg(feature = "wgpu")]
on_device!(
    wgpu,
    "cargo test --features wgpu --test integration backends -- --ignored",
    Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
);
#[cfg(feature = "vulkan")]
on_device!(
    vulkan,
    "cargo test --features vulkan --test integration backends -- --ignored",
    Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)
);
#[cfg(feature = "webgpu")]
on_device!(
    webgpu,
    "cargo test --features webgpu --test integration backends -- --ignored",
    Device::webgpu(burn::tensor::DeviceKind::DefaultDevice)
);
#[cfg(feature = "metal")]
on_device!(
    metal,
    "cargo test --features metal --test integration backends -- --ignored",
    Device::metal(burn::tensor::DeviceKind::DefaultDevice)
);
#[cfg(feature = "cuda")]
on_device!(
    cuda,
    "cargo test --features cuda --test integration backends -- --ignored",
    Device::cuda(burn::tensor::DeviceIndex::Default)
);
#[cfg(feature = "rocm")]
on_device!(
    rocm,
    "cargo test --features rocm --test integration backends -- --ignored",
    Device::rocm(burn::tensor::DeviceIndex::Default)
);
