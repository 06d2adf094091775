//! What several tests need: the binary, a dataset small enough to train on in a blink, one trained run.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a call of the binary came to.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The one JSON document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Asserts the exit code, and that nothing panicked on the way.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }
}

/// The binary, to be run in `folder`.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crucible"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs the binary in `folder` to its end.
pub fn crucible(folder: &Path, args: &[&str]) -> Output {
    let output = command(folder, args).output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn read_json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub fn read_json_lines(path: impl AsRef<Path>) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A run of `vqa --preset smoke` on the embedded data, trained once for all tests.
pub fn smoke_run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let run = folder.join("smoke");
        if run.exists() {
            fs::remove_dir_all(&run).unwrap();
        }
        crucible(
            folder,
            &["train", "vqa", "--preset", "smoke", "--out", "smoke"],
        )
        .expect(0);
        run
    })
}

/// Writes a PNG of one colour.
pub fn picture(path: &Path, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(12, 10, image::Rgb(colour))
        .save(path)
        .unwrap();
}

pub const COLOURS: [(&str, [u8; 3]); 3] = [
    ("red", [220, 30, 20]),
    ("green", [20, 200, 40]),
    ("blue", [10, 40, 210]),
];

/// Writes questions about twelve pictures into `folder`, in all three splits.
pub fn small_vqa(folder: &Path) {
    for split in ["train", "valid", "test"] {
        let mut lines = String::new();
        for index in 0..12 {
            let (name, colour) = COLOURS[index % 3];
            let image = format!("{split}-{index}.png");
            picture(&folder.join(&image), colour);
            let red = if name == "red" { "yes" } else { "no" };
            for (question, answer) in [("what color is it?", name), ("is it red?", red)] {
                lines +=
                    &serde_json::json!({"image": image, "question": question, "answer": answer})
                        .to_string();
                lines.push('\n');
            }
        }
        fs::write(folder.join(format!("{split}.jsonl")), lines).unwrap();
    }
}

/// Arguments of a training on [`small_vqa`] in `data` that takes `steps` short steps.
pub fn small_training(command: &str, steps: usize, more: &[&str]) -> Vec<String> {
    let steps = format!("training.steps={steps}");
    let fixed = [command, "vqa", "--preset", "smoke", "--data", "data"];
    let sets = [
        "image.size=16",
        "model.d_model=16",
        "model.d_ff=16",
        "model.stem=[16]",
        &steps,
    ];
    let sets = sets.iter().flat_map(|set| ["--set", *set]);
    fixed
        .into_iter()
        .chain(sets)
        .chain(more.iter().copied())
        .map(String::from)
        .collect()
}

/// As strings to pass on.
pub fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
