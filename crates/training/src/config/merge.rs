//! Lays assignments over a preset, checking each against the schema.

use super::overlay::{Assignment, Given, Key, parse_value};
use super::schema::{Kind, Schema};
use crate::error::Names;
use crate::{Error, suggest};
use toml::{Table, Value};

/// Applies `assignments` to `table`.
///
/// # Errors
///
/// [`Error::UnknownKey`], [`Error::UnknownVariant`] or [`Error::WrongType`], each with its place.
pub fn merge(
    table: &mut Table,
    schema: Schema<'_>,
    assignments: &[Assignment],
) -> Result<(), Error> {
    // A variant decides which keys its table has, so variants are chosen before any of those keys is
    // looked at, wherever the user wrote them.
    let (choices, others): (Vec<_>, Vec<_>) = assignments
        .iter()
        .partition(|assignment| chooses(table, schema, &assignment.path));
    for assignment in choices.into_iter().chain(others) {
        let root = table.clone();
        assign(table, schema, &assignment.path, 0, &assignment.given, &root)?;
    }
    Ok(())
}

/// Whether `path` names the tag of a tagged table, or such a table itself.
fn chooses(table: &Table, schema: Schema<'_>, path: &[Key]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return schema.tag().is_some();
    };
    if rest.is_empty() && schema.tag().is_some_and(|(tag, _)| tag == first.name) {
        return true;
    }
    match (schema.property(table, &first.name), table.get(&first.name)) {
        (Some(schema), Some(Value::Table(table))) => chooses(table, schema, rest),
        _ => false,
    }
}

/// Assigns `given` at `path[depth..]` below `table`. `root` is the whole configuration, for suggestions.
fn assign(
    table: &mut Table,
    schema: Schema<'_>,
    path: &[Key],
    depth: usize,
    given: &Given,
    root: &Table,
) -> Result<(), Error> {
    let key = &path[depth];
    let place = Place { path, depth };
    let Some(property) = schema.property(table, &key.name) else {
        return Err(unknown_key(table, schema, place, root));
    };
    let last = depth + 1 == path.len();
    if let (true, Some((tag, _))) = (last, schema.tag())
        && tag == key.name
    {
        return assign_table(table, schema, place, given, root);
    }
    if property.kind() == Kind::Table {
        let slot = table
            .entry(key.name.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = slot else {
            return Err(place.wrong("a table", slot));
        };
        return match last {
            false => assign(inner, property, path, depth + 1, given, root),
            true => assign_table(inner, property, place, given, root),
        };
    }
    if !last {
        return Err(Error::Usage(format!(
            "{}: `{}` is a value and has no keys of its own",
            key.at,
            place.dotted()
        )));
    }
    let value = check(read(given, property, place)?, property, place)?;
    table.insert(key.name.clone(), value);
    Ok(())
}

/// A value for a whole table: a table of its own, or the name of a variant.
fn assign_table(
    table: &mut Table,
    schema: Schema<'_>,
    place: Place<'_>,
    given: &Given,
    root: &Table,
) -> Result<(), Error> {
    let value = match given {
        Given::Value(value) => value.clone(),
        Given::Text(text) => parse_value(text).unwrap_or_else(|| Value::String(text.clone())),
    };
    match (value, schema.tag()) {
        (Value::Table(values), _) => {
            let path = &place.path[..=place.depth];
            let inner: Vec<Assignment> = values
                .into_iter()
                .map(|(name, value)| {
                    let key = Key {
                        name,
                        at: place.key().at.clone(),
                    };
                    Assignment {
                        path: [path, &[key]].concat(),
                        given: Given::Value(value),
                    }
                })
                .collect();
            let tag = schema.tag().map(|(tag, _)| tag);
            let is_tag = |assignment: &&Assignment| {
                assignment
                    .path
                    .last()
                    .is_some_and(|key| Some(key.name.as_str()) == tag)
            };
            let (first, rest): (Vec<_>, Vec<_>) = inner.iter().partition(is_tag);
            first.into_iter().chain(rest).try_for_each(|inner| {
                assign(
                    table,
                    schema,
                    &inner.path,
                    place.depth + 1,
                    &inner.given,
                    root,
                )
            })
        }
        (Value::String(word), Some((tag, variants))) => {
            let word = one_of(word, &variants, place)?;
            choose(table, tag, Value::String(word));
            Ok(())
        }
        (value, Some((tag, variants))) => Err(place.wrong(
            &format!(
                "a table with the key `{tag}`, or one of {}",
                variants.join(", ")
            ),
            &value,
        )),
        (value, None) => Err(place.wrong("a table", &value)),
    }
}

/// Selects a variant. The keys of another variant mean nothing to it and go.
fn choose(table: &mut Table, tag: &str, variant: Value) {
    if table.get(tag) != Some(&variant) {
        table.clear();
        table.insert(tag.to_string(), variant);
    }
}

/// Reads the text of a `--set` by the type of its key.
fn read(given: &Given, schema: Schema<'_>, place: Place<'_>) -> Result<Value, Error> {
    let text = match given {
        Given::Value(value) => return Ok(value.clone()),
        Given::Text(text) => text,
    };
    Ok(match (schema.kind(), parse_value(text)) {
        // `--set data.name=5` names a data set called 5.
        (Kind::String, Some(Value::String(text))) => Value::String(text),
        (Kind::String, _) => Value::String(text.clone()),
        (_, Some(value)) => value,
        (Kind::Any, None) => Value::String(text.clone()),
        (_, None) => return Err(place.wrong(&expected(schema), &Value::String(text.clone()))),
    })
}

/// The value as the key stores it, or why the key cannot hold it.
fn check(value: Value, schema: Schema<'_>, place: Place<'_>) -> Result<Value, Error> {
    let wrong = |value: &Value| Err(place.wrong(&expected(schema), value));
    let within = |number: f64| {
        let (least, most) = schema.range();
        number.is_finite()
            && least.is_none_or(|least| number >= least)
            && most.is_none_or(|most| number <= most)
    };
    match (schema.kind(), value) {
        (Kind::String, Value::String(word)) => match schema.words() {
            words if words.is_empty() => Ok(Value::String(word)),
            words => one_of(word, &words, place).map(Value::String),
        },
        (Kind::Integer, Value::Integer(number)) if within(number as f64) => {
            Ok(Value::Integer(number))
        }
        (Kind::Number, Value::Float(number)) if within(number) => Ok(Value::Float(number)),
        (Kind::Number, Value::Integer(number)) if within(number as f64) => {
            Ok(Value::Float(number as f64))
        }
        (Kind::Boolean, Value::Boolean(flag)) => Ok(Value::Boolean(flag)),
        (Kind::Array, Value::Array(items)) => match schema.items() {
            None => Ok(Value::Array(items)),
            Some(schema) => items
                .into_iter()
                .map(|item| check(item, schema, place))
                .collect::<Result<_, _>>()
                .map(Value::Array),
        },
        // An array of tables is checked whole when the configuration is read.
        (Kind::Any | Kind::Table, value) => Ok(value),
        (_, value) => wrong(&value),
    }
}

fn one_of(word: String, words: &[&str], place: Place<'_>) -> Result<String, Error> {
    if words.contains(&word.as_str()) {
        return Ok(word);
    }
    Err(Error::UnknownVariant {
        at: place.key().at.clone(),
        key: place.dotted(),
        names: Names::near(&word, words.iter().copied()),
        value: word,
    })
}

/// What a key accepts, in words.
fn expected(schema: Schema<'_>) -> String {
    let noun = match schema.kind() {
        Kind::String => "a string",
        Kind::Integer => "an integer",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::Array => "a list",
        Kind::Table => "a table",
        Kind::Any => "a value",
    };
    match schema.range() {
        (Some(least), Some(most)) => format!("{noun} from {least} to {most}"),
        (Some(least), None) => format!("{noun} of at least {least}"),
        (None, Some(most)) => format!("{noun} of at most {most}"),
        (None, None) => noun.to_string(),
    }
}

/// The key below which nothing is known, with the nearest key beside it, or the nearest key of that
/// name anywhere (`learning_rate` for `training.learning_rate`).
fn unknown_key(table: &Table, schema: Schema<'_>, place: Place<'_>, root: &Table) -> Error {
    let valid = schema.properties(table).into_iter().map(|(name, _)| name);
    let mut names = Names::near(&place.key().name, valid);
    let parents = &place.path[..place.depth];
    names.suggestion = match names.suggestion {
        Some(found) => Some(join(
            parents
                .iter()
                .map(|key| key.name.as_str())
                .chain([found.as_str()]),
        )),
        None => anywhere(&place.path[place.path.len() - 1].name, root),
    };
    Error::UnknownKey {
        at: place.key().at.clone(),
        key: place.dotted(),
        names,
    }
}

/// The dotted key of the whole configuration whose last part is nearest to `name`.
fn anywhere(name: &str, root: &Table) -> Option<String> {
    let last = |path: &String| path.rsplit('.').next().unwrap_or_default().to_string();
    let leaves = leaves(root, "");
    let names: Vec<String> = leaves.iter().map(last).collect();
    let nearest = suggest(name, names.iter().map(String::as_str))?;
    leaves.into_iter().find(|path| last(path) == nearest)
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(".")
}

/// Every dotted key of a table that holds a value.
fn leaves(table: &Table, prefix: &str) -> Vec<String> {
    table
        .iter()
        .flat_map(|(name, value)| match value {
            Value::Table(inner) => leaves(inner, &format!("{prefix}{name}.")),
            _ => vec![format!("{prefix}{name}")],
        })
        .collect()
}

/// Where in a dotted key we are.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a [Key],
    depth: usize,
}

impl Place<'_> {
    fn key(&self) -> &Key {
        &self.path[self.depth]
    }

    fn dotted(&self) -> String {
        join(self.path[..=self.depth].iter().map(|key| key.name.as_str()))
    }

    fn wrong(&self, expected: &str, found: &Value) -> Error {
        let noun = match found {
            Value::String(_) => "the string",
            Value::Integer(_) => "the integer",
            Value::Float(_) => "the number",
            Value::Boolean(_) => "the boolean",
            Value::Datetime(_) => "the date",
            Value::Array(_) => "the list",
            Value::Table(_) => "the table",
        };
        Error::WrongType {
            at: self.key().at.clone(),
            key: self.dotted(),
            expected: expected.to_string(),
            found: format!("{noun} `{}`", found.to_string().trim_matches('"')),
        }
    }
}
