use burn::tensor::{Bool, Int, Tensor};
use crucible_transformer::{AttentionMask, Encoded, Pooling};

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
    /// Which pairs lack one of the two.
    pub missing: Missing,
}

/// Which pairs lack their image or their text, as data can.
///
/// To every strategy alike, what is missing is one token of zeros and a pooled vector of zeros, whatever the tower made
/// of what stands in its place.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// `[pairs]`, `true` = has no image; `None` when all have one.
    pub image: Option<Tensor<1, Bool>>,
    /// `[pairs]`, `true` = has no text; `None` when all have one.
    pub text: Option<Tensor<1, Bool>>,
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
            missing: Missing::default(),
        }
    }

    /// The pooled vectors of each pair, image first.
    ///
    /// # Shapes
    /// - output: twice `[pairs, d_model]`
    pub fn pooled_pairs(self) -> (Tensor<2>, Tensor<2>) {
        let pooled = |encoded: Encoded, rows, missing: Option<Tensor<1, Bool>>| {
            let pooled = encoded.pooled.select(0, rows);
            match missing {
                Some(missing) => {
                    let hidden = missing.unsqueeze_dim::<2>(1).expand(pooled.dims());
                    pooled.mask_fill(hidden, 0.0)
                }
                None => pooled,
            }
        };
        (
            pooled(self.image, self.image_of, self.missing.image),
            pooled(self.text, self.text_of, self.missing.text),
        )
    }

    /// The token sequences of each pair, image first.
    ///
    /// # Shapes
    /// - output: `[pairs, patches, d_model]` and `[pairs, words, d_model]`, with their masks
    pub fn token_pairs(self) -> (Tokens, Tokens) {
        (
            Tokens::gather(self.image, self.image_of).without(self.missing.image),
            Tokens::gather(self.text, self.text_of).without(self.missing.text),
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

    /// The same, with one token of zeros in place of each sequence that is missing.
    fn without(self, missing: Option<Tensor<1, Bool>>) -> Self {
        let Some(missing) = missing else {
            return self;
        };
        let shape @ [batch, length, _] = self.values.dims();
        let later = Tensor::<1, Int>::arange(0..length as i64, &self.values.device());
        let later = later
            .greater_elem(0)
            .unsqueeze::<2>()
            .expand([batch, length]);
        let rows = missing.unsqueeze_dim::<2>(1).expand([batch, length]);
        let padding = self.padding_or_none();
        // Padding where a sequence that is there has it, and behind the first token of one that is not.
        let padding = padding
            .bool_and(rows.clone().bool_not())
            .bool_or(rows.clone().bool_and(later));
        Self {
            values: self
                .values
                .mask_fill(rows.unsqueeze_dim::<3>(2).expand(shape), 0.0),
            padding: Some(padding),
        }
    }

    /// The sequences pooled to a vector each.
    ///
    /// # Shapes
    /// - output: `[batch, d_model]`
    pub fn pool(self, pooling: Pooling) -> Tensor<2> {
        pooling.forward(self.values, self.padding.as_ref())
    }

    /// The mask that hides padding from attention to these tokens.
    pub fn mask(&self) -> Option<AttentionMask> {
        self.padding.clone().map(AttentionMask::padding)
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
