//! What happens to a step whose numbers are no longer numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The answer to a loss or gradient that is not finite. Whatever it is, the weights never see it; the running
/// statistics of batch normalisation do, and so `Skip` is refused for models that have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NonFinite {
    /// Training ends with an error.
    Stop,
    /// The step changes nothing, and training goes on with the next one.
    Skip,
    /// Training goes on with the next step from the weights of the newest checkpoint, so that the
    /// batches since then are left out (Chowdhery et al. 2022, PaLM, section 5.1).
    RollBack,
}
