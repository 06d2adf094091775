use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor, activation::relu};
use crucible_kernels::flops;
use crucible_transformer::{Encoded, Pooling};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The first layers of a [`ResNet`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResNetStem {
    /// A 3x3 convolution of stride 1, for images of 32 to 64 pixels.
    #[default]
    Cifar,
    /// A 7x7 convolution of stride 2 and a max-pool of stride 2, for images of 224 pixels.
    Imagenet,
}

/// Configuration of a [`ResNet`].
#[derive(Config, Debug, JsonSchema)]
pub struct ResNetConfig {
    /// Channels of the images.
    #[config(default = 3)]
    pub channels: usize,
    /// Channels of the first stage; each of the three further stages doubles them.
    #[config(default = 64)]
    pub width: usize,
    /// The first layers, by the size of the images.
    #[config(default = "ResNetStem::Cifar")]
    pub stem: ResNetStem,
}

/// ResNet-18 (He et al. 2016): a stem and four stages of two basic blocks.
#[derive(Module, Debug)]
pub struct ResNet {
    /// The stem's convolution and norm.
    pub stem: ConvNorm,
    /// After the stem, for ImageNet.
    pub pool: Option<MaxPool2d>,
    /// Eight blocks; the first of stages 2 to 4 halves the image.
    pub blocks: Vec<BasicBlock>,
}

/// Two 3x3 convolutions and a shortcut.
#[derive(Module, Debug)]
pub struct BasicBlock {
    /// The first convolution, which carries the stride.
    pub first: ConvNorm,
    /// The second convolution.
    pub second: ConvNorm,
    /// A 1x1 convolution where the shape changes, else the identity.
    pub shortcut: Option<ConvNorm>,
}

/// A convolution without bias, then BatchNorm.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution.
    pub convolution: Conv2d,
    /// Over batch and space.
    pub norm: BatchNorm,
}

impl ConvNorm {
    fn new(
        [channels_in, channels_out]: [usize; 2],
        kernel: usize,
        stride: usize,
        device: &Device,
    ) -> Self {
        let padding = kernel / 2;
        Self {
            convolution: Conv2dConfig::new([channels_in, channels_out], [kernel, kernel])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(
                    padding, padding, padding, padding,
                ))
                .with_bias(false)
                // He et al. 2015, by the fan out as in torchvision.
                .with_initializer(Initializer::KaimingNormal {
                    gain: std::f64::consts::SQRT_2,
                    fan_out_only: true,
                })
                .init(device),
            norm: BatchNormConfig::new(channels_out).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.convolution.forward(x);
        let [batch, _, height, width] = x.dims();
        let [d_output, d_input, rows, columns] = self.convolution.weight.dims();
        let outputs = batch * height * width;
        flops::record(flops::dense(outputs, d_input * rows * columns, d_output));
        self.norm.forward(x)
    }
}

impl BasicBlock {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let [channels_in, channels_out] = channels;
        Self {
            first: ConvNorm::new(channels, 3, stride, device),
            second: ConvNorm::new([channels_out, channels_out], 3, 1, device),
            shortcut: (stride != 1 || channels_in != channels_out)
                .then(|| ConvNorm::new(channels, 1, stride, device)),
        }
    }

    /// # Shapes
    /// - from `[batch, channels_in, height, width]` to `[batch, channels_out, height / s, width / s]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.second.forward(relu(self.first.forward(x)));
        relu(x + shortcut)
    }
}

impl ResNetConfig {
    /// Width of the tokens and of the pooled vector.
    pub fn d_model(&self) -> usize {
        8 * self.width
    }

    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> ResNet {
        let (kernel, stride, pool) = match self.stem {
            ResNetStem::Cifar => (3, 1, None),
            ResNetStem::Imagenet => {
                let pool = MaxPool2dConfig::new([3, 3])
                    .with_strides([2, 2])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
                (7, 2, Some(pool.init()))
            }
        };
        let mut channels = self.width;
        let mut blocks = Vec::with_capacity(8);
        for stage in 0..4 {
            let wider = self.width << stage;
            let stride = if stage == 0 { 1 } else { 2 };
            blocks.push(BasicBlock::new([channels, wider], stride, device));
            blocks.push(BasicBlock::new([wider, wider], 1, device));
            channels = wider;
        }
        ResNet {
            stem: ConvNorm::new([self.channels, self.width], kernel, stride, device),
            pool,
            blocks,
        }
    }
}

impl ResNet {
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - output: tokens `[batch, height * width / stride^2, d_model]` (stride 8 with the CIFAR stem, 32
    ///   with ImageNet's), pooled `[batch, d_model]`, no mask
    pub fn forward(&self, images: Tensor<4>) -> Encoded {
        let x = relu(self.stem.forward(images));
        let x = match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        };
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let tokens: Tensor<3> = x.flatten::<3>(2, 3).swap_dims(1, 2);
        let pooled = Pooling::Mean.forward(tokens.clone(), None);
        Encoded {
            tokens,
            pooled,
            mask: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};

    #[test]
    fn shapes_are_as_documented_and_everything_trains() {
        for (stem, size, tokens) in [(ResNetStem::Cifar, 16, 4), (ResNetStem::Imagenet, 64, 4)] {
            let config = ResNetConfig::new().with_width(2).with_stem(stem);
            let model = config.init(&device());
            let encoded = model.forward(values([2, 3, size, size], 1, &device()));
            assert_eq!(encoded.tokens.dims(), [2, tokens, config.d_model()]);
            assert_eq!(encoded.pooled.dims(), [2, config.d_model()]);
            assert_gradients_reach_everything(&model, encoded.pooled);
        }
    }

    #[test]
    fn evaluation_uses_running_statistics_and_does_not_mix_images() {
        let model = ResNetConfig::new().with_width(2).init(&device());
        let images = values([2, 3, 16, 16], 1, &device());
        let training = model.forward(images.clone()).pooled.inner();
        let (model, images) = (model.valid(), images.inner());
        let together = model.forward(images.clone()).pooled;
        let alone = model.forward(images.narrow(0, 1, 1)).pooled;
        assert!(difference(together.clone(), training) > 1e-3);
        assert!(difference(together.narrow(0, 1, 1), alone) < 1e-5);
    }

    #[test]
    fn has_the_published_number_of_parameters() {
        // torchvision's resnet18 without its head; burn counts the running statistics of the 20 norms too.
        let model = ResNetConfig::new()
            .with_stem(ResNetStem::Imagenet)
            .init(&device());
        assert_eq!(model.num_params(), 11_176_512 + 2 * 4_800);
    }
}
