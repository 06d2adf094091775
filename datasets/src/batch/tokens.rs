//! Texts of unlike lengths in one tensor.

use burn::prelude::*;

/// Token ids of several texts.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// [texts, length], filled up at the end.
    pub ids: Tensor<2, Int>,
    /// True where `ids` is padding, [texts, length].
    pub padding: Tensor<2, Bool>,
}

/// [`Tokens`] in host memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokensHost {
    ids: Vec<i32>,
    padding: Vec<bool>,
    /// Texts and their greatest length.
    shape: [usize; 2],
}

impl TokensHost {
    /// Fills all texts up with `padding` to the length of the longest.
    pub fn pad(texts: &[Vec<u32>], padding: u32) -> Self {
        let length = texts.iter().map(Vec::len).max().unwrap_or(0);
        let mut host = Self {
            shape: [texts.len(), length],
            ..Self::default()
        };
        for text in texts {
            host.ids.extend(text.iter().map(|&id| id as i32));
            host.padding.resize(host.padding.len() + text.len(), false);
            let end = host.ids.len() + length - text.len();
            host.ids.resize(end, padding as i32);
            host.padding.resize(end, true);
        }
        host
    }

    /// Tokens of the longest text: the length of all.
    pub fn length(&self) -> usize {
        self.shape[1]
    }

    /// Moves the texts to the device.
    pub fn upload(self, device: &Device) -> Tokens {
        Tokens {
            ids: Tensor::from_data(TensorData::new(self.ids, self.shape), device),
            padding: Tensor::from_data(TensorData::new(self.padding, self.shape), device),
        }
    }
}
