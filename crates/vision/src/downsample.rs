use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor};
use crucible_kernels::activate;
use crucible_transformer::{Activation, LayerNorm, project};

/// One stage of a convolutional stem: a 3x3 convolution of stride 2, LayerNorm over the channels, an
/// activation.
///
/// Works on `[batch, height, width, channels]`, where the norm and the product run over the last axis.
/// LayerNorm (as in ConvNeXt) rather than the BatchNorm of Xiao et al. 2021: it behaves the same in
/// training and evaluation, and the same on one image as on many.
#[derive(Module, Debug)]
pub struct Downsample {
    /// The convolution, `[9 * channels_in, channels_out]`, its rows in the order `(dy, dx, channel)`.
    pub convolution: Linear,
    /// Over the channels.
    pub norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
}

impl Downsample {
    /// A stage with fresh weights: He normal, as the activation halves the variance.
    pub fn new(
        channels_in: usize,
        channels_out: usize,
        activation: Activation,
        device: &Device,
    ) -> Self {
        let rows = 9 * channels_in;
        let he = Initializer::KaimingNormal {
            gain: std::f64::consts::SQRT_2,
            fan_out_only: false,
        };
        let weight: Param<Tensor<2>> =
            he.init_with([rows, channels_out], Some(rows), Some(channels_out), device);
        Self {
            convolution: Linear {
                weight,
                bias: Some(Initializer::Zeros.init([channels_out], device)),
            },
            norm: LayerNorm::new(channels_out, 1e-6, device),
            activation,
        }
    }

    /// # Shapes
    /// - `x`: `[batch, height, width, channels_in]`, height and width even
    /// - output: `[batch, height / 2, width / 2, channels_out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = project(&self.convolution, neighbourhoods(x));
        activate(self.norm.forward(x), self.activation)
    }
}

/// The 3x3 neighbourhood around every second pixel, with zeros beyond the upper and left edges: what a
/// convolution of stride 2 and padding 1 multiplies with its kernel.
///
/// Pixels are taken in 2x2 cells, so that four slices do the work of nine.
///
/// # Shapes
/// - from `[batch, height, width, channels]` to `[batch, height / 2, width / 2, 9 * channels]`
fn neighbourhoods(x: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let (rows, columns) = (height / 2, width / 2);
    let device = x.device();

    // Left neighbour's right half beside each pair of columns: [batch, height, columns, 3 * channels].
    let pairs = x.reshape([batch, height, columns, 2 * channels]);
    let left = pairs
        .clone()
        .slice([0..batch, 0..height, 0..columns - 1, channels..2 * channels]);
    let edge = Tensor::zeros([batch, height, 1, channels], &device);
    let triples = Tensor::cat(vec![Tensor::cat(vec![edge, left], 2), pairs], 3);

    // The same with rows.
    let width = 3 * channels;
    let pairs = triples
        .reshape([batch, rows, 2, columns, width])
        .swap_dims(2, 3);
    let above = pairs
        .clone()
        .slice([0..batch, 0..rows - 1, 0..columns, 1..2, 0..width]);
    let edge = Tensor::zeros([batch, 1, columns, 1, width], &device);
    Tensor::cat(vec![Tensor::cat(vec![edge, above], 1), pairs], 3).reshape([
        batch,
        rows,
        columns,
        3 * width,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::{module::conv2d, ops::ConvOptions};

    #[test]
    fn halves_the_image_and_trains_everything() {
        let stage = Downsample::new(3, 6, Activation::Gelu, &device());
        let output = stage.forward(values([2, 8, 4, 3], 1, &device()));
        assert_eq!(output.dims(), [2, 4, 2, 6]);
        assert_gradients_reach_everything(&stage, output);
    }

    #[test]
    fn product_with_the_neighbourhoods_is_the_convolution() {
        let (channels, width) = (3, 5);
        // The smallest image has neighbours on the upper and left edge only.
        for (rows, columns) in [(2, 2), (4, 8), (10, 6)] {
            let images = values([2, channels, rows, columns], 1, &device());
            let kernel = values([width, channels, 3, 3], 2, &device());
            let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
            let expected =
                conv2d(images.clone(), kernel.clone(), None, options).permute([0, 2, 3, 1]);
            let kernel = kernel
                .permute([2, 3, 1, 0])
                .reshape([1, 1, 9 * channels, width]);
            let found = neighbourhoods(images.permute([0, 2, 3, 1])).matmul(kernel);
            assert!(difference(found, expected) < 1e-5, "{rows} x {columns}");
        }
    }
}
