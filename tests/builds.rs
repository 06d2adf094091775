//! `cargo run` and `cargo test --workspace` share what they compile: whoever does one and then the other
//! waits for a new crate or two, not for Burn again.

use std::collections::BTreeSet;
use std::process::Command;

/// Every crate of a build with its version and features, as cargo resolves them for `what`.
fn crates(what: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--prefix=none",
            "--format={p} {f}",
        ])
        .args(what)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines()
        .map(|line| line.trim_end_matches(" (*)").to_string())
        .collect()
}

#[test]
fn the_tests_add_crates_and_change_none() {
    let run = crates(&["--edges=normal,build"]);
    let test = crates(&["--workspace", "--edges=normal,build,dev"]);
    assert!(
        run.iter().any(|line| line.starts_with("burn-flex ")),
        "{run:#?}"
    );
    let twice: Vec<&String> = run.difference(&test).collect();
    assert!(
        twice.is_empty(),
        "a dev-dependency changes the features of {twice:#?}"
    );
}
