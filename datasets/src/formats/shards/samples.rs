//! Which members of an archive are a sample: those in a row that share their path up to the first dot of the base name.

use std::ops::Range;

use serde::Deserialize;

use super::members::{BLOCK, Member, Members};
use crate::DataError;
use crate::formats::image_files::EXTENSIONS;

/// Pictures that cannot be read, and are told of instead of a missing picture.
const OTHER_PICTURES: [&str; 2] = ["webp", "gif"];
/// The most bytes of a caption's file.
const MAX_TEXT: u64 = 1 << 20;
const ONE_OF_EACH: &str = "give every sample one picture and one .txt or .json, all in a row";

/// What a member is to its sample.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Image,
    OtherPicture,
    Text,
    Json,
}

/// The key of a member's sample, and what the member is to it; nothing if it has no part in one.
fn role(path: &str) -> Option<(&str, Role)> {
    let base = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + path[base..].find('.')?;
    let is = |known: &&str| path[dot + 1..].eq_ignore_ascii_case(known);
    let role = match () {
        // A hidden file.
        _ if dot == base => return None,
        _ if EXTENSIONS.iter().any(is) => Role::Image,
        _ if OTHER_PICTURES.iter().any(is) => Role::OtherPicture,
        _ if is(&"txt") => Role::Text,
        _ if is(&"json") => Role::Json,
        _ => return None,
    };
    Some((path[..dot].trim_start_matches("./"), role))
}

/// A sample that has what it needs.
pub(super) struct Sample {
    pub key: String,
    /// The part of the archive that has all its members.
    pub part: Range<u64>,
    pub image: Member,
    /// A `.txt`; a `.json` if there is none.
    pub caption: Member,
    is_json: bool,
}

/// What a `.json` says; other keys are left alone.
#[derive(Deserialize)]
struct Record {
    caption: Option<String>,
    captions: Option<Vec<String>>,
}

/// The members of a sample.
struct Group {
    key: String,
    members: Vec<(Role, Member)>,
}

/// The samples of an archive in its order, or what is wrong with them. After an error of the archive itself, nothing.
pub(super) struct Samples {
    pub members: Members,
    /// The beginning of the next sample.
    next: Option<Group>,
}

impl Samples {
    pub fn new(members: Members) -> Self {
        Self {
            members,
            next: None,
        }
    }

    /// The next members that belong together.
    fn group(&mut self) -> Result<Option<Group>, DataError> {
        let mut group = self.next.take();
        for member in self.members.by_ref() {
            let member = member?;
            let Some((key, role)) = role(&member.path) else {
                continue;
            };
            match &mut group {
                Some(group) if group.key == key => group.members.push((role, member)),
                _ => {
                    let key = key.to_owned();
                    let members = vec![(role, member)];
                    let before = group.replace(Group { key, members });
                    if before.is_some() {
                        self.next = group;
                        return Ok(before);
                    }
                }
            }
        }
        Ok(group)
    }

    /// The sample of a group.
    fn sample(&self, group: Group) -> Result<Sample, DataError> {
        let Group { key, members } = group;
        let start = members.iter().map(|(_, member)| member.start).min();
        let end = members.iter().map(|(_, member)| member.body.end).max();
        let part = start.unwrap_or(0)..end.unwrap_or(0).next_multiple_of(BLOCK);
        let [mut image, mut text, mut json] = [const { None }; 3];
        for (role, member) in members {
            let place = match role {
                Role::Image => &mut image,
                Role::Text => &mut text,
                Role::Json => &mut json,
                Role::OtherPicture => {
                    let reason = format!("`{}` is neither PNG nor JPEG", member.path);
                    return Err(self.members.error(member.start, reason, "convert it"));
                }
            };
            if let Some(Member { path, .. }) = place.as_ref() {
                let reason = format!("`{}` beside `{path}` in one sample", member.path);
                return Err(self.members.error(member.start, reason, ONE_OF_EACH));
            }
            *place = Some(member);
        }
        let missing = |what: &str| {
            let reason = format!("the sample `{key}` has {what}");
            self.members.error(part.start, reason, ONE_OF_EACH)
        };
        let image = image.ok_or_else(|| missing("a caption, but no image beside it"))?;
        let is_json = text.is_none();
        let caption = text
            .or(json)
            .ok_or_else(|| missing("an image, but no caption beside it"))?;
        if caption.len() > MAX_TEXT {
            let (path, length) = (&caption.path, caption.len());
            let reason = format!("`{path}` has {length} bytes; the limit is {MAX_TEXT}");
            let remedy = "shorten the caption";
            return Err(self.members.error(caption.start, reason, remedy));
        }
        Ok(Sample {
            key,
            part,
            image,
            caption,
            is_json,
        })
    }

    /// What is said about a sample of this archive.
    pub fn captions(&mut self, sample: &Sample) -> Result<Vec<String>, DataError> {
        let Member { path, body, .. } = &sample.caption;
        let bytes = self.members.content(body.clone())?;
        let failed = |reason: String, remedy: &str| {
            let reason = format!("`{path}`: {reason}");
            self.members.error(body.start, reason, remedy)
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let reason = format!("not valid UTF-8 at byte {}", error.valid_up_to() + 1);
            failed(reason, "save the caption as UTF-8, and pack it again")
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let captions = match sample.is_json {
            false => vec![text.to_owned()],
            true => said(text).map_err(|reason| {
                let remedy = r#"expected {"caption": ".."} or {"captions": ["..", ".."]}"#;
                failed(reason, remedy)
            })?,
        };
        let trimmed = captions.iter().map(|caption| caption.trim());
        match trimmed.clone().any(str::is_empty) {
            true => Err(failed(
                "the caption is empty".into(),
                "fill it in, or leave the sample out",
            )),
            false => Ok(trimmed.map(String::from).collect()),
        }
    }
}

/// The captions of a `.json`, at least one.
fn said(text: &str) -> Result<Vec<String>, String> {
    // serde would also take an array for a record, its fields in order.
    if !text.trim_start().starts_with('{') {
        return Err("not a JSON object".into());
    }
    let record: Record = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let captions = record.captions.into_iter().flatten();
    let captions: Vec<String> = record.caption.into_iter().chain(captions).collect();
    match captions.is_empty() {
        true => Err("neither `caption` nor `captions` says anything".into()),
        false => Ok(captions),
    }
}

impl Iterator for Samples {
    type Item = Result<Sample, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.group().transpose()?;
        Some(group.and_then(|group| self.sample(group)))
    }
}
