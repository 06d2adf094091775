//! Models by their id on the Hugging Face hub, `hf:org/name`, which the feature `hub` downloads.

#[cfg(feature = "hub")]
mod download;

use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "hub")]
use self::download::fetch;
use crate::Error;
use crate::error::shown;

/// The folder or file that a name stands for.
///
/// A name that does not begin with `hf:` is a path and comes back as it is, whether there is something or not. For
/// `hf:org/name`, or `hf:org/name@revision` with a branch, a tag or a whole commit hash, the files that this crate reads
/// are downloaded into the hub's own cache, which `HF_HUB_CACHE` and `HF_HOME` move, unless they are in it already.
/// Where the hub cannot be reached, what is in the cache is taken if it has a configuration and all weights.
/// `HF_TOKEN` is sent to the hub, `HF_ENDPOINT` names another one.
///
/// `progress` gets a line for each file that is downloaded, and one for each tenth of it that has come.
///
/// # Errors
///
/// [`Error::Hub`] for an id of another form, if the feature `hub` is not compiled in, if the hub refuses the model, if
/// the model has no weights that can be read here, or if the hub cannot be reached and the cache lacks files.
pub fn locate(name: &str, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let Some(id) = name.strip_prefix("hf:") else {
        return Ok(name.into());
    };
    let id = Id::parse(id).ok_or_else(|| Error::Hub {
        name: shown(name),
        reason: "is no id of a model".into(),
        remedy: "write hf:org/name or hf:org/name@revision".into(),
    })?;
    fetch(&id, progress)
}

/// Which model, in which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id<'a> {
    org: &'a str,
    name: &'a str,
    /// Without one, the main branch.
    revision: Option<&'a str>,
}

impl<'a> Id<'a> {
    /// `org/name` or `org/name@revision`, of which no part can lead out of the folder that it names in the cache.
    fn parse(text: &'a str) -> Option<Self> {
        let (repository, revision) = match text.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (text, None),
        };
        let (org, name) = repository.split_once('/')?;
        let plain = is_plain(org)
            && is_plain(name)
            && revision.is_none_or(|revision| revision.split('/').all(is_plain));
        plain.then_some(Self {
            org,
            name,
            revision,
        })
    }

    /// [`Error::Hub`] for this model.
    fn error(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::Hub {
            name: self.to_string(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// How to do without a download from here.
    fn as_folder(&self) -> String {
        let revision = self
            .revision
            .map(|revision| format!(" --revision {revision}"));
        format!(
            "give a folder with its config.json, tokenizer.json, model.safetensors (or model.safetensors.index.json \
             and the parts) and, for images, preprocessor_config.json; where the hub can be reached, \
             `hf download {}/{}{} --local-dir FOLDER` makes one",
            self.org,
            self.name,
            revision.unwrap_or_default()
        )
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}/{}", self.org, self.name)?;
        match self.revision {
            Some(revision) => write!(f, "@{revision}"),
            None => Ok(()),
        }
    }
}

/// Whether this is a name of letters, digits, `.`, `_` and `-` which is no option of a command and no hidden file.
fn is_plain(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && !name.starts_with(['.', '-']) && name.bytes().all(known)
}

/// What there is in place of a download.
#[cfg(not(feature = "hub"))]
fn fetch(id: &Id, _progress: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let remedy = format!(
        "build it with `cargo build --features hub`, or {}",
        id.as_folder()
    );
    Err(id.error(
        "this binary is built without downloads from the hub",
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Id, locate};

    #[test]
    fn a_path_comes_back_as_it_is() {
        for path in [
            "models/gpt2",
            "hf",
            "openai/clip@main",
            "/no/such/folder",
            "",
        ] {
            let located = locate(path, &mut |_| {}).unwrap();
            assert_eq!(located, Path::new(path));
        }
    }

    #[test]
    fn ids_have_an_organisation_a_name_and_perhaps_a_revision() {
        let id = Id {
            org: "org",
            name: "name-2.5_b",
            revision: None,
        };
        assert_eq!(Id::parse("org/name-2.5_b"), Some(id));
        let id = Id {
            revision: Some("refs/pr/1"),
            ..id
        };
        assert_eq!(Id::parse("org/name-2.5_b@refs/pr/1"), Some(id));
        assert_eq!(id.to_string(), "hf:org/name-2.5_b@refs/pr/1");
        assert!(
            id.as_folder()
                .contains("`hf download org/name-2.5_b --revision refs/pr/1 --local-dir FOLDER`")
        );
    }

    #[test]
    fn an_id_of_another_form_is_told_the_form() {
        let malformed = [
            "",
            "name",
            "org/",
            "/name",
            "a/b/c",
            "org/name@",
            "org/name@a@b",
            "../name",
            "org/..",
            "org/name@../x",
            "org/name@/x",
            "org/name@a//b",
            "-org/name",
            "org/na me",
            "org/n\u{e4}me",
            "org/na\nme",
            "org/name?x",
        ];
        for id in malformed {
            let error = locate(&format!("hf:{id}"), &mut |_| {}).unwrap_err();
            let text = error.to_string();
            let form = "is no id of a model; write hf:org/name or hf:org/name@revision";
            assert!(text.ends_with(form), "{id:?}: {text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }

    #[cfg(not(feature = "hub"))]
    #[test]
    fn without_the_feature_both_ways_out_are_told() {
        let text = locate("hf:org/name", &mut |_| {}).unwrap_err().to_string();
        for part in [
            "hf:org/name: this binary is built without",
            "`cargo build --features hub`",
            "config.json, tokenizer.json, model.safetensors (or model.safetensors.index.json",
            "preprocessor_config.json",
            "`hf download org/name --local-dir FOLDER`",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
