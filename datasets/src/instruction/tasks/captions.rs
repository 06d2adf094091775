//! Instructions about pictures with captions, names or classes.

use super::picture_wordings::{CAPTION, GROUP, NAME};
use super::question_wordings::CHOOSE;
use super::{Wordings, choices, exchange};
use crate::instruction::conversation::{Conversation, IMAGE};
use crate::{CaptionSample, LabelledImage};

/// The task of [`plain`] conversations.
const PLAIN: &str = "plain";

/// What LLaVA aligns a connector on (Liu et al. 2023, stage 1): the picture alone is asked, the first caption answers.
pub fn plain(samples: &[CaptionSample]) -> Vec<Conversation> {
    let conversation = |sample: &CaptionSample| {
        let caption = sample.captions.first()?;
        Some(Conversation {
            id: format!("{}#{PLAIN}", sample.id),
            turns: exchange(IMAGE.into(), caption).into(),
            images: vec![sample.image.clone()],
            task: PLAIN.into(),
            place: None,
        })
    };
    samples.iter().filter_map(conversation).collect()
}

/// Pictures to be captioned (`caption`): the first caption answers.
pub fn from_captions(samples: &[CaptionSample], wordings: Wordings) -> Vec<Conversation> {
    let conversation = |sample: &CaptionSample| {
        let caption = sample.captions.first()?;
        Some(CAPTION.ask_about((&sample.id, &sample.image), wordings, &[], caption))
    };
    samples.iter().filter_map(conversation).collect()
}

/// Emoji, whose first caption is their name: to be named (`name`), and to be recognised among names that others of
/// `samples` have (`choose`).
pub fn from_names(samples: &[CaptionSample], wordings: Wordings) -> Vec<Conversation> {
    let names = samples.iter().filter_map(|sample| sample.captions.first());
    let names: Vec<&str> = names.map(String::as_str).collect();
    let conversations = |sample: &CaptionSample| {
        let name = sample.captions.first()?;
        let picture = (sample.id.as_str(), &sample.image);
        let list = choices(name, &names, &sample.id);
        let choose = list.map(|list| {
            let values = [("question", "which emoji is this?"), ("choices", &list)];
            CHOOSE.ask_about(picture, wordings, &values, name)
        });
        let ask = NAME.ask_about(picture, wordings, &[], name);
        Some([Some(ask), choose])
    };
    let conversations = samples.iter().filter_map(conversations);
    conversations.flatten().flatten().collect()
}

/// Emoji with the group that they are in, an index into `groups`: to be put into it (`group`). A sample whose label is
/// not among the groups is left out.
pub fn from_groups(
    samples: &[LabelledImage],
    groups: &[String],
    wordings: Wordings,
) -> Vec<Conversation> {
    let conversation = |sample: &LabelledImage| {
        let group = groups.get(sample.label)?;
        Some(GROUP.ask_about((&sample.id, &sample.image), wordings, &[], group))
    };
    samples.iter().filter_map(conversation).collect()
}
