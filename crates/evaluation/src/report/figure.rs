//! What a recipe has to show beside numbers.

use serde::{Deserialize, Serialize};

use super::number;
use super::page::{base64, escape, table};
use crate::table::Align;

/// A PNG file, as text that a page can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Png(String);

impl Png {
    /// Of the bytes of the file.
    pub fn new(bytes: &[u8]) -> Self {
        Self(base64(bytes))
    }

    fn html(&self, alt: &str) -> String {
        let alt = escape(alt);
        format!(
            "<img src=\"data:image/png;base64,{}\" alt=\"{alt}\">",
            self.0
        )
    }
}

/// Pictures or numbers with a heading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Pictures side by side, such as an image, what a model saw of it and what it made of that.
    Pictures {
        /// The heading.
        title: String,
        /// What the reader must know.
        note: String,
        /// What the pictures of a column are.
        columns: Vec<String>,
        /// A picture for each column.
        rows: Vec<Vec<Png>>,
    },
    /// How alike pictures and texts are: the darker, the more.
    Similarities {
        /// The heading.
        title: String,
        /// What the reader must know.
        note: String,
        /// One a row.
        pictures: Vec<Png>,
        /// One a column.
        texts: Vec<String>,
        /// By picture, then text.
        values: Vec<Vec<f64>>,
    },
}

impl Figure {
    /// The heading.
    pub fn title(&self) -> &str {
        match self {
            Self::Pictures { title, .. } | Self::Similarities { title, .. } => title,
        }
    }

    pub(super) fn html(&self) -> String {
        match self {
            Self::Pictures {
                title,
                note,
                columns,
                rows,
            } => {
                let names: Vec<(&str, Align)> = columns
                    .iter()
                    .map(|name| (name.as_str(), Align::Left))
                    .collect();
                let row = |row: &Vec<Png>| {
                    let pictures = row.iter().zip(columns);
                    pictures.map(|(png, name)| png.html(name)).collect()
                };
                let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
                pictured(&table(title, note, &names, &rows))
            }
            Self::Similarities {
                title,
                note,
                pictures,
                texts,
                values,
            } => {
                let mut names = vec![("", Align::Left)];
                names.extend(texts.iter().map(|text| (text.as_str(), Align::Right)));
                let shade = Shade::of(values);
                let rows = pictures.iter().zip(values).enumerate();
                let rows: Vec<Vec<String>> = rows
                    .map(|(number, (picture, values))| {
                        let mut row = vec![picture.html(&format!("picture {}", number + 1))];
                        row.extend(values.iter().map(|value| shade.html(*value)));
                        row
                    })
                    .collect();
                pictured(&table(title, note, &names, &rows))
            }
        }
    }
}

fn pictured(table: &str) -> String {
    format!("<div class=\"pictures\">\n{table}</div>\n")
}

/// From the least to the greatest of some values.
struct Shade {
    least: f64,
    range: f64,
}

impl Shade {
    fn of(values: &[Vec<f64>]) -> Self {
        let values = || {
            values
                .iter()
                .flatten()
                .copied()
                .filter(|value| value.is_finite())
        };
        let least = values().fold(f64::INFINITY, f64::min);
        let most = values().fold(f64::NEG_INFINITY, f64::max);
        let range = (most - least).max(f64::MIN_POSITIVE);
        Self { least, range }
    }

    fn html(&self, value: f64) -> String {
        let share = (value - self.least) / self.range;
        let share = if share.is_finite() {
            100.0 * share
        } else {
            0.0
        };
        format!(
            "<span class=\"shade\" style=\"--share:{share:.0}%\">{}</span>",
            number::number(value)
        )
    }
}
