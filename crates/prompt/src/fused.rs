//! Prompts of a fused model: further tokens of its towers, or tokens in place of a question's words.
//!
//! Unlike those of a dual encoder they stay in what a tower gives, where pooling and fusion see them as they see words and
//! patches. So they reach every strategy: the joint sequence of early fusion, whose towers have no layers of their own,
//! the attention of mid fusion, and the pooled vectors of late fusion.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor};
use crucible_fusion::{FusionEncoder, FusionEncoderConfig, FusionInput, Modalities};
use crucible_transformer::{ConfigError, Encoded, Encoder, Pooling, embedding_initializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::instruction::{InstructionConfig, InstructionEncoder};

/// How many vectors.
#[derive(Config, Debug, JsonSchema)]
pub struct TokensConfig {
    /// Vectors of each tower that has any.
    pub tokens: usize,
}

/// Where the prompts of a fused model stand.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum FusedPromptConfig {
    /// Nowhere.
    None,
    /// Before the words of the question.
    Text(TokensConfig),
    /// Before the patches.
    Vision(TokensConfig),
    /// Before both.
    Both(TokensConfig),
    /// In place of the words, made of them by an encoder of instructions. A model that never saw a wording is thrown off by
    /// its words, whatever stands before them; what it reads instead depends on nothing but the instruction's vector.
    Instructed(InstructionConfig),
}

/// The vectors themselves, or what makes them.
#[derive(Module, Debug)]
pub struct FusedPrompt {
    /// Before the words, `[tokens, d_text]`.
    pub text: Option<Param<Tensor<2>>>,
    /// Before the patches, `[tokens, d_vision]`.
    pub vision: Option<Param<Tensor<2>>>,
    /// In place of the words.
    pub instruction: Option<InstructionEncoder>,
    #[module(skip)]
    pooling: [Pooling; 2],
}

impl FusedPromptConfig {
    /// Whether anything trains.
    pub fn trains(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether an encoder of instructions reads the wording.
    pub fn instructed(&self) -> bool {
        matches!(self, Self::Instructed(_))
    }

    /// A prompt that has not been trained, in front of a model of that configuration, whose towers end without poolers of
    /// their own. `vocabulary` and `max_length` are those of instructions.
    ///
    /// # Errors
    /// The first field that does not make sense.
    pub fn init(
        &self,
        model: &FusionEncoderConfig,
        [vocabulary, max_length]: [usize; 2],
        device: &Device,
    ) -> Result<FusedPrompt, ConfigError> {
        let [d_vision, d_text] = [&model.vision.encoder, &model.text.encoder].map(|of| of.d_model);
        let vectors = |config: &TokensConfig, here: bool, d_model| {
            ConfigError::unless(config.tokens > 0, "tokens", || "must be at least 1".into())?;
            Ok(here.then(|| embedding_initializer().init([config.tokens, d_model], device)))
        };
        let mut prompt = FusedPrompt {
            text: None,
            vision: None,
            instruction: None,
            pooling: [model.vision.pooling, model.text.pooling],
        };
        match self {
            Self::None => {}
            Self::Text(config) | Self::Vision(config) | Self::Both(config) => {
                prompt.text = vectors(config, !matches!(self, Self::Vision(_)), d_text)?;
                prompt.vision = vectors(config, !matches!(self, Self::Text(_)), d_vision)?;
            }
            Self::Instructed(config) => {
                let encoder = config.init(vocabulary, max_length, d_text, device)?;
                prompt.instruction = Some(encoder);
            }
        }
        Ok(prompt)
    }
}

impl FusedPrompt {
    /// As [`FusionEncoder::encode`], with the prompt.
    ///
    /// # Shapes
    /// - `instructions`: one vector for each text in place of its words, `[texts, width]`; as many texts as `text_of` names
    pub fn encode(
        &self,
        model: &FusionEncoder,
        input: FusionInput,
        instructions: Option<Tensor<2>>,
    ) -> Modalities {
        let [of_image, of_text] = self.pooling;
        let patches = model.vision.embed(input.images);
        let before = model.vision.before_patches();
        let (patches, _) = insert(patches, None, &self.vision, before);
        let (words, padding) = match (&self.instruction, instructions) {
            (Some(encoder), Some(vectors)) => {
                let d_text = model.text.embeddings.word.weight.dims()[1];
                (encoder.prompt(vectors, d_text), None)
            }
            // `[CLS]` stays first, where it is pooled.
            _ => {
                let words = model.text.embeddings.forward(input.tokens, None);
                insert(words, Some(input.padding), &self.text, 1)
            }
        };
        Modalities {
            image: read(&model.vision.encoder, patches, None, of_image),
            text: model.project_text(read(&model.text.encoder, words, padding, of_text)),
            image_of: input.image_of,
            text_of: input.text_of,
            missing: input.missing,
        }
    }
}

/// What a tower makes of tokens.
///
/// # Shapes
/// - `tokens`: `[batch, length, d_model]`; `padding`: `[batch, length]`
fn read(
    tower: &Encoder,
    tokens: Tensor<3>,
    padding: Option<Tensor<2, Bool>>,
    pooling: Pooling,
) -> Encoded {
    let tokens = tower.forward(tokens, padding.clone());
    Encoded {
        pooled: pooling.forward(tokens.clone(), padding.as_ref()),
        tokens,
        mask: padding,
    }
}

/// The vectors of a prompt after the first `after` tokens of each sequence, none of them padding.
///
/// # Shapes
/// - `x`: `[batch, length, d_model]`, `padding`: `[batch, length]`; `vectors`: `[tokens, d_model]`
fn insert(
    x: Tensor<3>,
    padding: Option<Tensor<2, Bool>>,
    vectors: &Option<Param<Tensor<2>>>,
    after: usize,
) -> (Tensor<3>, Option<Tensor<2, Bool>>) {
    let Some(vectors) = vectors else {
        return (x, padding);
    };
    let [batch, length, d_model] = x.dims();
    let vectors = vectors.val();
    let [tokens, _] = vectors.dims();
    let vectors = vectors.unsqueeze::<3>().expand([batch, tokens, d_model]);
    let padding = padding.map(|padding| {
        let seen = Tensor::<2>::zeros([batch, tokens], &padding.device()).greater_elem(1.0);
        let rest = length - after;
        // There are no empty tensors.
        let parts = [(0, after), (after, rest)]
            .map(|(first, count)| (count > 0).then(|| padding.clone().narrow(1, first, count)));
        let [before, behind] = parts;
        Tensor::cat(
            [before, Some(seen), behind].into_iter().flatten().collect(),
            1,
        )
    });
    let part = |first, count| (count > 0).then(|| x.clone().narrow(1, first, count));
    let parts = [part(0, after), Some(vectors), part(after, length - after)];
    (
        Tensor::cat(parts.into_iter().flatten().collect(), 1),
        padding,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::module::ModuleMapper;
    use burn::tensor::{Int, TensorData};
    use crucible_fusion::{FusionConfig, Missing};
    use crucible_transformer::{EncoderConfig, TextEncoderConfig};
    use crucible_vision::VitConfig;

    /// Towers as `vqa` has them for a strategy: without layers where the modalities meet at the input.
    fn config(name: &str) -> FusionEncoderConfig {
        let layers = usize::from(!name.starts_with("early"));
        let stack = EncoderConfig::new(8, 2, 12, layers);
        let vision = VitConfig::new(16, 8, stack.clone()).with_pooling(Pooling::Max);
        let text = TextEncoderConfig::new(11, 6, stack).with_pooling(Pooling::Max);
        FusionEncoderConfig::new(vision, text, FusionConfig::named(name, 2).unwrap())
    }

    fn input() -> FusionInput {
        let integers = |values: [i32; 3]| Tensor::from_data(TensorData::from(values), &device());
        let padding = TensorData::from([[false; 3], [false, false, true], [false; 3]]);
        FusionInput {
            images: values([2, 3, 16, 16], 1, &device()),
            image_of: integers([0, 0, 1]),
            tokens: Tensor::<2, Int>::from_data([[1i32, 2, 3], [4, 5, 0], [1, 6, 7]], &device()),
            padding: Tensor::from_data(padding, &device()),
            text_of: integers([0, 1, 2]),
            missing: Missing::default(),
        }
    }

    fn decided(prompt: &FusedPrompt, model: &FusionEncoder) -> Tensor<2> {
        use crucible_fusion::Strategy;
        let input = input();
        let read = |encoder: &InstructionEncoder| {
            encoder.represent(input.tokens.clone(), input.padding.clone())
        };
        let instructions = prompt.instruction.as_ref().map(read);
        let modalities = prompt.encode(model, input.clone(), instructions);
        model.fusion.decide(modalities, &|fused| fused)
    }

    #[test]
    fn every_strategy_has_every_prompt_and_it_trains_alone() {
        use crate::instruction::ReaderKind;
        let tokens = || TokensConfig::new(2);
        let instructed = |kind| {
            let config = InstructionConfig::new(2).with_width(8).with_encoder(kind);
            FusedPromptConfig::Instructed(config)
        };
        for name in FusionConfig::names() {
            let config = config(name);
            let model = config.init(&device()).no_grad();
            let plain = model.decide(input(), &|fused| fused);
            let init = |kind: &FusedPromptConfig| kind.init(&config, [11, 6], &device()).unwrap();
            let none = init(&FusedPromptConfig::None);
            assert_eq!(none.num_params(), 0);
            // Exactly, but where a modality is dropped by chance in training.
            if name != "early-dropout" {
                let same = difference(decided(&none, &model), plain.clone());
                assert!(same < 1e-5, "{name}: {same}");
            }
            for (kind, parameters) in [
                (FusedPromptConfig::Text(tokens()), Some(2 * 8)),
                (FusedPromptConfig::Vision(tokens()), Some(2 * 8)),
                (FusedPromptConfig::Both(tokens()), Some(4 * 8)),
                (instructed(ReaderKind::Embedding), None),
                (instructed(ReaderKind::Transformer), None),
            ] {
                // Vectors that begin near zero change little.
                let prompt = match kind.instructed() {
                    true => init(&kind),
                    false => init(&kind).map(&mut Large),
                };
                assert!(parameters.is_none_or(|count| prompt.num_params() == count));
                let output = decided(&prompt, &model);
                let by = difference(output.clone(), plain.clone());
                assert!(by > 1e-4, "{name} {kind:?}: {by}");
                assert_gradients_reach_everything(&prompt, output);
            }
        }
    }

    #[test]
    fn a_prompt_stands_behind_the_first_token_and_is_never_padding() {
        let x = values([2, 3, 4], 1, &device());
        let vectors = values([2, 4], 2, &device());
        let padding = Tensor::from_data([[false, false, true], [false, true, true]], &device());
        let param = Some(Param::from_tensor(vectors.clone()));
        let (found, hidden) = insert(x.clone(), Some(padding), &param, 1);
        assert_eq!(found.dims(), [2, 5, 4]);
        let second = found.clone().narrow(0, 1, 1).narrow(1, 1, 2).squeeze_dim(0);
        assert_eq!(difference(second, vectors), 0.0);
        assert_eq!(difference(found.narrow(1, 3, 2), x.narrow(1, 1, 2)), 0.0);
        let expected = TensorData::from([
            [false, false, false, false, true],
            [false, false, false, true, true],
        ]);
        hidden.unwrap().into_data().assert_eq(&expected, true);
    }

    #[test]
    fn prompts_without_vectors_are_refused() {
        let config = config("late");
        let none = FusedPromptConfig::Both(TokensConfig::new(0));
        let error = none.init(&config, [11, 6], &device()).unwrap_err();
        assert_eq!(error.field, "tokens");
    }

    /// Ten times as large.
    struct Large;

    impl ModuleMapper for Large {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| (x * 10.0).detach().require_grad())
        }
    }
}
