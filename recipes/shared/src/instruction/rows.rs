//! Conversations side by side in the rows of a batch.

use std::ops::Range;

use burn::prelude::*;
use crucible_datasets::indices;
use crucible_datasets::instruction::{ChatError, Rendered, pack};
use crucible_transformer::{AttentionMask, Places};

/// Rows of one length.
#[derive(Debug)]
pub(super) struct Rows {
    length: usize,
    ids: Vec<i32>,
    sources: Vec<i32>,
    positions: Vec<Vec<u32>>,
    /// Of each place, the segment that it belongs to, from 1, and the one before it that it sees as well; none where each
    /// row holds one conversation.
    segments: Option<Vec<Vec<[u32; 2]>>>,
}

/// A conversation on its way into a row.
pub(super) struct Member {
    /// Its tokens.
    pub rendered: Rendered,
    /// The numbers of its pictures among all of the batch.
    pub shown: Vec<usize>,
}

/// Conversations that begin alike, so that their beginning stands there once: first to last, and how many tokens of it.
struct Block {
    members: Vec<usize>,
    shared: usize,
}

/// Where tokens are told from, and which they are.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub places: Vec<i32>,
    pub tokens: Vec<i32>,
    /// Those that are said of one picture: their numbers here and the picture's.
    pub named: [Vec<i32>; 2],
}

impl Rows {
    /// With room for `rows` of `length`.
    pub fn new(rows: usize, length: usize) -> Self {
        let places = rows * length;
        Self {
            length,
            ids: vec![0; places],
            sources: (0..places as i32).collect(),
            positions: vec![vec![0; length]; rows],
            segments: None,
        }
    }

    /// A row for each conversation.
    pub fn apart(members: &[Member]) -> (Self, Told) {
        let lengths = members.iter().map(|member| member.rendered.ids.len());
        let mut rows = Self::new(members.len(), lengths.max().unwrap_or(0));
        let mut told = Told::default();
        for (row, member) in members.iter().enumerate() {
            let all = 0..member.rendered.ids.len();
            rows.put([row, 0], member, all.clone());
            rows.tell(&mut told, [row, 0], member, all, None);
        }
        (rows, told)
    }

    /// Several conversations a row, which has at most `max_length` tokens. None sees another; those of a family, `families`
    /// being how many conversations each has, share the tokens that they begin with: what they say of a picture is
    /// learnt with the picture read once, as if each stood alone.
    pub fn packed(
        members: &[Member],
        families: &[usize],
        max_length: usize,
    ) -> Result<(Self, Told), ChatError> {
        let mut blocks = Vec::new();
        let mut first = 0;
        for count in families {
            blocks.extend(family(members, first..first + count, max_length));
            first += count;
        }
        let lengths: Vec<usize> = blocks.iter().map(|block| block.length(members)).collect();
        let together = pack(&lengths, max_length)?;
        let length = |row: &Vec<usize>| row.iter().map(|&block| lengths[block]).sum();
        let longest = together.iter().map(length).max().unwrap_or(0);
        let mut rows = Self::new(together.len(), longest);
        let mut segments = vec![vec![[0; 2]; longest]; together.len()];
        let mut told = Told::default();
        for (row, numbers) in together.iter().enumerate() {
            let (mut column, mut segment) = (0, 0);
            for block in numbers.iter().map(|&number| &blocks[number]) {
                let shared = block.shared;
                let start = column;
                if let Some(&member) = block.members.first().filter(|_| shared > 0) {
                    segment += 1;
                    rows.put([row, start], &members[member], 0..shared);
                    segments[row][start..][..shared].fill([segment, segment]);
                    column += shared;
                }
                let before = (shared > 0).then_some([row, start]);
                let seen = if shared > 0 { segment } else { 0 };
                for member in block.members.iter().map(|&member| &members[member]) {
                    segment += 1;
                    let own = shared..member.rendered.ids.len();
                    let also = if shared > 0 { seen } else { segment };
                    segments[row][column..][..own.len()].fill([segment, also]);
                    rows.put([row, column], member, own.clone());
                    rows.tell(&mut told, [row, column], member, own.clone(), before);
                    column += own.len();
                }
            }
        }
        rows.segments = Some(segments);
        Ok((rows, told))
    }

    /// Puts a part of a conversation into a row from a column on.
    pub fn put(&mut self, [row, column]: [usize; 2], member: &Member, part: Range<usize>) {
        let Member { rendered, shown } = member;
        let start = row * self.length + column;
        let places = self.ids.len();
        for (place, token) in part.clone().enumerate() {
            self.ids[start + place] = rendered.ids[token] as i32;
            self.positions[row][column + place] = token as u32;
        }
        for (range, &image) in rendered.images.iter().zip(shown) {
            for (feature, token) in range.clone().enumerate() {
                if part.contains(&token) {
                    let place = start + token - part.start;
                    // The image token itself may be beyond the model's vocabulary.
                    self.ids[place] = 0;
                    self.sources[place] = (places + image * range.len() + feature) as i32;
                }
            }
        }
    }

    /// Notes what the assistant says in a part of a conversation; `before` is where what it shares with others begins.
    fn tell(
        &self,
        told: &mut Told,
        [row, column]: [usize; 2],
        Member { rendered, shown }: &Member,
        part: Range<usize>,
        before: Option<[usize; 2]>,
    ) {
        let place = |[row, column]: [usize; 2], token: usize| row * self.length + column + token;
        for token in part.clone() {
            // The first token of a conversation is told by nothing.
            let from = match (token == part.start, before) {
                (false, _) => place([row, column], token - part.start - 1),
                (true, Some(before)) => place(before, part.start - 1),
                (true, None) => continue,
            };
            if rendered.labels[token] {
                if let [picture] = shown[..] {
                    told.named[0].push(told.tokens.len() as i32);
                    told.named[1].push(picture as i32);
                }
                told.places.push(from as i32);
                told.tokens.push(rendered.ids[token] as i32);
            }
        }
    }

    /// Ids and sources on a device.
    pub fn upload(&self, device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
        let shape = [self.positions.len(), self.length];
        let ids = Tensor::from_data(TensorData::new(self.ids.clone(), shape), device);
        (ids, indices(self.sources.clone(), device))
    }

    /// Positions and mask.
    pub fn places(self, device: &Device) -> Places {
        Places {
            positions: self.positions,
            mask: match self.segments {
                // What stands after the end is told by nobody and seen by nobody before it.
                None => AttentionMask::causal(),
                Some(segments) => separate(&segments, device),
            },
        }
    }
}

impl Block {
    fn length(&self, members: &[Member]) -> usize {
        let own = |&member: &usize| members[member].rendered.ids.len() - self.shared;
        self.shared + self.members.iter().map(own).sum::<usize>()
    }
}

/// Blocks of at most `max_length` tokens, as far as a single conversation is no longer.
fn family(members: &[Member], family: Range<usize>, max_length: usize) -> Vec<Block> {
    let shared = shared(&members[family.clone()]);
    let mut blocks: Vec<Block> = Vec::new();
    for member in family {
        let own = members[member].rendered.ids.len() - shared;
        let room = |block: &&mut Block| block.length(members) + own <= max_length;
        match blocks.last_mut().filter(|_| shared > 0).filter(room) {
            Some(block) => block.members.push(member),
            None => blocks.push(Block {
                members: vec![member],
                shared,
            }),
        }
    }
    blocks
}

/// How many tokens all begin with alike, none of which is to be said; 0 for one by itself. Each keeps a token of its own.
fn shared(members: &[Member]) -> usize {
    let Some((first, others)) = members
        .split_first()
        .filter(|(_, others)| !others.is_empty())
    else {
        return 0;
    };
    let silent = |member: &Member| {
        let labels = &member.rendered.labels;
        labels
            .iter()
            .take(labels.len().saturating_sub(1))
            .take_while(|&&said| !said)
            .count()
    };
    let alike = |other: &Member| {
        if other.shown != first.shown {
            return 0;
        }
        let pairs = first.rendered.ids.iter().zip(&other.rendered.ids);
        pairs.take_while(|(a, b)| a == b).count().min(silent(other))
    };
    others.iter().map(alike).fold(silent(first), usize::min)
}

/// Each place sees those before it in its own segment and in the one that it sees as well.
fn separate(segments: &[Vec<[u32; 2]>], device: &Device) -> AttentionMask {
    let length = segments.first().map_or(0, Vec::len);
    let mut hidden = Vec::with_capacity(segments.len() * length * length);
    for row in segments {
        for (query, [own, also]) in row.iter().enumerate() {
            let seen = |(key, [segment, _]): (usize, &[u32; 2])| {
                key <= query && (segment == own || segment == also)
            };
            hidden.extend(row.iter().enumerate().map(|place| !seen(place)));
        }
    }
    let shape = [segments.len(), length, length];
    AttentionMask::pairs(Tensor::from_data(TensorData::new(hidden, shape), device))
}
