//! Options that several commands share.

use crate::RECIPES;
use crucible_training::{AnyRecipe, Error, Resolved, recipe};
use std::path::PathBuf;
use toml::Table;

/// Which recipe, and with which configuration.
#[derive(clap::Args)]
pub struct Choice {
    /// Recipe; `crucible recipes` lists them
    pub recipe: String,

    /// Preset that the configuration starts from
    #[arg(long, value_name = "NAME", default_value = "quick")]
    pub preset: String,

    /// TOML file laid over the preset
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Set one key, after the file; repeat it for more
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl Choice {
    /// The recipe.
    ///
    /// # Errors
    ///
    /// An unknown recipe, with the nearest.
    pub fn recipe(&self) -> Result<&'static dyn AnyRecipe, Error> {
        recipe::find(RECIPES, &self.recipe)
    }

    /// The configuration, with `more` assignments after those of the user.
    ///
    /// # Errors
    ///
    /// An unknown preset or key, or a value that does not fit.
    pub fn resolve(&self, more: &[String]) -> Result<Resolved, Error> {
        let mut sets: Vec<String> = Vec::new();
        for set in self.set.iter().chain(more) {
            // The last of several values counts; a strategy would clash with the keys of another.
            let key = |set: &str| set.split('=').next().map(|key| key.trim().to_owned());
            sets.retain(|earlier| key(earlier) != key(set));
            sets.push(set.clone());
        }
        self.recipe()?
            .resolve(&self.preset, self.config.as_deref(), &sets)
    }
}

/// What it runs on.
#[derive(clap::Args)]
pub struct Place {
    /// Dataset of the catalogue, or a file or folder; replaces the one of the configuration
    #[arg(
        long,
        value_name = "NAME|PATH",
        default_value = "",
        hide_default_value = true
    )]
    pub data: String,

    /// Backend, with the number of a device where there are several: flex, cuda, cuda:1;
    /// `crucible backends` lists them
    #[arg(long, value_name = "NAME[:N]", default_value = crate::devices::DEFAULT)]
    pub backend: String,
}

impl Place {
    /// Makes sure that the data exists, so that a misspelt name costs nothing.
    ///
    /// # Errors
    ///
    /// An unknown dataset, with the nearest.
    pub fn check_data(&self, config: &Table) -> Result<(), Error> {
        crucible_datasets::kind(data_name(config, &self.data))
            .map(drop)
            .map_err(Error::data)
    }
}

/// The dataset of a run: the one of `--data`, else the key `data` of the configuration.
pub fn data_name<'a>(config: &'a Table, data: &'a str) -> &'a str {
    match data {
        "" => config
            .get("data")
            .and_then(toml::Value::as_str)
            .unwrap_or_default(),
        _ => data,
    }
}

/// The fusion strategy or the backbone, whichever the configuration has.
pub fn strategy(config: &Table) -> Option<&str> {
    config.values().find_map(|value| {
        value
            .get("strategy")
            .or(value.get("architecture"))?
            .as_str()
    })
}
