use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataset::{Dataset, InMemDataset};
use burn::tensor::{Device, Int, Tensor};
use burn::train::Interrupter;
use crucible_datasets::instruction::clean::CleanConfig;
use crucible_datasets::instruction::{
    AuditConfig, BuiltIn, Conversation, IMAGE, InstructionData, Role, Turn,
};
use crucible_datasets::{
    AugmentConfig, Collate, Drawn, ImageConfig, ImageProcessor, ImageSource, Layout, Split,
    TokenizerConfig,
};
use crucible_fusion::{ConnectorConfig, VisionLanguageConfig};
use crucible_training::{Run, RunDir};
use crucible_transformer::{CausalLmConfig, EncoderConfig, GenerationConfig, Pooling};
use crucible_vision::VitConfig;

use super::*;

const SIDE: usize = 8;

/// A run in a folder; one that goes on has a checkpoint there.
pub fn run(folder: &Path, resume: bool) -> Run {
    if resume {
        std::fs::create_dir_all(folder.join("checkpoints/step-00000001")).unwrap();
    }
    Run {
        dir: RunDir::new(folder),
        seed: 0,
        device: Device::flex(),
        others: Vec::new(),
        memory: None,
        backend: "flex".into(),
        interrupter: Interrupter::new(),
        resume,
        init: None,
        data: String::new(),
        tuning: false,
        quiet: true,
        profile: false,
        tensorboard: false,
    }
}

/// A picture of one grey.
fn picture(grey: u8) -> ImageSource {
    ImageSource::Pixels {
        name: format!("grey {grey}"),
        file: vec![grey; SIDE * SIDE * 3].into(),
        offset: 0,
        width: SIDE as u32,
        height: SIDE as u32,
        layout: Layout::PlanarRgb,
    }
}

fn turn(role: Role, text: &str) -> Turn {
    Turn {
        role,
        text: text.into(),
    }
}

/// Conversations of unlike length about one picture, two, and none; one of several turns.
fn conversations() -> Vec<Conversation> {
    let conversation = |id: &str, images: &[u8], turns: &[&str]| Conversation {
        id: id.into(),
        turns: turns
            .iter()
            .zip([Role::User, Role::Assistant].into_iter().cycle())
            .map(|(text, role)| turn(role, &text.replace('#', IMAGE)))
            .collect(),
        images: images.iter().map(|grey| picture(*grey)).collect(),
        task: String::new(),
        place: None,
    };
    vec![
        conversation("one", &[10], &["# what is it ?", "dark", "and so ?", "yes"]),
        conversation("other", &[10], &["# which is it ?", "the first of them"]),
        conversation("two", &[10, 200], &["# # which is dark ?", "good day"]),
        conversation("none", &[], &["hello", "good day to you"]),
        conversation("light", &[200], &["# and this ?", "light"]),
    ]
}

fn speaker() -> Speaker<VisualModel> {
    let vision =
        VitConfig::new(SIDE, 4, EncoderConfig::new(8, 2, 12, 1)).with_pooling(Pooling::Mean);
    let chat = ChatConfig {
        template: BuiltIn::Chatml,
        own_template: false,
        ..ChatConfig::published(48)
    };
    let said = conversations()
        .into_iter()
        .flat_map(|conversation| conversation.turns);
    let texts = said.map(|turn| turn.text.replace(IMAGE, " "));
    let voice = Voice::fresh(&TokenizerConfig::default(), &chat, 4, texts).unwrap();
    let language = CausalLmConfig::new(voice.vocabulary_size(), 48, 12, 3, 16, 2);
    let device = Device::flex();
    let config = VisionLanguageConfig::new(vision, ConnectorConfig::Linear, language);
    Speaker {
        model: VisualModel {
            encoder: config.init(&device),
            naming: 1.0,
        },
        voice,
        images: Some(Arc::new(
            ImageProcessor::new(&ImageConfig::symmetric(SIDE)).unwrap(),
        )),
        device,
    }
}

fn batch(speaker: &Speaker<VisualModel>, packing: bool) -> InstructionBatch {
    let (renderer, images) = (speaker.voice.renderer.clone(), speaker.images.clone());
    let augment = AugmentConfig::default();
    let collate = InstructionCollate::new(renderer, images, augment, packing).unwrap();
    // The first two begin alike, with the same picture.
    let mut families = vec![conversations()];
    let others = families[0].split_off(2);
    families.extend(others.into_iter().map(|conversation| vec![conversation]));
    let drawn = families
        .into_iter()
        .enumerate()
        .map(|(index, sample)| Drawn {
            sample,
            index,
            draw: None,
        });
    let host = collate.collate(drawn.collect()).unwrap();
    collate.upload(host, &speaker.device)
}

/// Words are told from the one picture of their conversation, packed or not; those about two pictures or none are not.
#[test]
fn words_are_told_from_the_picture_alone() {
    let speaker = speaker();
    let tokenizer = speaker.voice.renderer.tokenizer();
    for packing in [true, false] {
        let batch = batch(&speaker, packing);
        let seen = speaker.model.encoder.see(batch.images.clone().unwrap());
        let list =
            |numbers: &Tensor<1, Int>| -> Vec<i64> { numbers.clone().into_data().iter().collect() };
        let [told, pictures] = [&batch.named[0], &batch.named[1]].map(list);
        let targets = list(&batch.targets);
        let said = |picture: i64| {
            let of = told.iter().zip(&pictures).filter(|(_, of)| **of == picture);
            let ids: Vec<u32> = of.map(|(told, _)| targets[*told as usize] as u32).collect();
            tokenizer.decode(&ids, true).unwrap()
        };
        assert_eq!([said(0), said(1)], ["dark yes the first of them", "light"]);
        // Of the same words, another picture is told apart.
        let loss = |seen| speaker.model.name(seen, &batch).into_scalar::<f32>();
        let (right, swapped) = (loss(seen.clone()), loss(seen.flip([0])));
        assert!(right.is_finite() && right != swapped, "{right} {swapped}");
    }
}

/// What stands in one row with others is learnt as if it stood alone.
#[test]
fn packed_conversations_see_nothing_of_each_other() {
    let speaker = speaker();
    let [packed, apart] = [true, false].map(|packing| batch(&speaker, packing));
    assert!(packed.ids.dims()[0] < apart.ids.dims()[0]);
    // Two pictures, each prepared once.
    assert_eq!(packed.images.as_ref().unwrap().dims()[0], 2);
    let [mut packed, mut apart] = [packed, apart].map(|batch| {
        let output = speaker.model.say(batch);
        let rows = output.logits.dims()[0];
        let logits: Vec<f32> = output.logits.into_data().iter().collect();
        let targets: Vec<i64> = output.targets.into_data().iter().collect();
        assert_eq!(targets.len(), rows);
        let width = logits.len() / rows;
        let rows = logits.chunks(width).map(<[f32]>::to_vec);
        targets.into_iter().zip(rows).collect::<Vec<_>>()
    });
    // The same tokens in another order.
    let order =
        |a: &(i64, Vec<f32>), b: &(i64, Vec<f32>)| a.0.cmp(&b.0).then(a.1[0].total_cmp(&b.1[0]));
    packed.sort_by(order);
    apart.sort_by(order);
    assert_eq!(packed.len(), apart.len());
    for ((target, row), (other, expected)) in packed.iter().zip(&apart) {
        assert_eq!(target, other);
        for (a, b) in row.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

/// Only what the assistant says is learnt, and the token that ends it.
#[test]
fn answers_alone_are_told() {
    let speaker = speaker();
    let batch = batch(&speaker, false);
    let targets: Vec<u32> = batch.targets.into_data().iter().collect();
    let said: Vec<&str> = vec![
        "dark", "yes", "first", "them", "good", "day", "you", "light",
    ];
    let text = speaker.voice.decode(&targets);
    for word in said {
        assert!(text.contains(word), "{word}: {text}");
    }
    for word in ["hello", "which", "what"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    let ends = targets.iter().filter(|id| speaker.voice.stops.contains(id));
    assert_eq!(ends.count(), 6);
}

#[test]
fn together_each_answers_as_it_would_alone() {
    let speaker = speaker();
    let asked: Vec<Asked> = conversations()
        .into_iter()
        .map(|mut conversation| {
            conversation.turns.pop();
            Asked {
                turns: conversation.turns,
                images: conversation.images,
            }
        })
        .collect();
    let config = GenerationConfig {
        max_new_tokens: 8,
        ..GenerationConfig::default()
    };
    let answer = |asked: &[Asked]| {
        let on_text = &mut |_: usize, _: &str| ControlFlow::Continue(());
        let answers = speaker.answer(asked, &config, on_text).unwrap();
        answers
            .into_iter()
            .map(|answer| answer.tokens)
            .collect::<Vec<_>>()
    };
    let together = answer(&asked);
    for (asked, together) in asked.iter().zip(together) {
        assert_eq!(answer(std::slice::from_ref(asked)), [together]);
    }
    // Nor does it hang on who else is asked what is drawn, also of the same words about another picture.
    let about = |grey| Asked {
        turns: vec![turn(Role::User, &format!("{IMAGE} what is it ?"))],
        images: vec![picture(grey)],
    };
    let asked = [about(10), about(200), about(10)];
    let drawn = GenerationConfig {
        temperature: 50.0,
        ..config.clone()
    };
    let answer = |asked: &[Asked]| {
        let on_text = &mut |_: usize, _: &str| ControlFlow::Continue(());
        let answers = speaker.answer(asked, &drawn, on_text).unwrap();
        answers.into_iter().map(|answer| answer.tokens).collect()
    };
    let together: Vec<Vec<u32>> = answer(&asked);
    for (asked, together) in asked[..2].iter().zip(&together) {
        let alone: Vec<Vec<u32>> = answer(std::slice::from_ref(asked));
        assert_eq!(&alone[0], together);
    }
    // Who asks the same again is answered differently.
    assert_ne!(together[0], together[2]);
    // A picture that is shown and not given.
    let bare = Asked {
        turns: vec![turn(Role::User, &format!("{IMAGE} what ?"))],
        images: Vec::new(),
    };
    let on_text = &mut |_: usize, _: &str| ControlFlow::Continue(());
    let error = speaker.answer(&[bare], &config, on_text).unwrap_err();
    assert!(
        error.to_string().contains("1 pictures are shown"),
        "{error}"
    );
}

/// Data that has been found sound is not looked through again, as long as it and what is asked are the same.
#[test]
fn a_resumed_run_is_not_audited_again() {
    let folder = tempfile::tempdir().unwrap();
    let voice = speaker().voice;
    let data = |digest: &str, answer: &str| {
        let mut conversation = conversations().remove(3);
        conversation.turns[1].text = answer.into();
        let samples = |conversations| Arc::new(InMemDataset::new(conversations));
        InstructionData {
            name: "test".into(),
            train: samples(vec![conversation]),
            valid: samples(Vec::new()),
            test: samples(Vec::new()),
            labels: Vec::new(),
            digest: digest.into(),
        }
    };
    let (sound, broken) = (data("a", "good day"), data("a", " "));
    let all = AuditConfig::default();
    let look = |data: &InstructionData, resume, config: &AuditConfig| {
        audited(
            &run(folder.path(), resume),
            data,
            &voice.renderer,
            4,
            config,
        )
    };
    look(&sound, false, &all).unwrap();
    // That nothing is found shows that nothing was looked at.
    look(&broken, true, &all).unwrap();
    look(&broken, true, &AuditConfig { images: 1 }).unwrap_err();
    // What did not pass is looked through again, and so is other data.
    look(&broken, true, &AuditConfig { images: 1 }).unwrap_err();
    look(&sound, true, &all).unwrap();
    look(&data("b", " "), true, &all).unwrap_err();
    look(&sound, false, &all).unwrap();
    look(&broken, false, &all).unwrap_err();
}

/// Through the library: what goes, what is kept of it, and what is refused.
#[test]
fn a_training_split_is_cleaned_of_what_is_tested() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["hello", "good bye"].map(|text| {
        let mut conversation = conversations().remove(3);
        conversation.turns[0].text = text.into();
        conversation.id = text.into();
        conversation
    });
    let samples = |conversations: &[&Conversation]| {
        let conversations = conversations.iter().map(|one| (*one).clone());
        Arc::new(InMemDataset::new(conversations.collect()))
    };
    let mut data = InstructionData {
        name: "test".into(),
        train: samples(&[&one, &other]),
        valid: samples(&[]),
        test: samples(&[&one]),
        labels: Vec::new(),
        digest: "a".into(),
    };
    let (run, copies) = (run(folder.path(), false), CleanConfig::copies());
    let left = cleaned(&run, &data, &copies).unwrap();
    assert_eq!((left.train.len(), left.test.len()), (1, 1));
    assert_eq!(left.train.get(0).unwrap().id, "good bye");
    let kept: serde_json::Value = run.dir.read_json("cleaned.json").unwrap();
    assert_eq!(kept[0]["conversations"][0]["id"], "hello");
    // To score on the test split alone, nothing needs cleaning; examples come from what has been cleaned.
    let trained_on = |shots, split| {
        let score = ScoreConfig {
            shots,
            ..ScoreConfig::short(1)
        };
        let data = cleaned_for(&score, split, data.clone(), &copies).unwrap();
        data.train.len()
    };
    assert_eq!(trained_on(0, Split::Test), 2);
    assert_eq!(trained_on(1, Split::Test), 1);
    assert_eq!(trained_on(0, Split::Train), 1);
    data.train = data.test.clone();
    let error = cleaned(&run, &data, &copies).map(|_| ()).unwrap_err();
    let expected = "thrown away: 1 of 1 of train: 1 duplicate";
    assert!(error.to_string().contains(expected), "{error}");
}
