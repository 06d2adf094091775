//! `crucible strategies`

use crate::output;
use crucible_evaluation::table::{Align, text_table};
use crucible_fusion::STRATEGIES;
use crucible_training::Error;
use std::process::ExitCode;

/// List the fusion strategies: where vision and language meet, how, and the papers
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args, json: bool) -> Result<ExitCode, Error> {
    match json {
        true => output::print_json(&STRATEGIES)?,
        false => output::print(&text())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text() -> String {
    let columns = ["Strategy", "Meets", "What it is"].map(|name| (name, Align::Left));
    let row = |known: &crucible_fusion::Described| {
        let meets = format!("{:?}", known.family).to_lowercase();
        vec![known.name.into(), meets, known.about.into()]
    };
    let rows: Vec<Vec<String>> = STRATEGIES.iter().map(row).collect();
    let next = "`crucible train vqa --set fusion=NAME` trains one, `crucible compare vqa --vary fusion=A,B,C` compares them.";
    format!("{}\nNext: {next}\n", text_table(&columns, &rows))
}
