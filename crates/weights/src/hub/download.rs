//! What a model's folder needs, from the hub or from its cache.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use hf_hub::progress::{DownloadEvent, FileProgress, ProgressEvent, ProgressHandler};
use hf_hub::repository::RepoTreeEntry;
use hf_hub::{HFClient, HFClientBuilder, HFClientSync, HFError, HFRepositorySync, RepoTypeModel};
use serde::Deserialize;

use super::Id;
use crate::Error;
use crate::error::shown;
use crate::files::WEIGHTS;

/// What says of which architecture a model is; a GGUF does so itself.
const CONFIGS: [&str; 2] = ["config.json", "open_clip_config.json"];

/// What else is read, where a model has it.
const OTHERS: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
    "preprocessor_config.json",
    "modules.json",
    "1_Pooling/config.json",
];

/// The largest index of weights that is read, in bytes.
const MAX_INDEX: u64 = 32 << 20;

/// The most characters of the hub's words, which for a gated model end in where to ask for it.
const MAX_WORDS: usize = 400;

/// How long the hub may be silent.
#[derive(Clone, Copy)]
struct Patience {
    /// Until its first answer: a network without a way to it may never say so.
    first: Duration,
    /// Between any two signs of life of a download.
    later: Duration,
}

/// The snapshot of a model in the hub's cache.
pub(super) fn fetch(id: &Id, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let patience = Patience {
        first: Duration::from_secs(12),
        later: Duration::from_secs(60),
    };
    let client = HFClient::builder().retry_max_attempts(2);
    fetch_with(id, client, patience, progress)
}

fn fetch_with(
    id: &Id,
    client: HFClientBuilder,
    patience: Patience,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let failed = |error: HFError| {
        let reason = format!("the hub's client cannot be made ({})", cause(&error));
        id.error(reason, id.as_folder())
    };
    let client = client.build().map_err(failed)?;
    let cause = match download_within(id, &client, patience, progress) {
        Ok(folder) => return Ok(folder),
        Err(Failure::Refused { reason, remedy }) => return Err(id.error(reason, remedy)),
        Err(Failure::Unreachable(cause)) => cause,
    };
    cached(id, &client).map_err(|lacking| {
        let reason = format!("the hub cannot be reached ({cause}), and {lacking}");
        id.error(reason, id.as_folder())
    })
}

/// Why nothing came from the hub.
enum Failure {
    /// It answered, and the model is not to be had like this.
    Refused {
        reason: String,
        remedy: &'static str,
    },
    /// It did not answer as a hub does.
    Unreachable(String),
}

impl Failure {
    fn refused(reason: impl Into<String>, remedy: &'static str) -> Self {
        Self::Refused {
            reason: reason.into(),
            remedy,
        }
    }
}

impl From<HFError> for Failure {
    fn from(error: HFError) -> Self {
        let answer = match &error {
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context } => Some(context),
            HFError::RepoNotFound { context, .. } | HFError::RevisionNotFound { context, .. } => {
                context.as_ref()
            }
            _ => None,
        };
        let refused = answer.filter(|answer| matches!(answer.status.as_u16(), 401 | 403 | 404));
        // A hub gives its reason. What does not may be a proxy or the page of a network's login.
        let words = refused.and_then(|answer| answer.server_message.as_deref());
        let Some(words) = words.filter(|words| !words.is_empty()) else {
            return Self::Unreachable(cause(&error));
        };
        let words = words.chars().filter(|c| !c.is_control()).take(MAX_WORDS);
        let words: String = words.collect();
        // Of a model that may not be seen, the hub says that there is none.
        let remedy = "check the id; a private or gated model is given to those whose token for it is in HF_TOKEN";
        Self::refused(format!("the hub says: {words}"), remedy)
    }
}

/// The innermost cause, which is the one that says something.
fn cause(error: &HFError) -> String {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner.to_string();
        source = inner.source();
    }
    shown(&cause)
}

/// What a download tells while it runs.
enum News {
    /// The hub has answered.
    Answered,
    Event(ProgressEvent),
    Done(Result<PathBuf, Failure>),
}

/// Downloads in a thread of its own, which is left alone when the hub falls silent: its client has no time-out.
fn download_within(
    id: &Id,
    client: &HFClient,
    patience: Patience,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, Failure> {
    let (sender, news) = mpsc::channel();
    let repository = open(id, client)?;
    let revision = id.revision.map(str::to_owned);
    let work = move || {
        let done = download(&repository, revision.as_deref(), &sender);
        // Nobody listens any more if it took too long.
        let _ = sender.send(News::Done(done));
    };
    let worker = thread::Builder::new().name("hub".into()).spawn(work);
    worker.map_err(|error| Failure::Unreachable(error.to_string()))?;
    let mut tenths = BTreeMap::new();
    let mut wait = patience.first;
    loop {
        match news.recv_timeout(wait) {
            Ok(News::Answered) => {}
            Ok(News::Event(ProgressEvent::Download(DownloadEvent::Progress { files }))) => {
                for line in files.iter().filter_map(|file| tell(file, &mut tenths)) {
                    progress(&line);
                }
            }
            Ok(News::Event(_)) => {}
            Ok(News::Done(done)) => return done,
            Err(RecvTimeoutError::Timeout) => {
                let cause = format!("no answer for {} s", wait.as_secs_f32());
                return Err(Failure::Unreachable(cause));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Unreachable("the download died".into()));
            }
        }
        wait = patience.later;
    }
}

/// The line about a file of which another tenth has come. Of what the cache has, the client tells no length.
fn tell(file: &FileProgress, tenths: &mut BTreeMap<String, u64>) -> Option<String> {
    let total = file.total_bytes;
    let tenth = file.bytes_completed.saturating_mul(10).checked_div(total)?;
    let known = tenths.get(&file.filename);
    if known.is_some_and(|known| *known >= tenth) {
        return None;
    }
    tenths.insert(file.filename.clone(), tenth);
    let percent = tenth.saturating_mul(10);
    Some(format!("{}: {percent}% of {total} bytes", file.filename))
}

/// Hands on what the client tells.
struct Reporter(Sender<News>);

impl ProgressHandler for Reporter {
    fn on_progress(&self, event: &ProgressEvent) {
        let _ = self.0.send(News::Event(event.clone()));
    }
}

fn open(id: &Id, client: &HFClient) -> Result<HFRepositorySync<RepoTypeModel>, HFError> {
    Ok(HFClientSync::from_inner(client.clone())?.model(id.org, id.name))
}

/// Downloads what the cache lacks.
fn download(
    repository: &HFRepositorySync<RepoTypeModel>,
    revision: Option<&str>,
    news: &Sender<News>,
) -> Result<PathBuf, Failure> {
    let entries = repository.list_tree().maybe_revision(revision).send()?;
    let _ = news.send(News::Answered);
    let sizes: BTreeMap<String, u64> = entries
        .into_iter()
        .filter_map(|entry| match entry {
            RepoTreeEntry::File { path, size, .. } => Some((path, size)),
            RepoTreeEntry::Directory { .. } => None,
        })
        .collect();
    let names: Vec<&str> = sizes.keys().map(String::as_str).collect();
    let unusable = |reason: String| {
        let remedy = "give another model, or a file of weights that was downloaded by other means";
        Failure::refused(reason, remedy)
    };
    let weights = weights(&names).map_err(|reason| unusable(reason.into()))?;
    let get = |names: &[&str]| -> Result<PathBuf, Failure> {
        let folder = repository
            .snapshot_download()
            .maybe_revision(revision)
            .allow_patterns(names.iter().copied().map(String::from).collect())
            .progress(Reporter(news.clone()))
            .send()?;
        for &name in names {
            if let Some(&size) = sizes.get(name)
                && length(&folder, name) != Some(size)
            {
                again(repository, revision, &folder, name, size, news)?;
            }
        }
        Ok(folder)
    };
    let wanted: Vec<&str> = CONFIGS.into_iter().chain(OTHERS).chain([weights]).collect();
    let folder = get(&wanted)?;
    if !is_index(weights) {
        return Ok(folder);
    }
    let parts = parts(&folder, weights).map_err(unusable)?;
    if let Some(absent) = parts.iter().find(|part| !sizes.contains_key(*part)) {
        let reason = format!("lacks {}, which {weights} names", shown(absent));
        return Err(unusable(reason));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    get(&parts)
}

/// Downloads a file anew that the cache has cut off, or with the words of an error in it.
fn again(
    repository: &HFRepositorySync<RepoTypeModel>,
    revision: Option<&str>,
    folder: &Path,
    name: &str,
    size: u64,
    news: &Sender<News>,
) -> Result<(), Failure> {
    repository
        .download_file()
        .filename(name)
        .maybe_revision(revision)
        .force_download(true)
        .progress(Reporter(news.clone()))
        .send()?;
    match length(folder, name) {
        Some(length) if length == size => Ok(()),
        length => {
            let length = length.unwrap_or(0);
            let reason = format!("of {name} came {length} bytes, it has {size}");
            Err(Failure::refused(reason, "try again"))
        }
    }
}

fn length(folder: &Path, name: &str) -> Option<u64> {
    Some(folder.join(name).metadata().ok()?.len())
}

/// The snapshot that is in the cache, if it can do without the hub, or what there is too little of.
fn cached(id: &Id, client: &HFClient) -> Result<PathBuf, String> {
    let cache = client.cache_dir().display();
    let found = open(id, client).and_then(|repository| {
        let snapshot = repository.snapshot_download().local_files_only(true);
        snapshot.maybe_revision(id.revision).send()
    });
    let folder = found.map_err(|_| format!("the cache {cache} has nothing of it"))?;
    match lacking(&folder) {
        None => Ok(folder),
        Some(lacking) => {
            let folder = folder.display();
            Err(format!("its folder in the cache, {folder}, {lacking}"))
        }
    }
}

/// What keeps a folder from being a model's.
fn lacking(folder: &Path) -> Option<String> {
    // A link of the cache whose target is gone does not count.
    let has = |name: &str| folder.join(name).exists();
    let entries = folder.read_dir().ok()?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| has(name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let weights = match weights(&names) {
        Ok(weights) => weights,
        Err(reason) => return Some(reason.into()),
    };
    if !weights.ends_with(".gguf") && !CONFIGS.into_iter().any(has) {
        return Some("lacks config.json".into());
    }
    if !is_index(weights) {
        return None;
    }
    match parts(folder, weights) {
        Ok(mut parts) => {
            parts.retain(|part| !has(part));
            let absent: Vec<String> = parts.iter().map(|part| shown(part)).collect();
            (!absent.is_empty()).then(|| format!("lacks {}", absent.join(", ")))
        }
        Err(reason) => Some(reason),
    }
}

/// Which of these files [`crate::files::Tensors::open`] takes the weights from.
fn weights<'a>(names: &[&'a str]) -> Result<&'a str, &'static str> {
    let named = |wanted: &&str| names.iter().find(|name| *name == wanted).copied();
    if let Some(found) = WEIGHTS.iter().find_map(named) {
        return Ok(found);
    }
    let mut ggufs = names.iter().filter(|name| name.ends_with(".gguf"));
    match (ggufs.next(), ggufs.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err("has several *.gguf"),
        (None, _) => Err("has no weights that are read here, such as model.safetensors"),
    }
}

fn is_index(name: &str) -> bool {
    name.ends_with(".index.json")
}

/// The files of weights that the index of a folder names.
fn parts(folder: &Path, index: &str) -> Result<BTreeSet<String>, String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let damaged = |reason: &dyn Display| format!("has a damaged {index}: {reason}");
    let file = File::open(folder.join(index)).map_err(|error| damaged(&error))?;
    let read: Result<Index, _> = serde_json::from_reader(BufReader::new(file).take(MAX_INDEX));
    let read = read.map_err(|error| damaged(&error))?;
    Ok(read.weight_map.into_values().collect())
}
