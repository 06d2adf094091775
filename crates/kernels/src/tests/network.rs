//! All operations one after the other.

use super::*;
use crate::{
    Layer, activate, attention, cross_entropy, feed_forward, layer_norm, linear, rms_norm, softmax,
};

/// Loss and gradients of one pass through all operations, with sizes that take several blocks of each.
fn pass(device: &Device) -> Vec<Tensor<1>> {
    const SHAPE: [usize; 3] = [2, 650, 342];
    let width = SHAPE[2];
    let leaf = |shape, seed| {
        let data = values::<2>(shape, seed).into_data();
        let tensor = Tensor::from_data(data, device) * (shape[0] as f32).powf(-0.5);
        tensor.detach().require_grad()
    };
    let leaves = [
        leaf([SHAPE[0] * SHAPE[1], width], 1),
        leaf([width, width], 2),
        leaf([width, 2 * width], 3),
        leaf([2 * width, width], 4),
        leaf([1, width], 5),
    ];
    let [x, square, inner, outer, row] = leaves.clone();
    let x = x.reshape(SHAPE);
    let row = row.squeeze_dim::<1>(0);
    let x = layer_norm(x, row.clone() + 1.0, Some(row.clone()), 1e-5);
    let projected = linear(x.clone(), square, Some(row.clone()), Some(Activation::Gelu));
    let options = Attention {
        causal: true,
        ..Attention::new(3)
    };
    // Three gradients come together in one tensor, and one gradient goes two ways.
    let x = x.clone() + attention(projected.clone(), x, projected, options);
    let layers = [inner, outer].map(|weight| Layer { weight, bias: None });
    let x = x.clone() + feed_forward(x, layers, Activation::GeluTanh, 0.0);
    let x = rms_norm(x, row + 1.0, 1e-5);
    let x = activate(x.clone(), Activation::Relu) + softmax(x);
    let [batch, length, width] = SHAPE;
    let targets = Tensor::<1, Int>::arange(0..(batch * length) as i64, device) % width as i64;
    let loss = cross_entropy(x.reshape([batch * length, width]), targets, 0.1);
    let gradients = loss.clone().backward();
    let found = leaves.map(|leaf| leaf.grad(&gradients).unwrap().flatten(0, 1));
    [loss.inner()].into_iter().chain(found).collect()
}

/// Recomputed tensors are the same as kept ones.
#[test]
fn checkpointing_of_gradients_changes_nothing() {
    let kept = pass(&device());
    let recomputed = pass(&device().gradient_checkpointing());
    for (found, expected) in recomputed.into_iter().zip(kept) {
        assert_eq!(difference(found, expected), 0.0);
    }
}

#[test]
fn threads_change_no_bit() {
    if implementation(&device()) == Implementation::Composed {
        return; // Burn makes no such promise.
    }
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| pass(&device()))
    };
    for threads in [2, 3] {
        for (found, expected) in with(threads).into_iter().zip(with(1)) {
            assert_eq!(found.into_data(), expected.into_data(), "{threads} threads");
        }
    }
}

/// The loss falls along the gradient as fast as the gradient says, which no other test here takes from elsewhere
/// than another backward pass.
#[test]
fn gradients_are_slopes() {
    let loss = |x: Tensor<2>, inner: Tensor<2>, outer: Tensor<2>| {
        let x = layer_norm(x, Tensor::ones([12], &device()), None, 1e-5);
        let layers = [inner, outer].map(|weight| Layer { weight, bias: None });
        let x = feed_forward(x, layers, Activation::Gelu, 0.0).unsqueeze::<3>();
        let x = attention(x.clone(), x.clone(), softmax(x), Attention::new(2));
        let targets = Tensor::<1, Int>::arange(0..9, &device());
        cross_entropy(x.squeeze_dim(0), targets, 0.2)
    };
    let leaves = [([9, 12], 1), ([12, 20], 2), ([20, 12], 3)]
        .map(|(shape, seed)| (values::<2>(shape, seed) * 0.5).detach().require_grad());
    let [x, inner, outer] = leaves.clone();
    let gradients = loss(x, inner, outer).backward();
    for (moved, seed) in [(0, 11), (1, 12), (2, 13)] {
        let direction = values::<2>(leaves[moved].dims(), seed);
        let slope = leaves[moved].grad(&gradients).unwrap() * direction.clone().inner();
        let slope = slope.sum().into_scalar::<f32>();
        let at = |step: f32| {
            let mut leaves = leaves.clone();
            leaves[moved] = leaves[moved].clone() + direction.clone() * step;
            let [x, inner, outer] = leaves;
            loss(x, inner, outer).into_scalar::<f32>()
        };
        let step = 4e-3;
        let found = (at(step) - at(-step)) / (2.0 * step);
        assert!(
            (found - slope).abs() < 2e-3 * slope.abs().max(0.1),
            "{found} for {slope}"
        );
    }
}
