//! Tests of the whole, one target: this is its contents page.

mod arrows; // who imports whom, who names a backend
mod backends; // the same numbers on every backend that is compiled in
mod bad_data; // broken data is named, and nothing panics
mod builds; // `cargo run` and `cargo test` share what they compile
mod cli; // every command, through the binary
mod comparison; // arms and seeds
mod fairness; // equal starts, budgets and tuning; rows that can be had again
mod flops; // what is counted, and what a hand counts
mod fusion; // every strategy against PyTorch
mod instruction; // models that answer, and data that would spoil them
#[cfg(unix)]
mod interruption; // Ctrl-C saves, and what goes on later ends the same
#[cfg(unix)]
mod kills; // SIGKILL changes nothing, and a directory has one process
mod known_answers; // tasks whose best score is computed
mod memory; // what a training takes is known before it starts
mod names; // a misspelt name costs nothing
mod objectives; // losses against PyTorch, large batches in chunks
mod parity; // the models against PyTorch
mod pretraining; // what the objectives learn
mod prompting; // prompts in front of frozen models
mod prompting_fused; // prompts and instructions in front of a frozen vqa model
mod prompting_text; // prompts in front of a frozen language model
mod published; // published weights that answer and are tuned
mod support; // what several of them need
mod transfer; // what another run starts with
mod weight_decay; // which parameters of the real models decay
