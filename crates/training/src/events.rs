//! TensorBoard's event files: `tensorboard --logdir runs` draws the curves of runs while they train.
//!
//! A file is a sequence of records, each an `Event` in Protocol Buffers between its length and two checksums
//! (TensorFlow's `record_writer.h` and `event.proto`). What of a run is in it is what `metrics.jsonl` says.

use crate::metrics::{MetricLine, SECONDS};
use crate::{Error, RunDir};
use prost::Message;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Folder of the event file in a run directory.
const FOLDER: &str = "tensorboard";

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// An event file, open for appending.
pub(crate) struct Events {
    path: PathBuf,
    file: File,
    /// When training would have begun, had it never stopped, in seconds since 1970.
    began: f64,
}

impl Events {
    /// A file with the lines of the log so far, in the place of those of earlier processes. TensorBoard
    /// remembers how far it has read a file, so each process writes one of another name.
    pub fn create(dir: &RunDir, lines: &[MetricLine], seconds: f64) -> Result<Self, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let began = now.unwrap_or_default().as_secs_f64() - seconds;
        let mut content = record(&Event {
            wall_time: began,
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        });
        for lines in lines.chunk_by(|a, b| (a.step, &a.split) == (b.step, &b.split)) {
            let values: Vec<_> = lines.iter().map(|line| (&*line.name, line.value)).collect();
            content.extend(record(&event(
                began,
                lines[0].step,
                &lines[0].split,
                &values,
            )));
        }
        let folder = dir.file(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &folder)(error));
            }
            _ => fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?,
        }
        let name = format!(
            "events.out.tfevents.{}.{}",
            (began + seconds) as u64,
            std::process::id()
        );
        let path = folder.join(name);
        fs::write(&path, content).map_err(Error::io("write", &path))?;
        let file = OpenOptions::new().append(true).open(&path);
        Ok(Self {
            file: file.map_err(Error::io("write", &path))?,
            path,
            began,
        })
    }

    /// Appends the values of one split at one step, in one write.
    pub fn append(
        &mut self,
        step: usize,
        split: &str,
        values: &[(&str, f64)],
    ) -> Result<(), Error> {
        self.file
            .write_all(&record(&event(self.began, step, split, values)))
            .map_err(Error::io("write", &self.path))
    }
}

fn event(began: f64, step: usize, split: &str, values: &[(&str, f64)]) -> Event {
    let seconds = values.iter().find(|(name, _)| *name == SECONDS);
    let value = |(name, value): &(&str, f64)| Value {
        tag: format!("{name}/{split}"),
        simple_value: Some(*value as f32),
    };
    Event {
        wall_time: began + seconds.map_or(0.0, |(_, seconds)| *seconds),
        step: step as i64,
        file_version: None,
        summary: Some(Summary {
            values: values.iter().map(value).collect(),
        }),
    }
}

/// The bytes of a record: length, its checksum, the event, its checksum.
fn record(event: &Event) -> Vec<u8> {
    let event = event.encode_to_vec();
    let length = (event.len() as u64).to_le_bytes();
    let sum = |bytes: &[u8]| {
        let crc = crc32c::crc32c(bytes);
        crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    [&length[..], &sum(&length), &event, &sum(&event)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit;
    use crate::fixture::{Classifier, Steps, alone, config, run};
    use crate::metrics;
    use std::sync::Arc;

    /// What `tensorboard.summary.writer.record_writer.RecordWriter` of TensorBoard 2.21 writes of this event.
    #[test]
    fn a_record_is_the_one_of_tensorboard() {
        let values = [("loss", 0.25), (SECONDS, 1.5)];
        let bytes = record(&event(100.0, 7, "train", &values));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "36000000000000004f578cef09000000000060594010072a290a110a0a6c6f73732f747261696e150000803e\
             0a140a0d7365636f6e64732f747261696e150000c03feeebc10b"
        );
    }

    /// Tag, step and value of each scalar of a file.
    fn scalars(mut bytes: &[u8]) -> Vec<(String, usize, f32)> {
        let mut scalars = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
            let length = u64::from_le_bytes(*length) as usize;
            let event = Event::decode(&rest[4..4 + length]).unwrap();
            for value in event.summary.into_iter().flat_map(|summary| summary.values) {
                scalars.push((value.tag, event.step as usize, value.simple_value.unwrap()));
            }
            bytes = &rest[4 + length + 4..];
        }
        scalars
    }

    #[test]
    fn the_file_says_what_the_log_says_also_after_a_resume() {
        let _turn = alone();
        let folder = tempfile::tempdir().unwrap();
        let go = |resume, stop| {
            let mut run = run(folder.path(), resume);
            run.tensorboard = true;
            let loader = Steps {
                stop: Option::map(stop, |step| (step, run.interrupter.clone())),
                ..Steps::new(20)
            };
            let (model, valid) = (Classifier::new(&run.device), Arc::new(Steps::new(3)));
            fit(&run, &config(20), model, Arc::new(loader), valid, 1.0)
        };
        go(false, Some(13)).unwrap_err();
        go(true, None).unwrap();
        let files: Vec<_> = fs::read_dir(folder.path().join(FOLDER)).unwrap().collect();
        assert_eq!(files.len(), 1);
        let bytes = fs::read(files[0].as_ref().unwrap().path()).unwrap();
        let lines = metrics::read(&RunDir::new(folder.path())).unwrap();
        let expected: Vec<_> = lines
            .into_iter()
            .map(|line| {
                (
                    format!("{}/{}", line.name, line.split),
                    line.step,
                    line.value as f32,
                )
            })
            .collect();
        assert!(expected.len() > 20 * 3);
        assert_eq!(scalars(&bytes), expected);
    }
}
