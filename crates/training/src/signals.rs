//! Ctrl-C and SIGTERM: the first asks the run to save and stop, the second leaves at once.

use crate::Error;
use crate::tell;
use burn::train::Interrupter;
use std::sync::atomic::{AtomicBool, Ordering};

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
    .map_err(|error| Error::Backend(format!("cannot handle Ctrl-C: {error}")))
}
