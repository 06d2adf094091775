//! `crucible recipes`

use crate::{RECIPES, output};
use crucible_evaluation::table::{Align, text_table};
use crucible_training::{Error, Preset};
use serde::Serialize;
use std::process::ExitCode;

/// List the recipes: what each does, its presets, the time and score to expect
#[derive(clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    about: &'static str,
    presets: &'static [Preset],
}

pub fn run(_: &Args, json: bool) -> Result<ExitCode, Error> {
    let recipes: Vec<Listed> = RECIPES
        .iter()
        .map(|recipe| Listed {
            name: recipe.name(),
            about: recipe.about(),
            presets: recipe.presets(),
        })
        .collect();
    match json {
        true => output::print_json(&recipes)?,
        false => output::print(&text(&recipes))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(recipes: &[Listed]) -> String {
    let columns = ["  Preset", "What it is", "Time", "Score"].map(|name| (name, Align::Left));
    let mut text = String::new();
    for recipe in recipes {
        let rows: Vec<Vec<String>> = recipe
            .presets
            .iter()
            .map(|preset| {
                let name = format!("  {}", preset.name);
                vec![
                    name,
                    preset.about.into(),
                    preset.time.into(),
                    preset.score.into(),
                ]
            })
            .collect();
        text += &format!("{}: {}\n", recipe.name, recipe.about);
        text += &text_table(&columns, &rows);
        text.push('\n');
    }
    text + "Next: `crucible config RECIPE` shows what can be set, `crucible train RECIPE` trains.\n"
}
