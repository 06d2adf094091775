use burn::tensor::{Bool, Int, Tensor};
use crucible_transformer::Encoded;

/// Two encoded modalities and the pairs that belong together.
///
/// An image with ten questions is encoded once and named by ten pairs, so a strategy that fuses pooled
/// vectors pays for the image once. Equal texts are shared in the same way.
#[derive(Clone, Debug)]
pub struct Modalities {
    /// The images: tokens `[images, patches, d_model]`.
    pub image: Encoded,
    /// The texts: tokens `[texts, words, d_model]`.
    pub text: Encoded,
    /// Which image each pair is about, `[pairs]`.
    pub image_of: Tensor<1, Int>,
    /// Which text each pair is about, `[pairs]`.
    pub text_of: Tensor<1, Int>,
}

impl Modalities {
    /// Each image with the text of the same number.
    pub fn paired(image: Encoded, text: Encoded) -> Self {
        let [pairs, _] = image.pooled.dims();
        let own = Tensor::<1, Int>::arange(0..pairs as i64, &image.pooled.device());
        Self {
            image,
            text,
            image_of: own.clone(),
            text_of: own,
        }
    }

    /// The pooled vectors of each pair, image first.
    ///
    /// # Shapes
    /// - output: twice `[pairs, d_model]`
    pub fn pooled_pairs(self) -> (Tensor<2>, Tensor<2>) {
        (
            self.image.pooled.select(0, self.image_of),
            self.text.pooled.select(0, self.text_of),
        )
    }

    /// The token sequences of each pair, image first.
    ///
    /// # Shapes
    /// - output: `[pairs, patches, d_model]` and `[pairs, words, d_model]`, with their masks
    pub fn token_pairs(self) -> (Tokens, Tokens) {
        (
            Tokens::gather(self.image, self.image_of),
            Tokens::gather(self.text, self.text_of),
        )
    }
}

/// Sequences, one for each pair.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// `[batch, length, d_model]`.
    pub values: Tensor<3>,
    /// `[batch, length]`, `true` = padding; `None` when nothing is.
    pub padding: Option<Tensor<2, Bool>>,
}

impl Tokens {
    fn gather(encoded: Encoded, rows: Tensor<1, Int>) -> Self {
        Self {
            values: encoded.tokens.select(0, rows.clone()),
            // Booleans have no gather on every backend; a comparison of gathered integers has.
            padding: encoded
                .mask
                .map(|mask| mask.int().select(0, rows).equal_elem(1)),
        }
    }

    /// A part of each sequence.
    ///
    /// # Shapes
    /// - output: `[batch, length, d_model]` from the place `start` on
    pub fn narrow(&self, start: usize, length: usize) -> Self {
        Self {
            values: self.values.clone().narrow(1, start, length),
            padding: self
                .padding
                .clone()
                .map(|padding| padding.narrow(1, start, length)),
        }
    }

    /// Which tokens are padding, also when none is.
    ///
    /// # Shapes
    /// - output: `[batch, length]`
    pub fn padding_or_none(&self) -> Tensor<2, Bool> {
        let [batch, length, _] = self.values.dims();
        self.padding.clone().unwrap_or_else(|| {
            Tensor::<2, Int>::zeros([batch, length], &self.values.device()).bool()
        })
    }
}
