//! Against a hub in a thread, which has one model, and against caches laid out by hand.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::HFClient;

use super::{Patience, fetch_with};
use crate::hub::Id;

const ID: Id = Id {
    org: "org",
    name: "name",
    revision: None,
};
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const INDEX: &str = r#"{"weight_map": {
    "a": "model-00001-of-00002.safetensors",
    "b": "model-00002-of-00002.safetensors",
    "c": "model-00001-of-00002.safetensors"
}}"#;
/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

type Files = &'static [(&'static str, &'static str)];

/// What is done with requests.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Open,
    /// The files are shown, and none is given.
    Gated,
    /// This is no hub.
    Foreign,
}

/// A hub with one model, `org/name`.
#[derive(Clone, Copy)]
struct Hub {
    files: Files,
    /// The one that the model has.
    revision: &'static str,
    manner: Manner,
}

impl Hub {
    fn with(files: Files) -> Self {
        Self {
            files,
            revision: "main",
            manner: Manner::Open,
        }
    }

    /// Answers from now on, and tells where.
    fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client may go away in between.
                let _ = self.answer(stream.unwrap());
            }
        });
        endpoint
    }

    fn answer(self, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut header = request.clone();
        while !header.trim().is_empty() {
            header.clear();
            reader.read_line(&mut header)?;
        }
        let mut words = request.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Ok(());
        };
        let (status, headers, body) = self.reply(path);
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        )?;
        match method {
            "HEAD" => Ok(()),
            _ => stream.write_all(body.as_bytes()),
        }
    }

    /// Status, headers and body.
    fn reply(self, path: &str) -> (&'static str, String, String) {
        let refuse = |status, words: &str| {
            (
                status,
                format!("X-Error-Message: {words}\r\n"),
                String::new(),
            )
        };
        let give = |body: String| ("200 OK", String::new(), body);
        if self.manner == Manner::Foreign {
            return ("404 Not Found", String::new(), "<html>".into());
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if let Some(revision) = path.strip_prefix("/api/models/org/name/revision/") {
            return match revision == self.revision {
                true => give(format!(r#"{{"id": "org/name", "sha": "{COMMIT}"}}"#)),
                false => refuse("404 Not Found", "Invalid rev id"),
            };
        }
        if let Some(revision) = path.strip_prefix("/api/models/org/name/tree/") {
            if revision != self.revision && revision != COMMIT {
                return refuse("404 Not Found", "Invalid rev id");
            }
            let entry = |(name, text): &(&str, &str)| {
                let size = text.len();
                format!(r#"{{"type": "file", "oid": "0", "size": {size}, "path": "{name}"}}"#)
            };
            let listed =
                |(name, _): &&(&str, &str)| query == "recursive=true" || !name.contains('/');
            let entries: Vec<String> = self.files.iter().filter(listed).map(entry).collect();
            return give(format!("[{}]", entries.join(", ")));
        }
        let Some((revision, name)) = path
            .strip_prefix("/org/name/resolve/")
            .and_then(|file| file.split_once('/'))
        else {
            return refuse("404 Not Found", "Repository not found");
        };
        if self.manner == Manner::Gated {
            return refuse("403 Forbidden", "Access to model org/name is restricted.");
        }
        let file = self.files.iter().find(|(known, _)| *known == name);
        match file.filter(|_| revision == self.revision || revision == COMMIT) {
            Some((_, text)) => {
                let digest = name.replace('/', "-");
                let headers = format!("ETag: \"{digest}\"\r\nX-Repo-Commit: {COMMIT}\r\n");
                ("200 OK", headers, (*text).into())
            }
            None => refuse("404 Not Found", "Entry not found"),
        }
    }
}

fn fetch_from(
    endpoint: &str,
    id: &Id,
    cache: &Path,
    lines: &mut Vec<String>,
) -> Result<PathBuf, String> {
    let client = HFClient::builder()
        .endpoint(endpoint)
        .cache_dir(cache)
        .retry_max_attempts(0);
    let patience = Patience {
        first: Duration::from_secs(10),
        later: Duration::from_secs(10),
    };
    let located = fetch_with(id, client, patience, &mut |line| lines.push(line.into()));
    located.map_err(|error| error.to_string())
}

/// Lays out a cache in which the main branch of `org/name` has these files.
fn lay(files: Files) -> tempfile::TempDir {
    let cache = tempfile::tempdir().unwrap();
    let model = cache.path().join("models--org--name");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(model.join("refs/main"), COMMIT).unwrap();
    for (name, text) in files {
        fs::write(snapshot.join(name), text).unwrap();
    }
    cache
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_read_is_downloaded_and_needs_no_hub_from_then_on() {
    const FILES: Files = &[
        ("1_Pooling/config.json", "{}"),
        ("README.md", "read me"),
        ("config.json", r#"{"model_type": "bert"}"#),
        ("flax_model.msgpack", "flax"),
        ("model-00001-of-00002.safetensors", "one"),
        ("model-00002-of-00002.safetensors", "two"),
        ("model.safetensors.index.json", INDEX),
        ("pytorch_model.bin", "pickled"),
        ("tokenizer.json", "{ }"),
    ];
    let cache = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    let folder = fetch_from(&Hub::with(FILES).start(), &ID, cache.path(), &mut lines).unwrap();
    let read = [
        "1_Pooling",
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ];
    assert_eq!(names(&folder), read);
    for (name, text) in FILES.iter().filter(|(name, _)| folder.join(name).exists()) {
        assert_eq!(
            fs::read_to_string(folder.join(name)).unwrap(),
            *text,
            "{name}"
        );
    }
    assert!(folder.join("1_Pooling/config.json").exists());
    lines.retain(|line| line.starts_with("model-00002"));
    let part = "model-00002-of-00002.safetensors";
    let told = [0, 100].map(|percent| format!("{part}: {percent}% of 3 bytes"));
    assert_eq!(lines, told);
    lines.clear();
    let again = fetch_from(NOWHERE, &ID, cache.path(), &mut lines);
    assert_eq!(again, Ok(folder));
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_revision_is_downloaded_and_found_under_its_name() {
    const FILES: Files = &[("config.json", "{}"), ("model.safetensors", "weights")];
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub {
        revision: "v2",
        ..Hub::with(FILES)
    };
    let id = Id {
        revision: Some("v2"),
        ..ID
    };
    let folder = fetch_from(&hub.start(), &id, cache.path(), &mut Vec::new()).unwrap();
    assert_eq!(names(&folder), ["config.json", "model.safetensors"]);
    let again = fetch_from(NOWHERE, &id, cache.path(), &mut Vec::new());
    assert_eq!(again, Ok(folder));
    assert!(fetch_from(NOWHERE, &ID, cache.path(), &mut Vec::new()).is_err());
}

#[test]
fn a_file_that_was_cut_off_comes_anew() {
    const FILES: Files = &[("config.json", "{}"), ("model.safetensors", "weights")];
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub {
        revision: "v2",
        ..Hub::with(FILES)
    };
    let endpoint = hub.start();
    let id = Id {
        revision: Some("v2"),
        ..ID
    };
    let folder = fetch_from(&endpoint, &id, cache.path(), &mut Vec::new()).unwrap();
    let weights = folder.join("model.safetensors");
    fs::write(&weights, "wei").unwrap();
    let again = fetch_from(&endpoint, &id, cache.path(), &mut Vec::new());
    assert_eq!(again, Ok(folder));
    assert_eq!(fs::read_to_string(&weights).unwrap(), "weights");
}

#[test]
fn without_a_hub_a_complete_cache_is_used() {
    for files in [
        &[("config.json", "{}"), ("model.safetensors", "")] as Files,
        &[
            ("open_clip_config.json", "{}"),
            ("open_clip_model.safetensors", ""),
        ],
        &[("model.gguf", "")],
        &[
            ("config.json", "{}"),
            ("model.safetensors.index.json", INDEX),
            ("model-00001-of-00002.safetensors", ""),
            ("model-00002-of-00002.safetensors", ""),
        ],
    ] {
        let cache = lay(files);
        let snapshot = cache
            .path()
            .join("models--org--name/snapshots")
            .join(COMMIT);
        for revision in [None, Some("main"), Some(COMMIT)] {
            let id = Id { revision, ..ID };
            let located = fetch_from(NOWHERE, &id, cache.path(), &mut Vec::new());
            assert_eq!(located.as_ref(), Ok(&snapshot), "{files:?}");
        }
    }
}

#[test]
fn without_a_hub_an_incomplete_cache_says_what_is_missing() {
    for (files, lacking) in [
        (&[("model.safetensors", "")] as Files, "lacks config.json"),
        (
            &[("config.json", "{}")],
            "has no weights that are read here, such as model.safetensors",
        ),
        (&[("a.gguf", ""), ("b.gguf", "")], "has several *.gguf"),
        (
            &[
                ("config.json", "{}"),
                ("model.safetensors.index.json", INDEX),
                ("model-00001-of-00002.safetensors", ""),
            ],
            "lacks model-00002-of-00002.safetensors; give a folder",
        ),
        (
            &[("config.json", "{}"), ("model.safetensors.index.json", "{")],
            "has a damaged model.safetensors.index.json: EOF",
        ),
    ] {
        let cache = lay(files);
        let text = fetch_from(NOWHERE, &ID, cache.path(), &mut Vec::new()).unwrap_err();
        assert!(
            text.starts_with("hf:org/name: the hub cannot be reached ("),
            "{text}"
        );
        assert!(text.contains(lacking), "{lacking}: {text}");
        assert!(
            text.contains("`hf download org/name --local-dir FOLDER`"),
            "{text}"
        );
    }
    let cache = lay(&[("config.json", "{}"), ("model.safetensors", "")]);
    let id = Id {
        revision: Some("v2"),
        ..ID
    };
    let text = fetch_from(NOWHERE, &id, cache.path(), &mut Vec::new()).unwrap_err();
    let nothing = format!("the cache {} has nothing of it", cache.path().display());
    assert!(text.contains(&nothing), "{text}");
}

#[test]
fn who_answers_without_a_reason_is_no_hub() {
    const FILES: Files = &[("config.json", "{}"), ("model.safetensors", "")];
    let hub = Hub {
        manner: Manner::Foreign,
        ..Hub::with(&[])
    };
    let endpoint = hub.start();
    let cache = lay(FILES);
    let located = fetch_from(&endpoint, &ID, cache.path(), &mut Vec::new());
    assert_eq!(
        located.map(|folder| names(&folder)),
        Ok(FILES.iter().map(|(name, _)| (*name).into()).collect())
    );
    let empty = tempfile::tempdir().unwrap();
    let text = fetch_from(&endpoint, &ID, empty.path(), &mut Vec::new()).unwrap_err();
    let words = "hf:org/name: the hub cannot be reached (HTTP error: 404 Not Found";
    assert!(text.starts_with(words), "{text}");
}

#[cfg(unix)]
#[test]
fn a_link_to_what_is_gone_is_no_file() {
    let cache = lay(&[("config.json", "{}")]);
    let snapshot = cache
        .path()
        .join("models--org--name/snapshots")
        .join(COMMIT);
    let weights = snapshot.join("model.safetensors");
    std::os::unix::fs::symlink("../../blobs/gone", weights).unwrap();
    let text = fetch_from(NOWHERE, &ID, cache.path(), &mut Vec::new()).unwrap_err();
    assert!(text.contains("has no weights"), "{text}");
}

#[test]
fn what_the_hub_refuses_is_told_in_its_words() {
    const FILES: Files = &[("config.json", "{}"), ("model.safetensors", "weights")];
    let cache = tempfile::tempdir().unwrap();
    let gated = Hub {
        manner: Manner::Gated,
        ..Hub::with(FILES)
    };
    let endpoint = gated.start();
    let gated = fetch_from(&endpoint, &ID, cache.path(), &mut Vec::new()).unwrap_err();
    let words = "hf:org/name: the hub says: Access to model org/name is restricted.;";
    assert!(
        gated.starts_with(words) && gated.contains("HF_TOKEN"),
        "{gated}"
    );
    let id = Id {
        name: "other",
        ..ID
    };
    let unknown = fetch_from(&endpoint, &id, cache.path(), &mut Vec::new()).unwrap_err();
    let words = "hf:org/other: the hub says: Repository not found; check the id";
    assert!(unknown.starts_with(words), "{unknown}");
    let id = Id {
        revision: Some("v2"),
        ..ID
    };
    let unknown = fetch_from(&endpoint, &id, cache.path(), &mut Vec::new()).unwrap_err();
    let words = "hf:org/name@v2: the hub says: Invalid rev id; check the id";
    assert!(unknown.starts_with(words), "{unknown}");
}

#[test]
fn a_model_without_weights_that_can_be_read_is_told() {
    let cache = tempfile::tempdir().unwrap();
    let endpoint = Hub::with(&[("config.json", "{}"), ("flax_model.msgpack", "")]).start();
    let text = fetch_from(&endpoint, &ID, cache.path(), &mut Vec::new()).unwrap_err();
    assert!(text.contains("has no weights that are read here"), "{text}");
}

#[test]
fn a_silent_hub_is_not_waited_for() {
    // Connections are made by the system, and nobody ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let client = HFClient::builder()
        .endpoint(endpoint)
        .cache_dir(cache.path());
    let patience = Patience {
        first: Duration::from_millis(250),
        later: Duration::from_secs(60),
    };
    let start = Instant::now();
    let error = fetch_with(&ID, client, patience, &mut |_| {}).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    let text = error.to_string();
    assert!(
        text.contains("cannot be reached (no answer for 0.25 s)"),
        "{text}"
    );
}
