use crucible_datasets::instruction::{Conversation, Role, Turn, open_instructions};
use tempfile::TempDir;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::*;
use crate::instruction::tests::run;

const EOS: &str = "<|endoftext|>";

/// A folder as GPT-2's: bytes, one special token, no template.
fn gpt2() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut characters: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    characters.sort_unstable();
    let words: Vocab = characters.into_iter().map(String::from).zip(0..).collect();
    let model = BPE::builder().vocab_and_merges(words, Vec::new());
    let mut tokenizer = Tokenizer::new(model.build().unwrap());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, false)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let end = AddedToken::from(EOS, true);
    tokenizer.add_special_tokens([end]).unwrap();
    tokenizer
        .save(folder.path().join(TOKENIZER), false)
        .unwrap();
    configure(&folder, &json!({"bos_token": EOS, "eos_token": EOS}));
    folder
}

fn configure(folder: &TempDir, config: &serde_json::Value) {
    let file = folder.path().join("tokenizer_config.json");
    std::fs::write(file, config.to_string()).unwrap();
}

fn published(folder: &TempDir, chat: &ChatConfig) -> Result<Voice, Error> {
    Voice::published(folder.path(), chat, 0)
}

fn conversation(answer: &str) -> Conversation {
    let turn = |role, text: &str| Turn {
        role,
        text: text.into(),
    };
    Conversation {
        id: "1".into(),
        turns: vec![turn(Role::User, "Why?"), turn(Role::Assistant, answer)],
        images: Vec::new(),
        task: String::new(),
        place: None,
    }
}

/// What is learnt, and its ids.
fn learnt(voice: &Voice, answer: &str) -> (String, Vec<u32>) {
    let rendered = voice.renderer.render(&conversation(answer)).unwrap();
    let labels = rendered.ids.iter().zip(&rendered.labels);
    let said: Vec<u32> = labels
        .filter(|(_, said)| **said)
        .map(|(id, _)| *id)
        .collect();
    (voice.decode(&said), said)
}

/// GPT-2 with the default configuration: an answer ends with a token, so that it can be learnt, stopped at and compared.
#[test]
fn where_chatml_has_no_tokens_the_end_of_text_ends_an_answer() {
    let folder = gpt2();
    let voice = published(&folder, &ChatConfig::published(512)).unwrap();
    let end = voice.renderer.tokenizer().token_to_id(EOS).unwrap();
    assert_eq!(voice.stops, [end]);
    assert_eq!(voice.stop_strings, [""; 0]);
    let (text, ids) = learnt(&voice, "Two\nlines.");
    assert_eq!(text, "Two\nlines.");
    assert_eq!(ids.last(), Some(&end));
    assert_eq!(voice.kept.built_in, BuiltIn::Alpaca);
}

#[test]
fn a_template_that_was_asked_for_is_not_replaced() {
    let folder = gpt2();
    let chat = |template| ChatConfig {
        template,
        own_template: false,
        ..ChatConfig::published(512)
    };
    let refused = |chat: ChatConfig| {
        published(&folder, &chat)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let error = refused(chat(BuiltIn::Chatml));
    let rest = "<|im_end|>, which is no special token of this tokenizer; \
                set chat.template to one of: llama-2, vicuna, zephyr, alpaca, plain";
    assert!(error.ends_with(rest), "{error}");
    assert!(published(&folder, &chat(BuiltIn::Zephyr)).is_ok());
    // Without an end of text, only a line break can end an answer.
    configure(&folder, &json!({}));
    let error = refused(ChatConfig::published(512));
    assert!(error.ends_with("one of: plain"), "{error}");
    assert!(published(&folder, &chat(BuiltIn::Plain)).is_ok());
}

#[test]
fn what_a_template_writes_after_an_answer_stops_it() {
    let folder = gpt2();
    let own = |template: &str| {
        let config = json!({"eos_token": EOS, "chat_template": template});
        configure(&folder, &config);
        published(&folder, &ChatConfig::published(512)).unwrap()
    };
    let chatml = own(BuiltIn::Chatml.source());
    let end = chatml.renderer.tokenizer().token_to_id(EOS).unwrap();
    assert_eq!(chatml.stop_strings, ["<|im_end|>"]);
    assert_eq!(chatml.stops, [end]);
    let plain = own(BuiltIn::Plain.source());
    assert_eq!(plain.stop_strings, ["\n"]);
    assert_eq!(plain.stops, [end]);
    let nothing = own("{% for m in messages %}{{ m.content }}{% endfor %}");
    assert_eq!(nothing.stop_strings, [""; 0]);
    assert_eq!(nothing.stops, [end]);
    let generation = chatml.generation(&GenerationConfig::default());
    assert_eq!(generation.stop_strings, ["<|im_end|>"]);
}

/// A day that a template writes is that of the run's start, whenever it goes on or is reopened.
#[test]
fn time_stands_still_in_a_run() {
    let weights = gpt2();
    let day = "{{ strftime_now('%Y-%m-%d') }} {% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}";
    configure(&weights, &json!({"eos_token": EOS, "chat_template": day}));
    let data = open_instructions("word-instructions").unwrap();
    let begin = |run: &Run| {
        let origin = Origin::Published(weights.path().into());
        let chat = ChatConfig::published(512);
        Voice::begin(run, &origin, &TokenizerConfig::default(), &chat, 0, &data).unwrap()
    };
    let text = |voice: &Voice| {
        let prompt = voice.renderer.prompt(&conversation("").turns[..1]).unwrap();
        voice.decode(&prompt.ids)
    };
    let folder = tempfile::tempdir().unwrap();
    let first = begin(&run(folder.path(), false));
    assert!(text(&first).starts_with("20"), "{}", text(&first));
    let mut kept = first.kept.clone();
    kept.started = 86_400;
    let started = Voice::new(first.renderer.tokenizer().clone(), kept).unwrap();
    assert!(
        text(&started).starts_with("1970-01-02"),
        "{}",
        text(&started)
    );
    started.keep(&run(folder.path(), false)).unwrap();
    let resumed = begin(&run(folder.path(), true));
    let reopened = Voice::reopen(&run(folder.path(), false)).unwrap();
    for voice in [resumed, reopened] {
        assert_eq!(text(&voice), text(&started));
    }
    // Without a checkpoint it starts anew, whatever lies there.
    let other = tempfile::tempdir().unwrap();
    started.keep(&run(other.path(), false)).unwrap();
    let anew = Run {
        resume: true,
        ..run(other.path(), false)
    };
    assert_eq!(text(&begin(&anew)), text(&first));
}

/// The tokenizers library would take memory without bound.
#[test]
fn a_tokenizer_made_to_do_harm_is_refused() {
    let folder = gpt2();
    let file = folder.path().join(TOKENIZER);
    let mut tokenizer: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    tokenizer["normalizer"] =
        json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(5000)});
    std::fs::write(&file, tokenizer.to_string()).unwrap();
    let error = published(&folder, &ChatConfig::published(512));
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("times longer"), "{error}");
}

/// The weights of a fresh model know words by their ids, which another stage on other data must keep.
#[test]
fn a_fresh_model_that_starts_from_a_run_has_its_vocabulary() {
    let chat = ChatConfig {
        own_template: false,
        ..ChatConfig::published(64)
    };
    let config = TokenizerConfig::default();
    let texts = ["none of the words of the data"].map(String::from);
    let first = Voice::fresh(&config, &chat, 0, texts).unwrap();
    let [before, folder] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    first.keep(&run(before.path(), false)).unwrap();
    let data = open_instructions("word-instructions").unwrap();
    let begin = |from: &Path| {
        let init = crucible_training::Init {
            run: from.into(),
            interpolate: false,
        };
        let run = Run {
            init: Some(init),
            ..run(folder.path(), false)
        };
        Voice::begin(&run, &Origin::Fresh, &config, &chat, 3, &data).unwrap()
    };
    let next = begin(before.path());
    let id = |voice: &Voice, word| voice.renderer.tokenizer().token_to_id(word);
    for word in ["none", "words", "<|im_end|>", END] {
        assert!(id(&first, word).is_some(), "{word}");
        assert_eq!(id(&next, word), id(&first, word), "{word}");
    }
    assert_eq!(next.vocabulary_size(), first.vocabulary_size());
    assert_eq!(next.kept.tokens_per_image, 3);
    // A run that does not speak has no words for it.
    assert!(begin(folder.path()).vocabulary_size() > first.vocabulary_size());
}
