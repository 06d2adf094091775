//! Sets that were torn while they were written, or damaged afterwards.

use super::*;
use crate::seeds::derive;
use std::cell::{Cell, RefCell};
use std::io;

/// A disk that dies at its n-th call. What was not synced by then is lost in part: files keep their first
/// half, renamed folders get their old names back.
struct Dying {
    left: Cell<usize>,
    /// What the power cut takes with it; without a power cut, nothing.
    unsynced: Option<RefCell<Vec<Change>>>,
}

enum Change {
    Written(PathBuf),
    Renamed(PathBuf, PathBuf),
}

impl Dying {
    fn at(call: usize, power_cut: bool) -> Self {
        Self {
            left: Cell::new(call),
            unsynced: power_cut.then(RefCell::default),
        }
    }

    fn call(&self) -> io::Result<()> {
        match self.left.get() {
            0 => Err(io::Error::other("the disk died")),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }

    fn note(&self, change: Change) {
        if let Some(unsynced) = &self.unsynced {
            unsynced.borrow_mut().push(change);
        }
    }

    fn lose(self) {
        let unsynced = self.unsynced.map(RefCell::into_inner).unwrap_or_default();
        for change in unsynced.into_iter().rev() {
            match change {
                Change::Written(path) => {
                    // It may have been removed or renamed since.
                    if let Ok(content) = fs::read(&path) {
                        fs::write(&path, &content[..content.len() / 2]).unwrap();
                    }
                }
                Change::Renamed(from, to) => {
                    if to.exists() && !from.exists() {
                        fs::rename(to, from).unwrap();
                    }
                }
            }
        }
    }
}

impl Storage for Dying {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        Disk.create_dir(path)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        // A write that fails has written a part.
        if let Err(error) = self.call() {
            Disk.write(path, &content[..content.len() / 3])?;
            return Err(error);
        }
        self.note(Change::Written(path.to_path_buf()));
        Disk.write(path, content)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        if let Some(unsynced) = &self.unsynced {
            unsynced.borrow_mut().retain(|change| match change {
                Change::Written(file) => file != path,
                Change::Renamed(_, to) => to.parent() != Some(path),
            });
        }
        Disk.sync(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        self.note(Change::Renamed(from.to_path_buf(), to.to_path_buf()));
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        Disk.remove(path)
    }
}

/// The contents of the newest set of a training of 10 and of 20 steps, and their states.
fn two() -> [(State, Contents); 2] {
    [10, 20].map(|steps| {
        let (_folder, run) = trained(steps, 1);
        let set = newest(&run.dir).unwrap().0.unwrap();
        (set.state, set.contents)
    })
}

/// After every call of a save, with and without a power cut: the old set or the new one, whole.
#[test]
fn a_torn_save_leaves_the_old_set_or_the_new_one() {
    let _turn = alone();
    let [(old_state, old), (new_state, new)] = two();
    for (power_cut, replaces) in [(false, false), (true, false), (false, true), (true, true)] {
        let (mut outcomes, mut done) = ([0, 0], false);
        for call in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let dir = RunDir::new(folder.path());
            if !replaces {
                save(&dir, &Disk, old_state.clone(), &old).unwrap();
            } else {
                // A set of the same step that says something else.
                let other = State {
                    looked: 7,
                    ..new_state.clone()
                };
                save(&dir, &Disk, other, &new).unwrap();
            }
            let dying = Dying::at(call, power_cut);
            let result = save(&dir, &dying, new_state.clone(), &new)
                .and_then(|()| retain(&dir, &dying, 1, &[]));
            done = result.is_ok();
            if let Err(error) = &result
                && !error.to_string().contains("the disk died")
            {
                panic!("{error}");
            }
            dying.lose();
            clean(&dir).unwrap();
            let (set, skipped) = newest(&dir).unwrap();
            let set = set.unwrap_or_else(|| panic!("call {call}: nothing is left: {skipped:?}"));
            assert_eq!(skipped, [""; 0], "call {call}: half a set looks like one");
            match set.state.step {
                10 => assert_eq!(set.contents, old, "call {call}"),
                _ => assert_eq!(set.contents, new, "call {call}"),
            }
            outcomes[usize::from(set.state == new_state)] += 1;
            assert!(names_in(&dir).iter().all(|name| name.starts_with(PREFIX)));
            if done {
                break;
            }
        }
        // Some twenty calls; the new set is there from the last few on.
        let [before, after] = outcomes;
        assert!(done && before >= 14 && after >= 2, "{outcomes:?}");
    }
}

fn names_in(dir: &RunDir) -> Vec<String> {
    let entries = entries(&dir.checkpoints()).unwrap().into_iter();
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
    entries.map(name).collect()
}

/// The folder of a run with two sets, and the path of the newer one.
fn two_on_disk() -> (tempfile::TempDir, RunDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = RunDir::new(folder.path());
    for (state, contents) in two() {
        save(&dir, &Disk, state, &contents).unwrap();
    }
    let newer = newest(&dir).unwrap().0.unwrap().path;
    (folder, dir, newer)
}

#[test]
fn a_set_cut_short_at_any_byte_is_passed_over() {
    let _turn = alone();
    let (_folder, dir, newer) = two_on_disk();
    for file in entries(&newer).unwrap() {
        let whole = fs::read(&file).unwrap();
        for part in 0..64u64 {
            let length = derive(1, part, 0) as usize % whole.len();
            fs::write(&file, &whole[..length]).unwrap();
            let (set, skipped) = newest(&dir).unwrap();
            assert_eq!(
                set.unwrap().state.step,
                10,
                "{} at {length}",
                file.display()
            );
            assert_eq!(skipped.len(), 1);
        }
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(newest(&dir).unwrap().0.unwrap().state.step, 20);
}

/// 2,000 flipped bits, each found and named; tensors by their name.
#[test]
fn every_flipped_bit_is_found() {
    let _turn = alone();
    let (_folder, dir, newer) = two_on_disk();
    let files = entries(&newer).unwrap();
    let contents: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let total: usize = contents.iter().map(Vec::len).sum();
    let mut in_tensors = 0;
    for flip in 0..2000u64 {
        let mut byte = derive(2, flip, 0) as usize % total;
        let index = contents.iter().position(|content| {
            let inside = byte < content.len();
            byte -= if inside { 0 } else { content.len() };
            inside
        });
        let index = index.unwrap();
        let mut damaged = contents[index].clone();
        damaged[byte] ^= 1 << (derive(2, flip, 1) % 8);
        fs::write(&files[index], &damaged).unwrap();
        let (set, skipped) = newest(&dir).unwrap();
        assert_eq!(
            set.unwrap().state.step,
            10,
            "{} {byte}",
            files[index].display()
        );
        let name = files[index].file_name().unwrap().to_str().unwrap();
        let says = if name == COMPLETE { STATE } else { name };
        assert!(
            skipped.len() == 1 && skipped[0].contains(says),
            "{skipped:?}"
        );
        in_tensors += usize::from(skipped[0].contains("tensor `"));
        fs::write(&files[index], &contents[index]).unwrap();
    }
    assert!(in_tensors > 100, "{in_tensors}");
}

#[test]
fn a_damaged_tensor_is_named() {
    let _turn = alone();
    let (_folder, dir, newer) = two_on_disk();
    let path = newer.join(MODEL);
    let set = CheckpointSet::open(&newer).unwrap();
    let model = set
        .load_model(Classifier::new(&burn::tensor::Device::flex()))
        .unwrap();
    let weight: Vec<f32> = model.head.weight.val().into_data().try_to_vec().unwrap();
    let bytes: Vec<u8> = weight
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let mut content = fs::read(&path).unwrap();
    let place = content
        .windows(bytes.len())
        .position(|window| window == bytes);
    content[place.unwrap()] ^= 1;
    fs::write(&path, content).unwrap();
    let (_, skipped) = newest(&dir).unwrap();
    let says = "step-00000020: model.bpk: tensor `head.weight` is damaged";
    assert!(skipped[0].contains(says), "{skipped:?}");
}

#[test]
fn when_all_is_damaged_nothing_is_started_over() {
    let _turn = alone();
    let (_folder, run_) = trained(10, 1);
    let path = run_.dir.checkpoints().join("step-00000010").join(MODEL);
    fs::write(&path, b"nothing").unwrap();
    let resumed = run(run_.dir.path(), true);
    let error = fit(
        &resumed,
        &config(10),
        Classifier::new(&resumed.device),
        Arc::new(Steps::new(10)),
        Arc::new(Steps::new(1)),
        1.0,
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("every checkpoint is damaged"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"nothing");
}

/// Were it still counted as the newest, the set that is saved next would be the one that goes.
#[test]
fn a_damaged_set_takes_no_place_of_a_whole_one() {
    let _turn = alone();
    let (_folder, run_) = trained(20, 2);
    let damaged = run_.dir.checkpoints().join("step-00000020").join(MODEL);
    fs::write(&damaged, b"nothing").unwrap();
    let resumed = run(run_.dir.path(), true);
    let train = Steps {
        stop: Some((12, resumed.interrupter.clone())),
        ..Steps::new(20)
    };
    let config = crate::TrainingConfig {
        keep_checkpoints: 1,
        ..config(20)
    };
    let (model, valid) = (Classifier::new(&resumed.device), Arc::new(Steps::new(1)));
    let error = fit(&resumed, &config, model, Arc::new(train), valid, 1.0);
    assert!(matches!(error, Err(Error::Interrupted { step: 13, .. })));
    let (set, skipped) = newest(&run_.dir).unwrap();
    assert_eq!(set.unwrap().state.step, 13);
    assert!(skipped.is_empty());
    let aside = run_.dir.checkpoints().join("damaged-step-00000020");
    assert_eq!(fs::read(aside.join(MODEL)).unwrap(), b"nothing");
}

#[test]
fn a_damaged_best_set_is_no_longer_among_the_best() {
    let _turn = alone();
    let config = crate::TrainingConfig {
        keep_best: 1,
        learning_rate: 0.0,
        min_learning_rate: 0.0,
        ..config(30)
    };
    let folder = tempfile::tempdir().unwrap();
    let go = |resume, stop: Option<usize>| {
        let run = run(folder.path(), resume);
        let train = Steps {
            stop: stop.map(|step| (step, run.interrupter.clone())),
            ..Steps::new(30)
        };
        let (model, valid) = (Classifier::new(&run.device), Arc::new(Steps::new(1)));
        fit(&run, &config, model, Arc::new(train), valid, 1.0)
    };
    go(false, Some(22)).unwrap_err();
    // Nothing is learnt, so the first is the best.
    let best = folder.path().join("checkpoints/step-00000010").join(MODEL);
    fs::write(&best, b"nothing").unwrap();
    go(true, None).unwrap();
    let log = fs::read_to_string(folder.path().join("run.log")).unwrap();
    assert!(log.contains("step-00000010"), "{log}");
    assert!(log.contains("it was among the best"), "{log}");
}
