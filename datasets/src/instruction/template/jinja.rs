//! Jinja as `transformers` has it (`utils/chat_template_utils.py`): jinja2's sandbox with `trim_blocks`, `lstrip_blocks`,
//! loop controls, `raise_exception`, `strftime_now`, its own `tojson`, and the methods of Python's strings and dicts.

use std::io;
use std::time::SystemTime;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Utc};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// What errors name as the template's file.
pub(super) const NAME: &str = "chat";
/// How many steps a template may take; a long conversation takes some thousands.
const FUEL: u64 = 1 << 20;
/// How deep calls may go.
const DEPTH: usize = 100;
/// The longest text that a template may write, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A template, ready to be rendered.
pub(super) fn environment(source: &str, now: SystemTime) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_formatter(format);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", raise_exception);
    set_time(&mut environment, now);
    environment.add_template_owned(NAME, without_generation(source))?;
    Ok(environment)
}

/// Defines `strftime_now`.
pub(super) fn set_time(environment: &mut Environment<'static>, now: SystemTime) {
    let now = DateTime::<Utc>::from(now);
    environment.add_function("strftime_now", move |format: &str| strftime(now, format));
}

/// What the template writes.
pub(super) fn render(environment: &Environment<'static>, given: Value) -> Result<String, Error> {
    let mut text = Bounded(Vec::new());
    let template = environment.get_template(NAME)?;
    template.render_captured_to(given, &mut text)?;
    String::from_utf8(text.0)
        .map_err(|error| Error::new(ErrorKind::WriteFailure, error.to_string()))
}

/// A text that grows up to a limit.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MAX_BYTES.saturating_sub(self.0.len()) {
            return Err(io::Error::other("the text becomes too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Constants are written as Python writes them.
fn format(out: &mut Output, state: &State, value: &Value) -> Result<(), Error> {
    let python = match value.kind() {
        ValueKind::None => "None",
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        _ => return minijinja::escape_formatter(out, state, value),
    };
    out.write_str(python).map_err(Error::from)
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(
        ErrorKind::InvalidOperation,
        format!("the template refuses the conversation: {message}"),
    ))
}

fn strftime(now: DateTime<Utc>, format: &str) -> Result<String, Error> {
    let items: Vec<Item> = StrftimeItems::new(format).collect();
    // Formatting panics at what it does not know.
    if items.contains(&Item::Error) {
        let reason = format!("strftime_now does not know the format {format:?}");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    Ok(now.format_with_items(items.into_iter()).to_string())
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`, without any escaping for HTML.
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // These are `transformers`' own; their default is all that templates use.
    let _: Option<Value> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let json = match indent {
        None => serialized(value, Spaced),
        Some(width) if width <= DEPTH => {
            let indentation = " ".repeat(width);
            serialized(value, PrettyFormatter::with_indent(indentation.as_bytes()))
        }
        Some(_) => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "too wide an indent",
            ));
        }
    };
    json.map(Value::from)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

fn serialized(value: &Value, formatter: impl Formatter) -> Result<String, serde_json::Error> {
    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, formatter))?;
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}

/// A space after commas and colons.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        match first {
            true => Ok(()),
            false => writer.write_all(b", "),
        }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The source with `{% generation %}` ... `{% endgeneration %}`, which mark an answer for `transformers` and write nothing,
/// as blocks that are always true.
fn without_generation(source: &str) -> String {
    let mut plain = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, tag)) = rest.split_once("{%") {
        plain.push_str(before);
        plain.push_str("{%");
        let Some((inner, after)) = tag.split_once("%}") else {
            rest = tag;
            continue;
        };
        let name = inner.trim_matches(['-', '+']).trim();
        match name {
            "generation" => plain.push_str(&inner.replace(name, " if true ")),
            "endgeneration" => plain.push_str(&inner.replace(name, " endif ")),
            _ => plain.push_str(inner),
        }
        plain.push_str("%}");
        rest = after;
    }
    plain.push_str(rest);
    plain
}
