//! Text and class: one JSON object a line, `{"text": "..", "label": ".."}`, or a table with the columns `text` and `label`,
//! separated by commas (`.csv`) or tabs (`.tsv`).
//!
//! A label is a word or a number; other keys and columns are left alone.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Problems, Scan, SplitFiles, lines};
use crate::paths::open_regular;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, LabelledText, LabelledTextData, Place};

const SHAPE: &str = r#"{"text": "..", "label": ".."}"#;
const TABLE: &str = "expected a first line that names the columns, text and label among them";

#[derive(Deserialize)]
struct Record {
    text: String,
    label: Value,
}

/// A text with the name of its class.
struct Named {
    id: String,
    text: String,
    class: String,
}

/// Reads a file or folder of the extension `jsonl`, `csv` or `tsv`.
pub(crate) fn scan(
    name: &str,
    path: &Path,
    extension: &str,
) -> Result<Scan<LabelledTextData>, DataError> {
    let files = SplitFiles::find(path, extension)?;
    let mut problems = Problems::default();
    let mut digest = Sha256::new();
    let mut read = |path: &Path| read(path, extension, &mut problems, &mut digest);
    let train = read(&files.train)?;
    let valid = files.valid.as_deref().map(&mut read).transpose()?;
    let test = files.test.as_deref().map(&mut read).transpose()?;
    let splits = Parts { train, valid, test }.complete(|named| fraction(&named.id));
    let classes = splits.iter().flatten().map(|named| named.class.clone());
    let labels: Vec<String> = classes.collect::<BTreeSet<_>>().into_iter().collect();
    let labelled = |Named { id, text, class }: Named| LabelledText {
        id,
        text,
        label: labels.partition_point(|label| *label < class),
    };
    let splits = splits.map(|named| named.into_iter().map(labelled).collect());
    Ok(Scan {
        data: Data::in_memory(name, splits, labels.clone(), hex(&digest.finalize())),
        problems,
    })
}

fn read(
    path: &Path,
    extension: &str,
    problems: &mut Problems,
    digest: &mut Sha256,
) -> Result<Vec<Named>, DataError> {
    // What moves from one split to another changes the digest.
    digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    let mut texts = Vec::new();
    let mut keep = |place: Place, (text, class): (String, String)| {
        digest.update(format!("{text}\n{class}\n"));
        let id = place.id();
        texts.push(Named { id, text, class });
    };
    match extension {
        "jsonl" => {
            for line in lines::open(path)? {
                let parsed = line.and_then(|(place, line)| Ok((record(&place, &line)?, place)));
                if let Some((parsed, place)) = problems.keep(parsed) {
                    keep(place, parsed);
                }
            }
        }
        _ => {
            for row in rows(path, if extension == "tsv" { b'\t' } else { b',' })? {
                if let Some((place, parsed)) = problems.keep(row) {
                    keep(place, parsed);
                }
            }
        }
    }
    Ok(texts)
}

/// The text and the class of a line of JSON.
pub(crate) fn record(place: &Place, line: &str) -> Result<(String, String), DataError> {
    let record: Record = lines::record(place, line, SHAPE)?;
    let class = match record.label {
        Value::String(label) => lines::non_empty(place, "label", &label)?,
        Value::Number(label) => label.to_string(),
        other => {
            return Err(DataError::format(
                place.clone(),
                format!("`label` is {other}"),
                "expected text or a number",
            ));
        }
    };
    Ok((lines::non_empty(place, "text", &record.text)?, class))
}

type Row = Result<(Place, (String, String)), DataError>;

/// The texts and classes of a table.
fn rows(path: &Path, delimiter: u8) -> Result<Vec<Row>, DataError> {
    let file = open_regular(path).map_err(|error| DataError::io(path, error))?;
    let mut table = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(file);
    let failed = |line: u64, error: csv::Error| {
        let place = Place::line(path.into(), line as usize);
        DataError::format(place, error.to_string(), "correct or remove the line")
    };
    let header = table.headers().map_err(|error| failed(1, error))?.clone();
    let column = |name: &str| {
        let found = header
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let place = Place::line(path.into(), 1);
            DataError::format(place, format!("no column `{name}`"), TABLE)
        })
    };
    let (text, label) = (column("text")?, column("label")?);
    let rows = table.records().map(|row| {
        let line = |position: Option<&csv::Position>| position.map_or(1, csv::Position::line);
        let row = row.map_err(|error| failed(line(error.position()), error))?;
        let place = Place::line(path.into(), line(row.position()) as usize);
        let of = |name, column| lines::non_empty(&place, name, row.get(column).unwrap_or_default());
        let parsed = (of("text", text)?, of("label", label)?);
        Ok((place, parsed))
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;

    fn all(data: &LabelledTextData) -> Vec<(String, String, String)> {
        let splits = Split::ALL.into_iter().map(|split| data.split(split));
        let samples = splits.flat_map(|split| (0..split.len()).map(|at| split.get(at).unwrap()));
        let mut all: Vec<_> = samples
            .map(|sample| (sample.id, sample.text, data.labels[sample.label].clone()))
            .collect();
        all.sort();
        all
    }

    fn scanned(name: &str, content: &str) -> Result<Scan<LabelledTextData>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), content).unwrap();
        let extension = name.rsplit('.').next().unwrap();
        scan("test", folder.path(), extension)
    }

    #[test]
    fn lines_and_tables_hold_the_same() {
        let expected = |name: &str| {
            [
                ("2", "a, \"b\"", "bad"),
                ("3", "fine", "good"),
                ("4", "dull", "bad"),
            ]
            .map(|(line, text, label)| (format!("{name}:{line}"), text.into(), label.into()))
            .to_vec()
        };
        let jsonl = "\n{\"text\": \"a, \\\"b\\\"\", \"label\": \"bad\"}\n{\"label\": \"good\", \"text\": \" fine \"}\n\
                     {\"text\": \"dull\", \"label\": \"bad\", \"by\": 1}\n";
        let csv = "Label,by,text\nbad,x,\"a, \"\"b\"\"\"\ngood,y, fine \nbad,,dull\n";
        let tsv = "text\tlabel\n\"a, \"\"b\"\"\"\tbad\nfine\tgood\ndull\tbad\n";
        for (name, content) in [
            ("train.jsonl", jsonl),
            ("train.csv", csv),
            ("train.tsv", tsv),
        ] {
            let scan = scanned(name, content).unwrap();
            assert_eq!(scan.problems.count, 0, "{name}");
            assert_eq!(scan.data.labels, ["bad", "good"]);
            assert_eq!(all(&scan.data), expected(name), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (name, content, told) in [
            (
                "a.jsonl",
                "{\"text\": \"a\"}",
                "a.jsonl:1: missing field `label`",
            ),
            (
                "a.jsonl",
                "{\"text\": \" \", \"label\": 1}",
                "a.jsonl:1: `text` is empty",
            ),
            (
                "a.jsonl",
                "{\"text\": \"a\", \"label\": []}",
                "a.jsonl:1: `label` is []",
            ),
            (
                "a.csv",
                "text,label\nfine,good\nshort\n",
                "a.csv:3: CSV error",
            ),
            ("a.csv", "text,label\nfine,\n", "a.csv:2: `label` is empty"),
        ] {
            let problems = scanned(name, content).unwrap().problems;
            assert_eq!(problems.count, 1, "{content}");
            let problem = problems.first[0].to_string();
            assert!(problem.contains(told), "{problem}");
        }
        let missing = scanned("a.tsv", "text\tclass\na\tb\n")
            .err()
            .unwrap()
            .to_string();
        assert!(missing.contains("a.tsv:1: no column `label`"), "{missing}");
    }

    #[test]
    fn numbers_are_labels_too() {
        let scan = scanned(
            "a.jsonl",
            "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": 0}\n",
        );
        let scan = scan.unwrap();
        assert_eq!(scan.data.labels, ["0", "1"]);
    }
}
