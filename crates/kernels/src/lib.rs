//! Fused operations with a backward pass.
//!
//! Each function is called by models like any other on tensors and knows by itself where it runs: a backend
//! with code of its own for it gets that code, all others get the same operation composed from those of Burn.
//! The composed form is also what the tests compare with.
//!
//! | operation | composed | flex, f32 |
//! |---|---|---|
//! | [`linear`] with bias and activation | everywhere | product and what follows on blocks of rows that stay in cache |
//! | [`feed_forward`] with activation and dropout | everywhere | keeps one tensor of the hidden width |
//! | [`attention`] with masks and dropout | everywhere | in tiles; of the scores one number a row is kept |
//! | [`layer_norm`], [`rms_norm`] | everywhere | one pass each way |
//! | [`activate`] | everywhere | vectorised, in place on the way back |
//! | [`softmax`] | everywhere | one pass each way |
//! | [`cross_entropy`] | everywhere | one pass each way |
//! | [`adamw`] | everywhere | one pass over a tensor, in place |
//! | [`squared_norm`] | everywhere | one pass, added in the same order each time |
//! | [`matmul`] | everywhere | that of Burn, counted |
//!
//! [`flops`] counts what they multiply.
//!
//! `CRUCIBLE_KERNELS=composed` in the environment switches the backends' own code off.

mod activation;
mod adamw;
#[cfg(feature = "allocator")]
mod allocator;
mod attention;
mod autodiff;
mod cross_entropy;
mod dropout;
mod feed_forward;
#[cfg(feature = "flex")]
mod flex;
pub mod flops;
mod fused;
mod linear;
mod norm;
mod route;
mod softmax;
mod squared_norm;

pub use activation::{Activation, activate};
pub use adamw::{AdamW, Moments, adamw};
#[cfg(feature = "allocator")]
pub use allocator::{Allocator, keep_freed_memory};
pub use attention::{Attention, attention};
pub use cross_entropy::cross_entropy;
pub use feed_forward::{Layer, feed_forward};
pub use flops::matmul;
pub use linear::linear;
pub use norm::{layer_norm, rms_norm};
pub use route::{Implementation, among_threads, implementation, switch, threads};
pub use softmax::softmax;
pub use squared_norm::squared_norm;

/// The operations composed from those of Burn, whatever the backend.
pub mod composed {
    pub use crate::activation::composed as activate;
    pub use crate::adamw::composed as adamw;
    pub use crate::attention::composed as attention;
    pub use crate::cross_entropy::composed as cross_entropy;
    pub use crate::feed_forward::composed as feed_forward;
    pub use crate::linear::composed as linear;
    pub use crate::norm::{composed_layer_norm as layer_norm, composed_rms_norm as rms_norm};
    pub use crate::softmax::composed as softmax;
    pub use crate::squared_norm::composed as squared_norm;
}

#[cfg(test)]
mod tests;
