//! Ctrl-C and SIGTERM: the first asks the run to save and stop, the second leaves at once.

use crate::Error;
use crate::tell;
use burn::train::Interrupter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Exit code of an interrupted process (128 + SIGINT), and of [`Error::Interrupted`].
pub const INTERRUPTED: i32 = 130;

/// Installs the handler. The training loop looks at `interrupter` after every step.
///
/// # Errors
///
/// When this process already has a handler, or the system refuses one.
pub fn install(interrupter: Interrupter) -> Result<(), Error> {
    let asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        interrupter.stop(Some("interrupted"));
        tell!("stopping after this step; once more to leave at once");
    })
    .map_err(handler)
}

/// Something that Ctrl-C ends while it is under way, and the process otherwise.
#[derive(Clone, Debug, Default)]
pub struct Work(Arc<AtomicU8>);

const IDLE: u8 = 0;
const UNDER_WAY: u8 = 1;
const STOPPED: u8 = 2;

impl Work {
    /// Installs the handler.
    ///
    /// # Errors
    ///
    /// As [`install`].
    pub fn new() -> Result<Self, Error> {
        let work = Self::default();
        let state = work.0.clone();
        ctrlc::set_handler(move || {
            let stop =
                state.compare_exchange(UNDER_WAY, STOPPED, Ordering::SeqCst, Ordering::SeqCst);
            if stop.is_err() {
                std::process::exit(INTERRUPTED);
            }
        })
        .map_err(handler)?;
        Ok(work)
    }

    /// It is under way from now on.
    pub fn start(&self) {
        self.0.store(UNDER_WAY, Ordering::SeqCst);
    }

    /// It no longer is.
    pub fn end(&self) {
        self.0.store(IDLE, Ordering::SeqCst);
    }

    /// Whether it should stop.
    pub fn should_stop(&self) -> bool {
        self.0.load(Ordering::SeqCst) == STOPPED
    }
}

fn handler(error: ctrlc::Error) -> Error {
    Error::Backend(format!("cannot handle Ctrl-C: {error}"))
}
