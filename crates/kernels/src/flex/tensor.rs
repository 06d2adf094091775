//! Tensors of flex as slices and back.

use burn::backend::TensorMetadata;
use burn::tensor::{Shape, TensorData};

use super::Float;

/// The same values, row after row.
pub fn contiguous(tensor: Float) -> Float {
    tensor.to_contiguous()
}

/// The values of a contiguous tensor.
pub fn values(tensor: &Float) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor of f32")
}

/// A tensor of these values.
pub fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Float {
    Float::from_data(TensorData::new(values, shape))
}

/// The same values where nobody else sees them, so that they can be written to: without a copy when this
/// is the last handle on them.
pub fn owned(tensor: Float) -> Float {
    let length = tensor.shape().num_elements();
    let whole = tensor.layout().contiguous_offsets() == Some((0, length))
        && tensor.bytes().len() == size_of::<f32>() * length;
    match whole && tensor.is_unique() {
        true => tensor,
        false => {
            let shape = tensor.shape();
            let rows = contiguous(tensor);
            self::tensor(values(&rows).to_vec(), shape)
        }
    }
}

/// Room for a result that is written in full before it is read.
pub fn room(length: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    // SAFETY: as large as its capacity, and any bits are an `f32`. Its callers write every element before one
    // is read.
    #[allow(clippy::uninit_vec)]
    unsafe {
        values.set_len(length);
    }
    values
}
