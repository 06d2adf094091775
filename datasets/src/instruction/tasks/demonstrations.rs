//! k-shot: solved examples before the question (Brown et al. 2020), as earlier turns with their pictures.

use std::collections::HashMap;

use crate::fraction;
use crate::instruction::conversation::{Conversation, Role, Turn};

/// The conversations that examples are taken from: those of a training split, by their task.
pub struct Demonstrations<'a> {
    /// By a hash of their ids, as on a ring.
    by_task: HashMap<&'a str, Vec<(f64, &'a Conversation)>>,
}

impl<'a> Demonstrations<'a> {
    /// Examples from a training split.
    pub fn new(train: &'a [Conversation]) -> Self {
        let mut by_task: HashMap<&str, Vec<(f64, &Conversation)>> = HashMap::new();
        for conversation in train {
            let of_task = by_task.entry(&conversation.task).or_default();
            of_task.push((fraction(&conversation.id), conversation));
        }
        for of_task in by_task.values_mut() {
            of_task.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        Self { by_task }
    }

    /// `count` examples of the conversation's task, always the same ones: those that follow it on the ring. Neither itself
    /// in any wording nor what shares a picture with it is among them; fewer where there are no others.
    pub fn pick(&self, conversation: &Conversation, count: usize) -> Vec<Conversation> {
        let pool = self.by_task.get(conversation.task.as_str());
        let pool = pool.map(Vec::as_slice).unwrap_or_default();
        let place = fraction(&conversation.id);
        let (before, after) = pool.split_at(pool.partition_point(|(at, _)| *at < place));
        let (sample, pictures) = (sample(conversation), pictures(conversation));
        let other = |(_, shot): &&(f64, &Conversation)| {
            self::sample(shot) != sample
                && !self::pictures(shot)
                    .iter()
                    .any(|name| pictures.contains(name))
        };
        let ring = after.iter().chain(before).filter(other);
        ring.take(count).map(|(_, shot)| (*shot).clone()).collect()
    }
}

/// What a conversation is made of, whatever its wording.
fn sample(conversation: &Conversation) -> &str {
    let id = conversation.id.as_str();
    id.rsplit_once('#').map_or(id, |(sample, _)| sample)
}

fn pictures(conversation: &Conversation) -> Vec<String> {
    conversation
        .images
        .iter()
        .map(|image| image.name())
        .collect()
}

/// The conversation after others, their turns and pictures first. A system turn stays at the beginning; those of the
/// others are left out.
pub fn with_demonstrations(conversation: Conversation, shots: &[Conversation]) -> Conversation {
    let is_system = |turn: &Turn| turn.role == Role::System;
    let (mut turns, own): (Vec<Turn>, Vec<Turn>) =
        conversation.turns.into_iter().partition(is_system);
    let shown = shots.iter().flat_map(|shot| &shot.turns);
    turns.extend(shown.filter(|turn| !is_system(turn)).cloned());
    turns.extend(own);
    let images = shots.iter().flat_map(|shot| &shot.images).cloned();
    Conversation {
        turns,
        images: images.chain(conversation.images).collect(),
        ..conversation
    }
}
