//! Dropout (Srivastava et al. 2014) within an operation.

use burn::tensor::{Distribution, Tensor};

/// Which elements are dropped: the seed decides, so that the backward pass finds them again.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    pub chance: f32,
    pub seed: u64,
}

impl Dropout {
    /// With a seed from the random numbers of the tensor's device, so that it follows its own. Without dropout
    /// none is drawn.
    pub fn draw<const D: usize>(chance: f64, tensor: &Tensor<D>) -> Self {
        let seed = match chance > 0.0 {
            true => {
                let device = tensor.device().inner();
                let range = Distribution::Uniform(0.0, 65536.0);
                let words = Tensor::<1>::random([4], range, &device).into_data();
                let words = words.iter::<f32>().map(|word| word as u64);
                words.fold(0, |seed, word| seed << 16 | word)
            }
            false => 0,
        };
        Self {
            chance: chance as f32,
            seed,
        }
    }

    /// Whether anything is dropped.
    #[cfg(feature = "flex")]
    pub fn acts(self) -> bool {
        self.chance > 0.0
    }
}

/// Dropout, composed.
pub fn composed<const D: usize>(x: Tensor<D>, chance: f64) -> Tensor<D> {
    if chance == 0.0 {
        return x;
    }
    let keep = 1.0 - chance;
    let kept = x.random_like(Distribution::Bernoulli(keep));
    x * kept * (1.0 / keep)
}
