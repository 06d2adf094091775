//! Image, question, answer: one JSON object a line, `{"image": "photos/1.png", "question": "..", "answer": ".."}`.
//!
//! `image` is relative to the file's folder; `id` is optional; other keys are left alone. Lines about the same image
//! form one sample, wherever they stand.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Problems, Scan, SplitFiles, lines};
use crate::paths::Root;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageSource, Place, Question, VqaData, VqaSample};

const SHAPE: &str = r#"{"image": "photos/1.png", "question": "..", "answer": ".."}"#;

#[derive(Deserialize)]
struct Record {
    image: String,
    question: String,
    answer: String,
    #[serde(default)]
    id: Value,
}

/// Reads a file or folder.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<VqaData>, DataError> {
    let files = SplitFiles::find(path, "jsonl")?;
    let root = Arc::new(Root::new(&files.folder)?);
    let mut reader = Reader {
        root,
        problems: Problems::default(),
        ids: HashMap::new(),
        digest: Sha256::new(),
    };
    let train = reader.read(&files.train)?;
    let mut optional = |file: &Option<_>| {
        let path: Option<&std::path::PathBuf> = file.as_ref();
        path.map(|path| reader.read(path)).transpose()
    };
    let (valid, test) = (optional(&files.valid)?, optional(&files.test)?);

    let [train, valid, test] = Parts { train, valid, test }.complete(|sample| fraction(&sample.id));
    let answers: BTreeSet<String> = [&train, &valid, &test]
        .into_iter()
        .flatten()
        .flat_map(|sample| &sample.questions)
        .map(|question| question.answer.clone())
        .collect();
    Ok(Scan {
        data: Data::in_memory(
            name,
            [train, valid, test],
            answers.into_iter().collect(),
            hex(&reader.digest.finalize()),
        ),
        problems: reader.problems,
    })
}

struct Reader {
    root: Arc<Root>,
    problems: Problems,
    /// Ids seen, and where: predictions are told apart by them.
    ids: HashMap<String, Place>,
    digest: Sha256,
}

impl Reader {
    fn read(&mut self, path: &Path) -> Result<Vec<VqaSample>, DataError> {
        let file_name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Self {
            root,
            problems,
            ids,
            digest,
        } = self;
        let mut samples: Vec<VqaSample> = Vec::new();
        let mut of_image: HashMap<String, usize> = HashMap::new();
        // What moves from one split to another changes the digest.
        digest.update(&file_name);
        for line in lines::open(path)? {
            let parsed = line.and_then(|(place, line)| {
                digest.update(&line);
                digest.update("\n");
                let (image, question) = question(&place, &line)?;
                Ok((place, image, question))
            });
            let Some((place, image, question)) = problems.keep(parsed) else {
                continue;
            };
            if let Some(before) = ids.insert(question.id.clone(), place.clone()) {
                problems.push(DataError::format(
                    place,
                    format!("the id `{}` was given before, at {before}", question.id),
                    "give each question an id of its own, or leave ids out",
                ));
                continue;
            }
            if let Some(&sample) = of_image.get(&image) {
                samples[sample].questions.push(question);
                continue;
            }
            let source = ImageSource::Listed {
                root: root.clone(),
                relative: image.clone(),
                named_by: Some(place),
            };
            if let Some(length) = problems.keep(source.length()) {
                digest.update(length.to_le_bytes());
                of_image.insert(image.clone(), samples.len());
                samples.push(VqaSample {
                    id: image,
                    image: source,
                    questions: vec![question],
                });
            }
        }
        Ok(samples)
    }
}

/// The image and the question of one line.
fn question(place: &Place, line: &str) -> Result<(String, Question), DataError> {
    let record: Record = lines::record(place, line, SHAPE)?;
    let id = match record.id {
        Value::Null => place.id(),
        Value::String(id) => lines::non_empty(place, "id", &id)?,
        Value::Number(id) => id.to_string(),
        other => {
            return Err(DataError::format(
                place.clone(),
                format!("`id` is {other}"),
                "expected text or a number",
            ));
        }
    };
    let question = Question {
        id,
        text: lines::non_empty(place, "question", &record.question)?,
        answer: lines::non_empty(place, "answer", &record.answer)?,
    };
    Ok((record.image, question))
}
