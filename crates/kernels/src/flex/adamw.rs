use burn::backend::Flex;
use burn::tensor::Tensor;
use pulp::{Arch, Simd};

use super::Float;
use super::parallel::{Blocks, Parts};
use super::tensor::{contiguous, owned, primitive, tensor, values};
use crate::{AdamW, Moments};

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 16;

pub fn adamw<const D: usize>(
    options: AdamW,
    tensor: Tensor<D>,
    grad: Tensor<D>,
    moments: Option<Moments<D>>,
) -> (Tensor<D>, Moments<D>) {
    let (first, second, steps) = match moments {
        Some(moments) => (
            owned(primitive(moments.first)),
            owned(primitive(moments.second)),
            moments.steps + 1,
        ),
        None => {
            let [first, second] = [(); 2].map(|()| zeros(&tensor));
            (first, second, 1)
        }
    };
    let (tensor, grad) = (contiguous(primitive(tensor)), owned(primitive(grad)));
    let [tensor, first, second] = step(options, tensor, grad, [first, second], steps);
    let moments = Moments {
        first: Tensor::from_primitive::<Flex>(first),
        second: Tensor::from_primitive::<Flex>(second),
        steps,
    };
    (Tensor::from_primitive::<Flex>(tensor), moments)
}

fn zeros<const D: usize>(like: &Tensor<D>) -> Float {
    tensor(vec![0.0; like.shape().num_elements()], like.shape())
}

/// The new tensor, in the room of the gradient, and the new moments.
fn step(
    options: AdamW,
    tensor: Float,
    mut grad: Float,
    [mut first, mut second]: [Float; 2],
    steps: usize,
) -> [Float; 3] {
    let correction = |beta: f32| 1.0 - f64::from(beta).powi(steps as i32);
    let coefficients = Coefficients {
        beta_1: options.beta_1,
        beta_2: options.beta_2,
        epsilon: options.epsilon,
        keep: (1.0 - options.learning_rate * f64::from(options.weight_decay)) as f32,
        step: (options.learning_rate / correction(options.beta_1)) as f32,
        deviation: correction(options.beta_2).sqrt().recip() as f32,
    };
    let old = values(&tensor);
    let parts = [&mut grad, &mut first, &mut second].map(|x| Parts::new(x.storage_mut::<f32>()));
    Blocks::new(old.len(), 1, BLOCK).each(|_, block| {
        // SAFETY: blocks do not overlap.
        let [grad, first, second] = parts.map(|parts| unsafe { parts.get(block.clone()) });
        update(grad, first, second, &old[block], coefficients);
    });
    [grad, first, second]
}

#[derive(Clone, Copy)]
struct Coefficients {
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    /// What weight decay leaves.
    keep: f32,
    /// The learning rate over the bias correction of the first moment.
    step: f32,
    /// Square root of the reciprocal bias correction of the second.
    deviation: f32,
}

#[pulp::with_simd(update = Arch::new())]
#[inline(always)]
fn update_simd<'a, 'b, 'c, 'd, S: Simd>(
    _: S,
    grad: &'a mut [f32],
    first: &'b mut [f32],
    second: &'c mut [f32],
    tensor: &'d [f32],
    by: Coefficients,
) {
    let elements = grad.iter_mut().zip(first).zip(second).zip(tensor);
    for (((grad, first), second), tensor) in elements {
        *first = by.beta_1 * *first + (1.0 - by.beta_1) * *grad;
        *second = by.beta_2 * *second + (1.0 - by.beta_2) * *grad * *grad;
        let deviation = second.sqrt() * by.deviation + by.epsilon;
        *grad = by.keep * tensor - by.step * *first / deviation;
    }
}
