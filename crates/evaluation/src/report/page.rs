//! The page around a report: document, style, escaping, pictures as data.

use crate::table::Align;

/// Makes any text safe between tags and within quoted attributes. Control characters, which HTML forbids,
/// and direction overrides, which could make a label read as something else, become `�`.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(letter),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            _ if letter.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// At most `most` letters, an ellipsis for what is cut.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// Text for a terminal, which control characters could steer and direction overrides turn around.
pub(super) fn printable(text: &str) -> String {
    let harmless = |letter: char| match letter {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '?',
        _ if letter.is_control() => '?',
        _ => letter,
    };
    text.chars().map(harmless).collect()
}

/// Standard base64 with padding (RFC 4648).
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() {
                letter as char
            } else {
                '='
            });
        }
    }
    text
}

/// A whole document. The policy in its head forbids every request and every script: what is not in the file
/// is not shown. `title` is text; `style` is what the page needs beyond the common style; `body` is HTML.
pub(super) fn document(title: &str, style: &str, body: &str) -> String {
    let title = escape(title);
    let common = include_str!("style.css");
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{common}{style}</style>
</head>
<body>
<main>
{body}</main>
<footer>Written by Crucible {version}. This file is complete: it loads nothing and runs no script.</footer>
</body>
</html>
"#
    )
}

/// The head of a page: what it is, title, subtitle.
pub(super) fn header(kind: &str, title: &str, subtitle: &str) -> String {
    let mut html = format!(
        "<header>\n<p class=\"kind\">{}</p>\n<h1>{}</h1>\n",
        escape(kind),
        escape(title)
    );
    if !subtitle.is_empty() {
        html += &format!("<p class=\"subtitle\">{}</p>\n", escape(subtitle));
    }
    html + "</header>\n"
}

/// Facts as a list of terms, a long one on a line of its own; nothing if there are none.
pub(super) fn facts(facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let fact = |(label, value): &(String, String)| {
        let class = if value.chars().count() > 36 {
            " class=\"long\""
        } else {
            ""
        };
        format!(
            "<div{class}><dt>{}</dt><dd>{}</dd></div>
",
            escape(label),
            escape(value)
        )
    };
    format!(
        "<dl class=\"facts\">\n{}</dl>\n",
        facts.iter().map(fact).collect::<String>()
    )
}

/// A section with a heading; nothing if its content is empty.
pub(super) fn section(heading: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!(
        "<section>\n<h2>{}</h2>\n{content}</section>\n",
        escape(heading)
    )
}

/// A table that scrolls sideways within itself where the window is too narrow.
/// The names of the columns and the note are text, the cells are HTML; the first cell of a row is its header.
pub(super) fn table(
    label: &str,
    note: &str,
    columns: &[(&str, Align)],
    rows: &[Vec<String>],
) -> String {
    let class = |align: Align| {
        if align == Align::Left {
            " class=\"words\""
        } else {
            ""
        }
    };
    let head: String = columns
        .iter()
        .map(|(name, align)| format!("<th scope=\"col\"{}>{}</th>", class(*align), escape(name)))
        .collect();
    let row = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(columns)
            .enumerate()
            .map(|(index, (cell, (_, align)))| match index {
                0 => format!("<th scope=\"row\">{cell}</th>"),
                _ => format!("<td{}>{cell}</td>", class(*align)),
            });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let body: String = rows.iter().map(row).collect();
    format!(
        "<figure class=\"table\">\n<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{}\"><table>\n\
         <thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n{}</figure>\n",
        escape(label),
        caption(note),
    )
}

/// What the reader must know to read a figure; nothing if there is nothing.
pub(super) fn caption(note: &str) -> String {
    if note.is_empty() {
        return String::new();
    }
    format!("<figcaption>{}</figcaption>\n", escape(note))
}

/// The resolved configuration, folded away.
pub(super) fn config(toml: &str) -> String {
    if toml.is_empty() {
        return String::new();
    }
    format!(
        "<details>\n<summary>Configuration</summary>\n<pre><code>{}</code></pre>\n</details>\n",
        escape(toml)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(
            escape("<a href=\"x\" id='y'>&"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;"
        );
        assert_eq!(printable("a\0b\u{202e}c\u{1b}\né"), "a?b?c??é");
        assert_eq!(
            escape("a\0b\u{202e}c\u{1b}\n\té"),
            "a\u{fffd}b\u{fffd}c\u{fffd}\n\té"
        );
    }

    #[test]
    fn long_text_is_cut_by_letters_and_not_by_bytes() {
        assert_eq!(shortened("größer", 6), "größer");
        assert_eq!(shortened("größere", 6), "größe…");
        assert_eq!(shortened("ab", 0), "…");
    }

    #[test]
    fn base64_agrees_with_the_rfc() {
        let rfc = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (length, expected) in rfc.into_iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), expected);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd, 0x00]), "//79AA==");
    }
}
