//! Tensors of flex as slices and back.

use std::mem::{ManuallyDrop, MaybeUninit};

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, Tensor, TensorData};

use super::Float;
use super::parallel::Parts;

/// What stands behind a tensor of flex that is not on a tape.
pub fn primitive<const D: usize>(tensor: Tensor<D>) -> Float {
    let primitive = tensor.try_into_primitive::<Flex>();
    primitive.expect("the operation is routed to flex for tensors of flex")
}

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
    let alone = |tensor: &Float| {
        let length = tensor.shape().num_elements();
        // Not a part of a larger one, which would be written to as well.
        let whole = tensor.layout().contiguous_offsets() == Some((0, length))
            && tensor.bytes().len() == size_of::<f32>() * length;
        whole && tensor.is_unique()
    };
    let rows = match alone(&tensor) {
        true => return tensor,
        false => contiguous(tensor),
    };
    match alone(&rows) {
        true => rows,
        false => self::tensor(values(&rows).to_vec(), rows.shape()),
    }
}

/// Room for a result, which is not filled before the result is written.
pub struct Room(Vec<MaybeUninit<f32>>);

impl Room {
    pub fn new(length: usize) -> Self {
        let mut elements = Vec::with_capacity(length);
        // SAFETY: as many as there is capacity for, and they may be uninitialised.
        unsafe { elements.set_len(length) };
        Self(elements)
    }

    /// To be written by several threads.
    pub fn parts(&mut self) -> Parts<'_> {
        // SAFETY: borrowed for as long as the parts live.
        unsafe { Parts::of(self.0.as_mut_ptr().cast(), self.0.len()) }
    }

    /// # Safety
    /// Every element has been written.
    pub unsafe fn filled(self, shape: impl Into<Shape>) -> Float {
        let mut elements = ManuallyDrop::new(self.0);
        let (length, capacity) = (elements.len(), elements.capacity());
        // SAFETY: the parts of a vector that is not dropped, whose elements are numbers by now.
        let values = unsafe { Vec::from_raw_parts(elements.as_mut_ptr().cast(), length, capacity) };
        tensor(values, shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn float(tensor: Tensor<2>) -> Float {
        primitive(tensor)
    }

    /// Alone, shared, and either half: afterwards nobody else holds what is to be written to.
    #[test]
    fn what_is_owned_is_seen_by_nobody_else() {
        let all = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
        let halves = [0, 1].map(|row| all.clone().narrow(0, row, 1));
        let [first, last] = halves.map(|half| owned(float(half)));
        let shared = owned(float(all.clone()));
        for (found, expected) in [
            (first, &[1.0, 2.0][..]),
            (last, &[3.0, 4.0]),
            (shared, &[1.0, 2.0, 3.0, 4.0]),
        ] {
            assert!(found.is_unique());
            assert_eq!(found.bytes().len(), 4 * expected.len());
            assert_eq!(values(&found), expected);
        }
        let place = values(&float(all.clone())).as_ptr();
        assert_eq!(
            values(&owned(float(all))).as_ptr(),
            place,
            "the last handle is not copied"
        );
    }
}
