//! Small tokenizers of each kind, and what else rendering is tested with.

use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::metaspace::Metaspace as MetaspaceDecoder;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Prepend, Replace, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};

use super::{ImageTokens, Renderer};
use crate::ImageSource;
use crate::instruction::template::tests::{conversation, turn};
use crate::instruction::{BuiltIn, ChatTemplate, Conversation, Role, SpecialTokens};

pub(crate) const SPECIAL: [&str; 5] = ["<|im_start|>", "<|im_end|>", "<s>", "</s>", "<image>"];

/// Characters as words, and some longer words made of two others.
pub(crate) fn bpe(characters: impl Iterator<Item = char>, merges: &[(&str, &str)]) -> BPE {
    let characters = characters.map(String::from);
    let longer = merges.iter().map(|(left, right)| format!("{left}{right}"));
    let words: Vocab = characters.chain(longer).zip(0..).collect();
    let merges = merges.iter().map(|(l, r)| ((*l).into(), (*r).into()));
    let model = BPE::builder().vocab_and_merges(words, merges.collect());
    model.fuse_unk(false).build().unwrap()
}

pub(crate) fn with_special(mut tokenizer: Tokenizer) -> Tokenizer {
    let tokens = SPECIAL.map(|token| AddedToken::from(token, true));
    tokenizer.add_special_tokens(tokens).unwrap();
    tokenizer
}

/// As GPT-2's and SmolLM2's: bytes, with two line breaks and some letters as one token.
pub(crate) fn byte_level() -> Tokenizer {
    let mut characters: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    characters.sort_unstable();
    let merges = [("Ċ", "Ċ"), ("Ġ", "a"), ("a", "b"), (">", "Ċ")];
    let mut tokenizer = Tokenizer::new(bpe(characters.into_iter(), &merges));
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, false)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    with_special(tokenizer)
}

/// Printable ASCII, a line break, and what stands for a space.
fn letters() -> impl Iterator<Item = char> {
    (' '..='~').chain(['\n', '▁', 'é', '中'])
}

const MERGES: [(&str, &str); 5] = [("▁", "a"), ("▁", "▁"), ("a", "b"), ("\n", "\n"), ("▁", "b")];

/// As Llama 2's: every section starts with a space.
fn prepending() -> Tokenizer {
    let mut tokenizer = Tokenizer::new(bpe(letters(), &MERGES));
    let prepend = Prepend::new("▁".into()).into();
    let replace = Replace::new(" ", "▁").unwrap().into();
    let normalizer = Sequence::new(vec![prepend, replace]);
    tokenizer.with_normalizer(Some(normalizer)).unwrap();
    let decoder = MetaspaceDecoder::new('▁', PrependScheme::Always, false);
    tokenizer.with_decoder(Some(DecoderWrapper::Metaspace(decoder)));
    with_special(tokenizer)
}

/// As Mistral's and T5's.
fn metaspace(scheme: PrependScheme) -> Tokenizer {
    let mut tokenizer = Tokenizer::new(bpe(letters(), &MERGES));
    tokenizer.with_pre_tokenizer(Some(Metaspace::new('▁', scheme, false)));
    let decoder = MetaspaceDecoder::new('▁', scheme, false);
    tokenizer.with_decoder(Some(DecoderWrapper::Metaspace(decoder)));
    with_special(tokenizer)
}

pub(crate) fn tokenizers() -> [Tokenizer; 4] {
    let [first, always] = [PrependScheme::First, PrependScheme::Always].map(metaspace);
    [byte_level(), prepending(), first, always]
}

pub(crate) fn special() -> SpecialTokens {
    SpecialTokens {
        bos: Some("<s>".into()),
        eos: Some("</s>".into()),
        ..SpecialTokens::default()
    }
}

pub(crate) fn renderer(tokenizer: Tokenizer, template: ChatTemplate) -> Renderer {
    let image = ImageTokens {
        token: "<image>".into(),
        per_image: 3,
    };
    Renderer::new(tokenizer, template, Some(image), 4096).unwrap()
}

pub(crate) fn built_in(template: BuiltIn) -> ChatTemplate {
    ChatTemplate::built_in(template, &special()).unwrap()
}

pub(crate) fn custom(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, &special()).unwrap()
}

pub(crate) fn picture() -> ImageSource {
    let png = std::io::Cursor::new(Vec::new());
    let mut png = png;
    let image = image::RgbImage::from_pixel(4, 4, image::Rgb([9, 99, 199]));
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    ImageSource::Embedded {
        name: "picture".into(),
        bytes: png.into_inner().leak(),
    }
}

pub(crate) fn question(text: &str, answer: &str, pictures: usize) -> Conversation {
    Conversation {
        turns: vec![turn(Role::User, text), turn(Role::Assistant, answer)],
        images: vec![picture(); pictures],
        ..conversation()
    }
}
