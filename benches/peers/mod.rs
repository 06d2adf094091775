//! The same workload in another framework: a child process that reads one JSON request a line and answers
//! each with one JSON line.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here is recovered from: a message for a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A peer that waits for requests. Ends when its input does, with this value.
pub struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
}

/// What a peer needs in order to start where we start.
pub struct Start {
    /// The model's configuration and optimizer.
    pub description: Value,
    /// Initial weights and batch.
    pub tensors: Vec<(String, TensorData)>,
}

/// Training steps that a peer has taken.
#[derive(Deserialize)]
pub struct Steps {
    /// The loss of each, before its update.
    pub losses: Vec<f64>,
    /// The time of each.
    pub seconds: Vec<f64>,
}

#[derive(Deserialize)]
struct Memory {
    bytes: u64,
}

#[derive(Deserialize)]
struct Ready {}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Error { error: String },
    Result(T),
}

impl Peer {
    /// Starts a script of this folder with `$CRUCIBLE_PYTHON`, or `python3`.
    pub fn spawn(script: &str) -> Result<Self, Failure> {
        let python = env::var("CRUCIBLE_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("benches/peers")
            .join(script);
        let mut command = Command::new(&python);
        let command = command
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            format!("{python}: {error}; set CRUCIBLE_PYTHON to a Python with PyTorch")
        })?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or("the peer has no output")?);
        let mut peer = Self {
            child,
            requests,
            answers,
            folder: TempDir::new()?,
        };
        let Ready {} = peer.answer()?;
        Ok(peer)
    }

    /// Makes the peer ready to train from `start`, which then takes no more memory here.
    pub fn load(&mut self, start: Start) -> Result<(), Failure> {
        let path = self.folder.path().join("start.safetensors");
        let mut views = Vec::new();
        for (name, data) in &start.tensors {
            let dtype = match data.dtype() {
                DType::F32 => Dtype::F32,
                DType::I32 => Dtype::I32,
                DType::I64 => Dtype::I64,
                other => return Err(format!("{name} is {other:?}, which no peer reads").into()),
            };
            views.push((
                name,
                TensorView::new(dtype, data.shape().to_vec(), data.as_bytes())?,
            ));
        }
        serialize_to_file(views, None, &path)?;
        let Ready {} = self.ask(&json!({ "load": path, "description": start.description }))?;
        Ok(())
    }

    /// Lets the peer take `count` training steps.
    pub fn step(&mut self, count: u32) -> Result<Steps, Failure> {
        let steps: Steps = self.ask(&json!({ "steps": count }))?;
        match [steps.losses.len(), steps.seconds.len()] == [count as usize; 2] {
            true => Ok(steps),
            false => Err(format!("the peer did not take {count} steps").into()),
        }
    }

    /// Bytes of the peer's memory at most, beyond what it held when it had loaded its libraries.
    pub fn memory(&mut self) -> Result<u64, Failure> {
        let Memory { bytes } = self.ask(&json!({ "memory": true }))?;
        Ok(bytes)
    }

    /// Any request that the script knows.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Value) -> Result<T, Failure> {
        let requests = self.requests.as_mut().ok_or("the peer has no input")?;
        writeln!(requests, "{request}")?;
        requests.flush()?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("the peer ended: {}", self.child.wait()?).into());
        }
        match serde_json::from_str(&line)? {
            Answer::Error { error } => Err(error.into()),
            Answer::Result(result) => Ok(result),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Without input it ends by itself. Nobody is left to tell if it did so badly.
        drop(self.requests.take());
        let _ = self.child.wait();
    }
}
