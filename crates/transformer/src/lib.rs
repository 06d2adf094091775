//! Transformers: attention, blocks, encoder, decoder and a BERT-like text encoder.
//!
//! Everything is composed of plain tensor operations, names no backend and is therefore right on each
//! of them. Masks follow Burn's convention: **`true` means "may not be attended to"**.
//!
//! | file | idea |
//! |---|---|
//! | [`attention`](MultiHeadAttention) | scaled dot-product attention, self and cross |
//! | [`attention/pattern`](AttentionPattern) | what long sequences have in its place; one file each beside it |
//! | [`mask`](AttentionMask) | padding and causal masks, made once for all layers |
//! | [`linear`](linear()) | linear layers: how they start, how they run quickly |
//! | [`feed_forward`](FeedForward) | the position-wise network and its [`Activation`] |
//! | [`block`](Block) | pre-norm and post-norm blocks, with and without cross-attention |
//! | [`encoder`](Encoder), [`decoder`](Decoder) | stacks of blocks |
//! | [`causal`](CausalLm) | decoder-only language models, their adapters and cache |
//! | [`generation`](generate()) | what follows a prompt: greedy, sampled, by beam search |
//! | [`seq2seq`](Seq2Seq) | encoder-decoders with relative positions (T5) |
//! | [`position`](Positions) | learned and sinusoidal positions |
//! | [`pooling`](Pooling), [`pooler`](Pooler), [`text_end`](TextEnd) | one vector for a sequence |
//! | [`config_error`](ConfigError) | sizes that do not fit together |
//! | [`language_head`](LanguageHead) | states to a guess among all tokens |
//! | [`text`](TextEncoder) | token ids to an [`Encoded`] sequence |

mod attention;
mod block;
mod causal;
mod config_error;
mod decoder;
mod dropout;
mod encoded;
mod encoder;
mod feed_forward;
mod generation;
mod language_head;
mod linear;
mod mask;
mod norm;
mod pooler;
mod pooling;
mod position;
mod seq2seq;
#[cfg(test)]
mod testing;
mod text;
mod text_end;

pub use attention::{
    AttentionPattern, LinearAttentionConfig, LshAttentionConfig, MultiHeadAttention,
    MultiHeadAttentionConfig, WindowAttentionConfig,
};
pub use block::{Block, BlockConfig, CrossBlock, CrossBlockConfig, NormPlacement, Residual};
pub use causal::{
    CausalBlock, CausalFeedForward, CausalLm, CausalLmConfig, CausalPositions,
    GroupedQueryAttention, KeyValueCache, LayerCache, LoraConfig, LowRank, Places, Projection,
    QkvBias, RopeScaling, RotaryConfig, Rotation,
};
pub use config_error::ConfigError;
pub use crucible_kernels::Activation;
pub use decoder::{Decoder, DecoderConfig};
pub use encoded::Encoded;
pub use encoder::{Encoder, EncoderConfig};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use generation::{
    Finish, Generated, Generates, GenerationConfig, GenerationError, Prompted, Stop, generate,
};
pub use language_head::LanguageHead;
pub use linear::{embedding_initializer, linear, project, project_and_activate};
pub use mask::AttentionMask;
pub use norm::{LayerNorm, Norm, NormKind, RmsNorm};
pub use pooler::Pooler;
pub use pooling::Pooling;
pub use position::{PositionKind, Positions};
pub use seq2seq::{
    EncoderMemory, RelativeAttention, RelativePositions, Seq2Seq, Seq2SeqBlock, Seq2SeqCache,
    Seq2SeqConfig, Seq2SeqStack,
};
pub use text::{TextEmbeddings, TextEncoder, TextEncoderConfig};
pub use text_end::TextEnd;
