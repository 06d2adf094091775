use super::*;
use crate::fixture::{Classifier, Steps, alone, config, run};
use crate::{Run, fit};
use std::sync::Arc;

mod damage;

fn trained(steps: usize, keep: usize) -> (tempfile::TempDir, Run) {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let config = crate::TrainingConfig {
        keep_checkpoints: keep,
        ..config(steps)
    };
    let loader = || Arc::new(Steps::new(steps));
    fit(
        &run,
        &config,
        Classifier::new(&run.device),
        loader(),
        Arc::new(Steps::new(1)),
        1.0,
    )
    .unwrap();
    (folder, run)
}

fn names(run: &Run) -> Vec<String> {
    let mut names: Vec<String> = entries(&run.dir.checkpoints())
        .unwrap()
        .into_iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn the_newest_are_kept_and_nothing_else_lies_about() {
    let _turn = alone();
    assert_eq!(names(&trained(45, 2).1), ["step-00000040", "step-00000045"]);
    assert_eq!(
        names(&trained(25, 9).1),
        ["step-00000010", "step-00000020", "step-00000025"]
    );
}

#[test]
fn a_set_that_is_not_whole_is_skipped_and_named() {
    let _turn = alone();
    let (_folder, run) = trained(30, 3);
    let last = run.dir.checkpoints().join("step-00000030");
    for (break_it, says) in [
        // Each on a fresh copy of a whole set.
        (
            &(|set: &Path| fs::remove_file(set.join(OPTIMIZER)).unwrap()) as &dyn Fn(&Path),
            OPTIMIZER,
        ),
        (
            &|set: &Path| {
                fs::File::options()
                    .write(true)
                    .open(set.join(MODEL))
                    .unwrap()
                    .set_len(100)
                    .unwrap()
            },
            "100 bytes",
        ),
        (
            &|set: &Path| fs::remove_file(set.join(STATE)).unwrap(),
            STATE,
        ),
        (
            &|set: &Path| fs::write(set.join(STATE), b"{\"sta").unwrap(),
            STATE,
        ),
        (
            &|set: &Path| fs::remove_file(set.join(COMPLETE)).unwrap(),
            COMPLETE,
        ),
    ] {
        let copy = run.dir.checkpoints().join("step-00000031");
        fs::create_dir_all(&copy).unwrap();
        for file in entries(&last).unwrap() {
            fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
        assert_eq!(newest(&run.dir).unwrap().0.unwrap().path(), copy);
        break_it(&copy);
        let (set, skipped) = newest(&run.dir).unwrap();
        assert_eq!(set.unwrap().path(), last);
        assert!(
            skipped.len() == 1 && skipped[0].contains(says),
            "{skipped:?}"
        );
        fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn what_a_kill_left_unfinished_is_not_a_set_and_goes() {
    let _turn = alone();
    let (_folder, run) = trained(10, 1);
    let litter = run.dir.checkpoints().join(".step-00000020");
    fs::create_dir_all(&litter).unwrap();
    fs::write(litter.join(MODEL), b"half").unwrap();
    assert_eq!(newest(&run.dir).unwrap().0.unwrap().state.step, 10);
    clean(&run.dir).unwrap();
    assert_eq!(names(&run), ["step-00000010"]);
}

#[test]
fn weights_of_another_architecture_are_refused() {
    let _turn = alone();
    let (_folder, run) = trained(10, 1);
    let (set, _) = newest(&run.dir).unwrap();
    let other = burn::nn::LinearConfig::new(2, 2).init(&run.device);
    assert!(matches!(
        set.unwrap().load_model(other),
        Err(Error::Checkpoint { .. })
    ));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_and_no_panic() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    // A file stands where the folder should be.
    fs::write(run.dir.checkpoints(), b"").unwrap();
    let error = fit(
        &run,
        &config(10),
        Classifier::new(&run.device),
        Arc::new(Steps::new(10)),
        Arc::new(Steps::new(1)),
        1.0,
    )
    .unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
