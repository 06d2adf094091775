//! Ctrl-C: exit code 130 with the state saved, and what goes on later ends as if nothing had happened.

use crate::support::{
    Output, borrowed, command, crucible, read_json, read_json_lines, small_training, small_vqa,
};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts the binary, sends it SIGINT as soon as it has printed a line with `cue`, and waits.
fn interrupt(folder: &Path, args: &[&str], cue: &str) -> Output {
    let mut child = command(folder, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut stderr = String::new();
    while !stderr.lines().last().unwrap_or("").contains(cue) {
        assert_ne!(
            lines.read_line(&mut stderr).unwrap(),
            0,
            "ended without `{cue}`: {stderr}"
        );
    }
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    lines.read_to_string(&mut stderr).unwrap();
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    let code = child.wait().unwrap().code();
    Output {
        code,
        stdout,
        stderr,
    }
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_result() {
    const STEPS: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let args = |out, more: &[&'static str]| {
        small_training("train", STEPS, &[&["--out", out], more].concat())
    };

    let output = interrupt(folder.path(), &borrowed(&args("run", &[])), "step 1/").expect(130);
    assert!(output.stderr.contains("--resume --out run"), "{output:#?}");
    assert!(output.stdout.is_empty(), "{output:#?}");
    let run = folder.path().join("run");
    assert!(!run.join("result.json").exists());
    let checkpoints = fs::read_dir(run.join("checkpoints")).unwrap();
    assert!(checkpoints.count() > 0, "nothing was saved");

    crucible(folder.path(), &borrowed(&args("run", &[]))).expect(2);
    crucible(folder.path(), &borrowed(&args("run", &["--resume"]))).expect(0);
    crucible(folder.path(), &borrowed(&args("straight", &[]))).expect(0);

    let straight = folder.path().join("straight");
    let (resumed, uninterrupted) = (
        read_json(run.join("result.json")),
        read_json(straight.join("result.json")),
    );
    assert_eq!(resumed["steps"], STEPS);
    assert_eq!(resumed["test"], uninterrupted["test"]);
    let rows = |run: &Path| {
        let mut rows = read_json_lines(run.join("metrics.jsonl"));
        rows.retain(|row| row["name"] != "seconds");
        rows
    };
    assert_eq!(rows(&run), rows(&straight));
    let keys: BTreeSet<String> = rows(&run)
        .iter()
        .map(|row| format!("{} {} {}", row["step"], row["split"], row["name"]))
        .collect();
    assert_eq!(keys.len(), rows(&run).len());
}

#[test]
fn an_interrupted_comparison_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let args = small_training(
        "compare",
        150,
        &["--vary", "fusion=late,mid", "--seeds", "1", "--out", "out"],
    );
    let args = borrowed(&args);

    let output = interrupt(folder.path(), &args, "[2/2]").expect(130);
    assert!(
        output
            .stderr
            .contains("1 of 2 runs are finished; the same command goes on"),
        "{output:#?}"
    );
    let out = folder.path().join("out");
    assert!(out.join("late/seed-0/result.json").exists());
    assert!(!out.join("mid/seed-0/result.json").exists());
    assert_eq!(read_json(out.join("compare.json"))["unfinished"], 1);

    let output = crucible(folder.path(), &args).expect(0);
    assert!(
        output
            .stderr
            .contains("[1/2] late, seed 0: already finished"),
        "{output:#?}"
    );
    assert_eq!(read_json(out.join("compare.json"))["unfinished"], 0);
}

/// As when the terminal is closed, or `head` has seen enough.
#[test]
fn a_training_nobody_listens_to_goes_on_and_still_hears() {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let args = small_training("train", 100_000, &["--out", "run"]);
    let mut child = command(folder.path(), &borrowed(&args))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    while !line.contains("step 1/") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "ended early");
    }
    drop(lines);
    // Long enough for lines that nobody reads.
    std::thread::sleep(std::time::Duration::from_secs(7));
    assert!(child.try_wait().unwrap().is_none(), "ended early");
    let sent = Command::new("kill").arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let checkpoints = fs::read_dir(folder.path().join("run/checkpoints")).unwrap();
    assert!(checkpoints.count() > 0, "nothing was saved");
}
