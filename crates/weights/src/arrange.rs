//! The numbers of a tensor from their order to ours and back.

use crate::rules::{Form, Part};

/// Numbers with their shape, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Array {
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, values }
    }

    /// One of equal parts along an axis; none where it cannot be cut like that.
    pub fn part(&self, part: Part) -> Option<Self> {
        let length = *self.shape.get(part.axis)?;
        if part.of == 0 || part.index >= part.of || !length.is_multiple_of(part.of) {
            return None;
        }
        let mut shape = self.shape.clone();
        shape[part.axis] = length / part.of;
        let inner: usize = self.shape[part.axis + 1..].iter().product();
        let (row, piece) = (length * inner, length / part.of * inner);
        let rows = self.values.chunks_exact(row.max(1));
        let pieces = rows.flat_map(|row| &row[part.index * piece..][..piece]);
        let values = pieces.copied().collect();
        Some(Self { shape, values })
    }

    /// Equal parts put together again.
    pub fn joined(parts: &[Self], axis: usize) -> Option<Self> {
        let first = parts.first()?;
        let mut shape = first.shape.clone();
        *shape.get_mut(axis)? *= parts.len();
        let piece: usize = first.shape[axis..].iter().product();
        let pieces = first.values.len() / piece.max(1);
        let places = (0..pieces).flat_map(|at| parts.iter().map(move |part| (part, at)));
        let values = places.flat_map(|(part, at)| &part.values[at * piece..][..piece]);
        let values = values.copied().collect();
        Some(Self { shape, values })
    }

    /// From their form to ours, which has that shape; none where it does not fit.
    pub fn into_ours(self, form: Form, shape: &[usize]) -> Option<Self> {
        let found = match (form, self.shape.as_slice()) {
            (Form::Same | Form::Axes(_), theirs) => {
                let squeezed = |shape: &[usize]| -> Vec<usize> {
                    shape.iter().copied().filter(|&side| side != 1).collect()
                };
                let fits = squeezed(theirs) == squeezed(shape);
                return fits.then(|| Self::new(shape.to_vec(), self.values));
            }
            (Form::Transposed, &[rows, columns]) => self.transposed(rows, columns),
            (Form::Patches { channels, size }, &[out, c, y, x])
                if [c, y, x] == [channels, size, size] =>
            {
                // [out, c, pixels] to [out, pixels, c], then transposed.
                let pixels = size * size;
                let by_pixel = self.reordered(out, channels, pixels);
                Self::new(vec![out, pixels * channels], by_pixel).transposed(out, pixels * channels)
            }
            _ => return None,
        };
        (found.shape == shape).then_some(found)
    }

    /// From our form to theirs.
    pub fn into_theirs(self, form: Form) -> Option<Self> {
        let theirs = theirs(form, &self.shape)?;
        let values = match (form, self.shape.as_slice()) {
            (Form::Transposed, &[rows, columns]) => self.reordered(1, rows, columns),
            (Form::Patches { channels, size }, &[rows, out]) => {
                let turned = self.transposed(rows, out);
                turned.reordered(out, size * size, channels)
            }
            _ => self.values,
        };
        Some(Self::new(theirs, values))
    }

    fn transposed(&self, rows: usize, columns: usize) -> Self {
        Self::new(vec![columns, rows], self.reordered(1, rows, columns))
    }

    /// The numbers of `count` matrices `[rows, columns]`, each column by column.
    fn reordered(&self, count: usize, rows: usize, columns: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.values.len());
        for matrix in 0..count {
            let matrix = &self.values[matrix * rows * columns..][..rows * columns];
            for column in 0..columns {
                values.extend((0..rows).map(|row| matrix[row * columns + column]));
            }
        }
        values
    }
}

/// The shape in their form of what has that shape in ours.
pub(crate) fn theirs(form: Form, ours: &[usize]) -> Option<Vec<usize>> {
    match (form, ours) {
        (Form::Same, _) => Some(ours.to_vec()),
        (Form::Axes(axes), _) => {
            let (first, rest) = ours.split_at(ours.len().saturating_sub(axes));
            let mut new = vec![1; axes.saturating_sub(rest.len())];
            new.extend(rest);
            first.iter().all(|&side| side == 1).then_some(new)
        }
        (Form::Transposed, &[rows, columns]) => Some(vec![columns, rows]),
        (Form::Patches { channels, size }, &[rows, out]) => {
            (rows == channels * size * size).then(|| vec![out, channels, size, size])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(shape: &[usize]) -> Array {
        let count = shape.iter().product::<usize>();
        Array::new(shape.to_vec(), (0..count).map(|i| i as f32).collect())
    }

    #[test]
    fn matrices_are_turned_and_kernels_are_rows_of_pixels() {
        let turned = counted(&[2, 3])
            .into_ours(Form::Transposed, &[3, 2])
            .unwrap();
        assert_eq!(turned.values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        // Of one output: channel 0 has pixels 0 to 3, channel 1 pixels 4 to 7.
        let form = Form::Patches {
            channels: 2,
            size: 2,
        };
        let rows = counted(&[1, 2, 2, 2]).into_ours(form, &[8, 1]).unwrap();
        assert_eq!(rows.values, [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let array = counted(&[2, 3]);
        assert!(array.clone().into_ours(Form::Same, &[3, 2]).is_none());
        let turned = array.clone().into_ours(Form::Transposed, &[2, 3]);
        assert!(turned.is_none());
        let form = Form::Patches {
            channels: 1,
            size: 2,
        };
        assert!(array.clone().into_ours(form, &[4, 1]).is_none());
        let part = |axis, index, of| Part { axis, index, of };
        assert!(array.part(part(0, 0, 3)).is_none());
        assert!(array.part(part(0, 2, 2)).is_none());
        assert!(array.part(part(2, 0, 1)).is_none());
        assert!(array.into_ours(Form::Same, &[2, 1, 3]).is_some());
    }

    #[test]
    fn axes_of_length_one_come_and_go() {
        let shape = |ours: &[usize], axes| {
            let theirs = counted(ours).into_theirs(Form::Axes(axes))?;
            let shape = theirs.shape.clone();
            let back = theirs.into_ours(Form::Axes(axes), ours).unwrap();
            assert_eq!(back, counted(ours));
            Some(shape)
        };
        assert_eq!(shape(&[1], 0), Some(vec![]));
        assert_eq!(shape(&[1, 1, 3], 1), Some(vec![3]));
        assert_eq!(shape(&[2, 3], 3), Some(vec![1, 2, 3]));
        assert_eq!(shape(&[2, 3], 1), None);
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(rows in 1usize..5, columns in 1usize..5, channels in 1usize..4, size in 1usize..4) {
            let array = counted(&[rows, columns]);
            let ours = array.clone().into_ours(Form::Transposed, &[columns, rows]).unwrap();
            prop_assert_eq!(ours.into_theirs(Form::Transposed).unwrap(), array);
            let form = Form::Patches { channels, size };
            let array = counted(&[rows, channels, size, size]);
            let ours = array.clone().into_ours(form, &[size * size * channels, rows]).unwrap();
            prop_assert_eq!(ours.into_theirs(form).unwrap(), array);
        }

        #[test]
        fn parts_make_the_whole(rows in 1usize..5, columns in 1usize..5, of in 1usize..4, axis in 0usize..2) {
            let shape = if axis == 0 { [rows * of, columns] } else { [rows, columns * of] };
            let array = counted(&shape);
            let parts: Vec<Array> = (0..of).map(|index| array.part(Part { axis, index, of }).unwrap()).collect();
            prop_assert_eq!(Array::joined(&parts, axis).unwrap(), array);
        }
    }
}
