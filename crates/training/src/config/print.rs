//! A resolved configuration as TOML that explains itself.

use super::schema::Schema;
use toml::{Table, Value};

/// Prints `table` with the doc comment of every key above it, keys in the order of their declaration.
///
/// The text parses back to the same table: it is what `crucible config RECIPE > my.toml` saves.
pub fn print_commented(table: &Table, schema: Schema<'_>) -> String {
    let mut out = String::new();
    section(table, schema, "", &mut out);
    out
}

fn section(table: &Table, schema: Schema<'_>, prefix: &str, out: &mut String) {
    let properties: Vec<_> = schema
        .properties(table)
        .into_iter()
        .filter_map(|(name, schema)| Some((name, schema, table.get(name)?)))
        .collect();
    // In TOML every key after a `[header]` belongs to it, so the plain keys of a table come first.
    for (name, schema, value) in &properties {
        if !value.is_table() {
            comment(*schema, out);
            out.push_str(&format!("{name} = {value}\n"));
        }
    }
    for (name, schema, value) in &properties {
        if let Value::Table(inner) = value {
            out.push('\n');
            comment(*schema, out);
            out.push_str(&format!("[{prefix}{name}]\n"));
            section(inner, *schema, &format!("{prefix}{name}."), out);
        }
    }
}

fn comment(schema: Schema<'_>, out: &mut String) {
    for line in schema.description().unwrap_or_default().lines() {
        out.push_str(format!("# {line}").trim_end());
        out.push('\n');
    }
    let words = match schema.tag() {
        Some((_, variants)) => variants,
        None => schema.words(),
    };
    if words.len() > 1 {
        out.push_str(&format!("# One of: {}.\n", words.join(", ")));
    }
}

/// The number with as many digits as its key can hold: 0.1 in single precision, not
/// 0.10000000149011612; 15 digits in double precision, which any text format gives back exactly.
fn tidy(number: f64, schema: Schema<'_>) -> f64 {
    let text = match schema.is_single_precision() {
        true => (number as f32).to_string(),
        false => format!("{number:.14e}"),
    };
    text.parse().unwrap_or(number)
}

/// Gives every number as many digits as its key can hold.
pub fn shorten(table: &mut Table, schema: Schema<'_>) {
    let known = schema
        .properties(table)
        .into_iter()
        .map(|(name, schema)| (name.to_string(), schema))
        .collect::<Vec<_>>();
    for (name, schema) in known {
        match table.get_mut(&name) {
            Some(Value::Table(inner)) => shorten(inner, schema),
            Some(Value::Float(number)) => *number = tidy(*number, schema),
            Some(Value::Array(items)) => {
                let Some(schema) = schema.items() else {
                    continue;
                };
                for item in items {
                    if let Value::Float(number) = item {
                        *number = tidy(*number, schema);
                    }
                }
            }
            _ => {}
        }
    }
}
