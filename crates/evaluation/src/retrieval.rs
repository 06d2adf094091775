//! Images and texts in one space: who finds whom, and how the space lies.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

/// Queries at a time, so that what is held grows with what is known alone.
const AT_A_TIME: usize = 256;

/// Cosines that differ by no more count as the same: products of matrices round in an order of their own.
const TIE: f32 = 1e-6;

/// Vectors of one width, each of length one.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    values: Vec<f32>,
    width: usize,
}

impl Vectors {
    /// Takes `values`, one vector of `width` numbers after the other, and gives each the length one; a vector of zeros
    /// stays one.
    ///
    /// # Panics
    ///
    /// When they do not come out even.
    pub fn new(mut values: Vec<f32>, width: usize) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width));
        for row in values.chunks_mut(width) {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|x| *x /= length);
            }
        }
        Self { values, width }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One of them.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// All of them.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.width)
    }

    /// The cosine of each vector with `query`.
    pub fn cosines<'a>(&'a self, query: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        self.rows().map(|row| dot(row, query))
    }

    /// The cosines of each of `queries` with all of these, in blocks on `device`.
    pub fn cosines_of<'a>(
        &'a self,
        queries: &'a Vectors,
        device: &'a Device,
    ) -> impl Iterator<Item = Vec<f32>> + 'a {
        let tensor = move |values: &[f32]| {
            let shape = [values.len() / self.width, self.width];
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), device)
        };
        let known = tensor(&self.values).transpose();
        let blocks = queries.values.chunks(AT_A_TIME * self.width);
        blocks.flat_map(move |block| {
            let cosines = tensor(block).matmul(known.clone()).into_data();
            let cosines: Vec<f32> = cosines.iter().collect();
            let rows = cosines.chunks(self.len().max(1)).map(<[f32]>::to_vec);
            rows.collect::<Vec<_>>()
        })
    }

    /// Which of them is the most similar to `query`; the first of none.
    pub fn nearest(&self, query: &[f32]) -> usize {
        largest(self.cosines(query))
    }

    fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.width];
        for row in self.rows() {
            let sums = mean.iter_mut().zip(row);
            sums.for_each(|(sum, x)| *sum += f64::from(*x) / self.len() as f64);
        }
        mean
    }
}

/// Whether `found` counts as found before `right`: not when it is less similar, and always when either is no number.
fn before(found: f32, right: f32) -> bool {
    !matches!(found.partial_cmp(&(right - TIE)), Some(Ordering::Less))
}

/// Where the largest number stands; of none, 0.
pub fn largest(numbers: impl Iterator<Item = f32>) -> usize {
    let largest = numbers.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    largest.map_or(0, |(index, _)| index)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How well the right one is found among all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// For each image the rank of its text among the distinct texts, from 1.
    pub image_to_text: Vec<usize>,
    /// For each distinct text the rank of the best of its images, from 1.
    pub text_to_image: Vec<usize>,
}

/// Ranks all texts for each image, and all images for each text. `text_of[i]` is the text of image i; several images
/// may have the same. What is as similar as the right one counts as found before it.
///
/// # Panics
///
/// When there is not one text for each image.
pub fn retrieval(
    images: &Vectors,
    texts: &Vectors,
    text_of: &[usize],
    device: &Device,
) -> Retrieval {
    assert_eq!(images.len(), text_of.len(), "a text for each image");
    let rows = texts.cosines_of(images, device);
    let image_to_text = rows.zip(text_of).map(|(found, &own)| {
        let others = found.iter().enumerate();
        1 + others
            .filter(|&(text, &other)| text != own && before(other, found[own]))
            .count()
    });
    let rows = images.cosines_of(texts, device);
    let text_to_image = rows.enumerate().filter_map(|(text, found)| {
        let own = (0..found.len()).filter(|&image| text_of[image] == text);
        let right = own.map(|image| found[image]).reduce(f32::max)?;
        let others = found.iter().zip(text_of);
        Some(
            1 + others
                .filter(|&(&found, &of)| of != text && before(found, right))
                .count(),
        )
    });
    Retrieval {
        image_to_text: image_to_text.collect(),
        text_to_image: text_to_image.collect(),
    }
}

impl Retrieval {
    /// `i2t_r1`, `i2t_r5`, `i2t_r10`, `i2t_median_rank`, and the same of `t2i`.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        for (name, ranks) in [("i2t", &self.image_to_text), ("t2i", &self.text_to_image)] {
            for k in [1, 5, 10] {
                metrics.insert(format!("{name}_r{k}"), recall(ranks, k));
            }
            metrics.insert(format!("{name}_median_rank"), median(ranks));
        }
        metrics
    }
}

/// R@k: the share of ranks that are at most `k`; NaN without ranks.
pub fn recall(ranks: &[usize], k: usize) -> f64 {
    ranks.iter().filter(|&&rank| rank <= k).count() as f64 / ranks.len() as f64
}

/// The median rank; NaN without ranks.
pub fn median(ranks: &[usize]) -> f64 {
    let mut ranks = ranks.to_vec();
    ranks.sort_unstable();
    match (ranks.len() / 2, ranks.len() % 2) {
        (0, 0) => f64::NAN,
        (half, 1) => ranks[half] as f64,
        (half, _) => (ranks[half - 1] + ranks[half]) as f64 / 2.0,
    }
}

/// Distance between the mean image and the mean text (Liang et al. 2022, "Mind the gap", section 3).
pub fn modality_gap(images: &Vectors, texts: &Vectors) -> f64 {
    let means = images.mean().into_iter().zip(texts.mean());
    means.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// Mean squared distance of the two sides of a pair (Wang and Isola 2020, section 4.1): 0 is best.
///
/// # Panics
///
/// When there is not one text for each image.
pub fn alignment(images: &Vectors, texts: &Vectors, text_of: &[usize]) -> f64 {
    assert_eq!(images.len(), text_of.len(), "a text for each image");
    let pairs = images.rows().zip(text_of);
    let sum: f64 = pairs
        .map(|(image, &text)| 2.0 - 2.0 * f64::from(dot(image, texts.row(text))))
        .sum();
    sum / images.len() as f64
}

/// The logarithm of the mean of `exp(-2 d^2)` over all pairs of vectors (Wang and Isola 2020, section 4.1): the lower, the
/// better they spread over the sphere. NaN for fewer than two.
pub fn uniformity(vectors: &Vectors, device: &Device) -> f64 {
    let rows = vectors.cosines_of(vectors, device).enumerate();
    let sums = rows.map(|(index, row)| {
        let others = row.iter().skip(index + 1);
        let each = others.map(|cosine| (-4.0 + 4.0 * f64::from(*cosine)).exp());
        each.sum::<f64>()
    });
    let sum: f64 = sums.sum();
    let pairs = vectors.len() * vectors.len().saturating_sub(1) / 2;
    (sum / pairs as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors<const N: usize>(rows: [[f32; 2]; N]) -> Vectors {
        Vectors::new(rows.concat(), 2)
    }

    #[test]
    fn ranks_count_what_is_found_before_the_right_one() {
        let images = vectors([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
        let texts = vectors([[1.0, 0.1], [0.9, 0.5]]);
        // The third image shows what the first text says, and lies nearer to the second.
        let found = retrieval(&images, &texts, &[0, 1, 0], &Device::flex());
        assert_eq!(found.image_to_text, [1, 1, 2]);
        assert_eq!(found.text_to_image, [1, 3]);
        let metrics = found.metrics();
        assert_eq!((metrics["i2t_r1"], metrics["t2i_r5"]), (2.0 / 3.0, 1.0));
        assert_eq!(
            (metrics["i2t_median_rank"], metrics["t2i_median_rank"]),
            (1.0, 2.0)
        );
    }

    /// More than fit at a time: each with itself, in a random space.
    #[test]
    fn blocks_follow_one_another() {
        let count = 2 * AT_A_TIME + 3;
        let mut state = 1u32;
        let mut next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let values: Vec<f32> = (0..8 * count).map(&mut next).collect();
        let vectors = Vectors::new(values, 8);
        let own: Vec<usize> = (0..count).collect();
        let found = retrieval(&vectors, &vectors, &own, &Device::flex());
        assert_eq!(found.image_to_text, vec![1; count]);
        assert_eq!(found.text_to_image, vec![1; count]);
        let device = Device::flex();
        let rows = vectors.cosines_of(&vectors, &device);
        for (query, row) in vectors.rows().zip(rows) {
            let expected = vectors.cosines(query);
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    /// A model that maps everything to one point has found nothing.
    #[test]
    fn ties_are_no_hits() {
        let same = vectors([[1.0, 1.0]; 4]);
        let found = retrieval(&same, &same, &[0, 1, 2, 3], &Device::flex());
        assert_eq!(found.image_to_text, [4; 4]);
        assert_eq!(found.text_to_image, [4; 4]);
    }

    /// A model that broke has found nothing.
    #[test]
    fn what_is_no_number_is_no_hit() {
        let (broken, whole) = (vectors([[f32::NAN, 1.0]; 3]), vectors([[1.0, 0.0]; 3]));
        for (images, texts) in [(&broken, &whole), (&whole, &broken)] {
            let found = retrieval(images, texts, &[0, 1, 2], &Device::flex());
            assert_eq!(found.image_to_text, [3; 3]);
            assert_eq!(found.text_to_image, [3; 3]);
        }
    }

    #[test]
    fn the_space_is_described() {
        let cross = vectors([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -1.0]]);
        let point = vectors([[1.0, 0.0]; 4]);
        assert!((modality_gap(&cross, &point) - 1.0).abs() < 1e-6);
        assert_eq!(modality_gap(&point, &point), 0.0);
        assert!((alignment(&cross, &cross, &[0, 1, 2, 3])).abs() < 1e-6);
        assert!((alignment(&cross, &point, &[0; 4]) - 2.0).abs() < 1e-6);
        let uniformity = |vectors| uniformity(vectors, &Device::flex());
        assert_eq!(uniformity(&point), 0.0);
        // Of six pairs four lie at a squared distance of 2, two of 4.
        let expected = ((4.0 * (-4f64).exp() + 2.0 * (-8f64).exp()) / 6.0).ln();
        assert!((uniformity(&cross) - expected).abs() < 1e-5);
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!((median(&[5, 1, 9]), median(&[1, 4])), (5.0, 2.5));
        assert!(median(&[]).is_nan() && recall(&[], 1).is_nan());
    }
}
