//! How large the model of the `vqa` recipe is.

use burn::tensor::Device;
use crucible_fusion::FusionEncoderConfig;
use crucible_shared::VqaModel;

use super::VqaConfig;

impl VqaConfig {
    /// The encoder for a vocabulary of that size.
    pub fn encoder(&self, vocabulary: usize) -> FusionEncoderConfig {
        let vision = self.model.vision(self.image.size);
        let text = self.model.text(vocabulary, self.tokenizer.max_length);
        FusionEncoderConfig::new(vision, text, self.fusion.clone())
    }

    /// A model with fresh weights.
    pub fn init(&self, vocabulary: usize, answers: usize, device: &Device) -> VqaModel {
        VqaModel::new(&self.encoder(vocabulary), answers, device)
    }
}
