//! Every operation against its composed form, output and gradients, over shapes, masks, layouts and empty
//! tensors.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use proptest::prelude::*;

use crate::{Activation, Attention, Implementation, composed, implementation};

mod attention;
mod network;
mod rows;

const TOLERANCE: f32 = 1e-5;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Numbers that repeat with the seed, between -2 and 2.
fn values<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let count = shape.iter().product::<usize>() as u64;
    let hash = |i: u64| {
        let mut z = (i + seed * 1_000_003).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 4.0
    };
    let values: Vec<f32> = (0..count).map(hash).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

/// How the elements of an input lie in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Contiguous,
    /// A part of a larger tensor.
    Narrowed,
    /// The first and the last axis exchanged.
    Swapped,
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![
        Just(Layout::Contiguous),
        Just(Layout::Narrowed),
        Just(Layout::Swapped)
    ]
}

/// A leaf whose values, and what is computed from it, are `values(shape, seed)` in the given layout.
struct Input<const D: usize> {
    leaf: Tensor<D>,
    layout: Layout,
}

impl<const D: usize> Input<D> {
    fn new(mut shape: [usize; D], layout: Layout, seed: u64) -> Self {
        // Burn takes no empty part of a tensor.
        let layout = match shape.contains(&0) {
            true => Layout::Contiguous,
            false => layout,
        };
        match layout {
            Layout::Contiguous => {}
            Layout::Narrowed => shape[D - 1] += 3,
            Layout::Swapped => shape.swap(0, D - 1),
        }
        let leaf = values(shape, seed).require_grad();
        Self { leaf, layout }
    }

    fn view(&self) -> Tensor<D> {
        let last = self.leaf.dims()[D - 1];
        match self.layout {
            Layout::Contiguous => self.leaf.clone(),
            Layout::Narrowed => self.leaf.clone().narrow(D - 1, 2, last - 3),
            Layout::Swapped => self.leaf.clone().swap_dims(0, D - 1),
        }
    }

    /// The same of twice the precision: the composed form adds rows one by one, and what it is compared with does not.
    fn precise(&self) -> Tensor<D> {
        self.view().cast(DType::F64)
    }
}

/// Largest difference relative to the largest entry, or to 1, the size of the inputs; infinite for different shapes
/// or what is not a number.
fn difference<const D: usize>(found: Tensor<D>, expected: Tensor<D>) -> f32 {
    if found.dims() != expected.dims() {
        return f32::INFINITY;
    }
    let [found, expected] = [found, expected].map(|tensor| tensor.into_data());
    let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
    let (mut distance, mut scale) = (0.0f32, 1.0f32);
    for (found, expected) in pairs {
        if found.is_nan() != expected.is_nan() {
            return f32::INFINITY;
        }
        distance = distance.max((found - expected).abs());
        scale = scale.max(expected.abs());
    }
    distance / scale
}

/// How the gradient of an output comes from above.
#[derive(Clone, Copy, Debug)]
enum Above {
    /// Row after row, another one for each element.
    Contiguous,
    /// The same, by columns.
    Swapped,
    /// One number, spread over all.
    Expanded,
    /// The first part of a larger one.
    First,
    /// The last part of a larger one.
    Last,
}

impl Above {
    const ALL: [Self; 5] = [
        Self::Contiguous,
        Self::Swapped,
        Self::Expanded,
        Self::First,
        Self::Last,
    ];

    /// A sum over the output, divided so that a gradient that many rows add up to stays of order one: rounding grows
    /// with the square root of their number, and the tolerance is for numbers of that order.
    fn loss<const D: usize>(self, output: Tensor<D>) -> Tensor<1> {
        let rows = output.dims()[..D - 1].iter().product::<usize>();
        self.sum(output) / (rows as f64 / 64.0).sqrt().max(1.0)
    }

    fn sum<const D: usize>(self, output: Tensor<D>) -> Tensor<1> {
        let values = |shape, seed| values(shape, seed).cast(output.dtype());
        match self {
            Self::Contiguous => (output.clone() * values(output.dims(), 99)).sum(),
            Self::Swapped => {
                let turned = output.clone().swap_dims(0, D - 1);
                (turned.clone() * values(turned.dims(), 99)).sum()
            }
            Self::Expanded => output.sum(),
            // Burn leaves empty tensors out.
            Self::First | Self::Last if output.shape().num_elements() == 0 => output.sum(),
            Self::First | Self::Last => {
                let other = values(output.dims(), 98);
                let both = match self {
                    Self::First => vec![output.clone(), other],
                    _ => vec![other, output.clone()],
                };
                let both = Tensor::cat(both, 0);
                (both.clone() * values(both.dims(), 99)).sum()
            }
        }
    }
}

/// Asserts that two ways to compute a tensor from the same inputs give the same, and the same gradients.
macro_rules! assert_same {
    ($found:expr, $expected:expr, [$($input:expr),* $(,)?]) => {
        for above in Above::ALL {
            let (found, expected) = ($found, $expected);
            prop_assert_eq!(found.dims(), expected.dims());
            let off = difference(found.clone().inner(), expected.clone().inner());
            prop_assert!(off <= TOLERANCE, "output is off by {}", off);
            // Burn leaves some empty tensors off the tape.
            prop_assert!(found.is_tracked() || !expected.is_tracked(), "off the tape");
            prop_assume!(expected.is_tracked());
            let found = above.loss(found).backward();
            let expected = above.loss(expected).backward();
            let mut number = 0;
            $({
                number += 1;
                let [found, expected] = [&found, &expected].map(|gradients| $input.leaf.grad(gradients).unwrap());
                let off = difference(found, expected);
                prop_assert!(off <= TOLERANCE, "gradient {} is off by {}, from {:?}", number, off, above);
            })*
        }
    };
}
use assert_same;

/// Otherwise the tests compare composed operations with themselves.
#[test]
fn the_operations_under_test_are_fused_unless_they_are_switched_off() {
    let expected = match std::env::var("CRUCIBLE_KERNELS") {
        Ok(switch) if switch == "composed" => Implementation::Composed,
        _ => Implementation::Fused,
    };
    assert_eq!(implementation(&device()), expected);
    assert_eq!(implementation(&device().inner()), expected);
}
