//! What the user asked for: assignments from a file and from `--set`, each knowing where it was written.

use crate::{Error, Origin};
use std::path::Path;
use toml::de::DeTable;
use toml::{Table, Value};

/// One step of a dotted key, and where it was written.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name between two dots.
    pub name: String,
    /// Its place.
    pub at: Origin,
}

/// What is assigned.
#[derive(Clone, Debug)]
pub enum Given {
    /// A value that is already typed, from a file.
    Value(Value),
    /// The text right of `=` in a `--set`; the type of the key decides how it is read.
    Text(String),
}

/// One assignment.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The dotted key.
    pub path: Vec<Key>,
    /// The value.
    pub given: Given,
}

/// The assignments of a `--config` file in the order of its keys.
///
/// # Errors
///
/// When the file cannot be read or is not TOML, with the line.
pub fn from_file(path: &Path) -> Result<Vec<Assignment>, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::Usage(format!(
            "cannot read the config file {}: {error}",
            path.display()
        ))
    })?;
    let at = |offset: usize| Origin::File {
        path: path.to_path_buf(),
        line: line_of(&text, offset),
    };
    let syntax = |error: toml::de::Error| Error::Syntax {
        at: at(error.span().map_or(0, |span| span.start)),
        reason: error.message().to_string(),
    };
    let values: Table = toml::from_str(&text).map_err(syntax)?;
    let places = DeTable::parse(&text).map_err(syntax)?;
    let mut assignments = Vec::new();
    walk(
        places.get_ref(),
        &values,
        &mut Vec::new(),
        &at,
        &mut assignments,
    );
    Ok(assignments)
}

/// Visits both readings of one file at once: `places` knows lines, `values` knows values.
fn walk(
    places: &DeTable<'_>,
    values: &Table,
    path: &mut Vec<Key>,
    at: &impl Fn(usize) -> Origin,
    out: &mut Vec<Assignment>,
) {
    for (key, place) in places {
        let name = key.get_ref().as_ref();
        path.push(Key {
            name: name.to_string(),
            at: at(key.span().start),
        });
        match (place.get_ref().as_table(), values.get(name)) {
            (Some(places), Some(Value::Table(values))) if !values.is_empty() => {
                walk(places, values, path, at, out)
            }
            (_, Some(value)) => out.push(Assignment {
                path: path.clone(),
                given: Given::Value(value.clone()),
            }),
            (_, None) => {}
        }
        path.pop();
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The assignment of one `--set key.path=value`.
///
/// # Errors
///
/// When there is no `=` or the key has an empty part.
pub fn from_set(text: &str) -> Result<Assignment, Error> {
    let at = Origin::Set(text.to_string());
    let (key, value) = text.split_once('=').ok_or_else(|| Error::Syntax {
        at: at.clone(),
        reason: "write it as key.path=value".to_string(),
    })?;
    let path: Vec<Key> = key
        .split('.')
        .map(|name| Key {
            name: name.trim().to_string(),
            at: at.clone(),
        })
        .collect();
    if path.iter().any(|key| key.name.is_empty()) {
        return Err(Error::Syntax {
            at,
            reason: "the key has an empty part; write it as key.path=value".to_string(),
        });
    }
    Ok(Assignment {
        path,
        given: Given::Text(value.trim().to_string()),
    })
}

/// Reads the text of a `--set` as one TOML value, or `None` when it is a bare word.
pub fn parse_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    let value = table.remove("value")?;
    table.is_empty().then_some(value)
}

/// The assignments as one unchecked table, so that a preset can depend on what was chosen.
pub fn to_table(assignments: &[Assignment]) -> Table {
    let mut root = Table::new();
    for assignment in assignments {
        let Some((last, parents)) = assignment.path.split_last() else {
            continue;
        };
        let value = match &assignment.given {
            Given::Value(value) => value.clone(),
            Given::Text(text) => parse_value(text).unwrap_or_else(|| Value::String(text.clone())),
        };
        if let Some(table) = descend(&mut root, parents) {
            table.insert(last.name.clone(), value);
        }
    }
    root
}

/// The table at `parents`; `None` when a value is in the way, which the checked merge reports later.
fn descend<'a>(root: &'a mut Table, parents: &[Key]) -> Option<&'a mut Table> {
    parents.iter().try_fold(root, |table, key| {
        table
            .entry(key.name.clone())
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
    })
}
