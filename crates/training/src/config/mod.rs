//! Strict layered configuration: a preset, then `--config FILE`, then `--set key.path=value`.
//!
//! What a recipe accepts is read from the JSON schema of its config struct, so a misspelt key, a value
//! of the wrong type or an unknown word fails with its place and the nearest valid name, before any
//! data is opened. Every key is always present in the resolved table; nothing is optional.

mod merge;
mod overlay;
mod print;
mod schema;

use crate::{Error, Resolved};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::Table;

/// Resolves a configuration.
///
/// `preset` makes the lowest layer. It is given the user's choices, merged but not yet checked, so that
/// its values may depend on them: `fusion = "mid"` selects the preset of that strategy (see [`choice`]).
///
/// # Errors
///
/// Every error is a matter of usage (exit code 2) and names the file and line or the `--set`.
pub fn resolve<C>(
    preset: impl FnOnce(&Table) -> C,
    file: Option<&Path>,
    sets: &[String],
) -> Result<Resolved, Error>
where
    C: Serialize + DeserializeOwned + JsonSchema,
{
    let mut assignments = file
        .map(overlay::from_file)
        .transpose()?
        .unwrap_or_default();
    for set in sets {
        assignments.push(overlay::from_set(set)?);
    }
    let root = schema_of::<C>();
    let schema = schema::Schema::new(&root);
    let mut table = to_table(&preset(&overlay::to_table(&assignments)), schema)?;
    merge::merge(&mut table, schema, &assignments)?;
    // Reading it once finds what a schema cannot say, and gives every number its final form.
    let table = to_table(&read::<C>(&table)?, schema)?;
    let commented = print::print_commented(&table, schema);
    Ok(Resolved { table, commented })
}

/// Reads a resolved table, from [`resolve`] or from the `run.json` of a finished run.
///
/// # Errors
///
/// When a key is missing or does not fit, as in a run of another version.
pub fn read<C: DeserializeOwned>(table: &Table) -> Result<C, Error> {
    table.clone().try_into().map_err(|error: toml::de::Error| {
        Error::Usage(format!(
            "the configuration does not fit this recipe: {}",
            error.to_string().trim()
        ))
    })
}

/// Prints `table`, a resolved configuration of type `C`, as TOML with the doc comment of every key.
pub fn print_commented<C: JsonSchema>(table: &Table) -> String {
    print::print_commented(table, schema::Schema::new(&schema_of::<C>()))
}

/// The variant the user chose for the table `key` whose variants are told apart by `tag`, written as
/// `key = "mid"` or as `key.tag = "mid"`; for the `preset` function of a recipe.
pub fn choice<'a>(choices: &'a Table, key: &str, tag: &str) -> Option<&'a str> {
    let value = choices.get(key)?;
    value.as_str().or_else(|| value.get(tag)?.as_str())
}

fn schema_of<C: JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(C).to_value()
}

fn to_table<C: Serialize>(config: &C, schema: schema::Schema<'_>) -> Result<Table, Error> {
    let mut table = Table::try_from(config)
        .map_err(|error| Error::Usage(format!("the preset cannot be written as TOML: {error}")))?;
    print::shorten(&mut table, schema);
    Ok(table)
}

#[cfg(test)]
mod tests;
