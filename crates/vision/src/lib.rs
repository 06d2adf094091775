//! Image encoders: images to tokens, for a transformer or by themselves.
//!
//! | file | idea |
//! |---|---|
//! | [`patch`](PatchEmbedding) | images to patch tokens, through a convolutional stem of [`Downsample`] stages or at once |
//! | [`vit`](Vit) | Vision Transformer |
//! | [`attention_pooling`](AttentionPooling) | a trained query that reads all tokens |
//! | [`masked_autoencoder`](MaskedAutoencoder) | a ViT that sees some patches, and a decoder that guesses the others |
//! | [`resnet`](ResNet) | ResNet-18, the convolutional baseline |
//!
//! Encoders return an [`Encoded`](crucible_transformer::Encoded); heads belong to the recipes.

mod attention_pooling;
mod downsample;
mod masked_autoencoder;
mod patch;
mod resize;
mod resnet;
#[cfg(test)]
#[path = "../../transformer/src/testing.rs"]
mod testing;
mod vit;

pub use attention_pooling::AttentionPooling;
pub use downsample::Downsample;
pub use masked_autoencoder::{MaskedAutoencoder, MaskedAutoencoderConfig, Visible};
pub use patch::{PatchEmbedding, PatchEmbeddingConfig};
pub use resnet::{BasicBlock, ConvNorm, ResNet, ResNetConfig, ResNetStem};
pub use vit::{Vit, VitConfig, VitPooler, VitPoolerKind};
