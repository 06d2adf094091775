//! The page around a report: document, style, escaping, pictures as data.

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
/// is not shown. `title` is text; `body` is HTML.
pub(super) fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    let style = include_str!("style.css");
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
{style}</style>
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

/// The head of a page: title, subtitle, and facts as a list of terms.
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

/// Facts as a list of terms; nothing if there are none.
pub(super) fn facts(facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let fact = |(label, value): &(String, String)| {
        format!(
            "<div><dt>{}</dt><dd>{}</dd></div>\n",
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

/// A table that scrolls sideways within itself where the window is too narrow. `header` and `rows` are text
/// for the first column and HTML for the others; the caption is HTML.
pub(super) fn table(caption: &str, header: &[&str], rows: &[(String, Vec<String>)]) -> String {
    let head: String = header
        .iter()
        .map(|name| format!("<th scope=\"col\">{}</th>", escape(name)))
        .collect();
    let body: String = rows
        .iter()
        .map(|(name, cells)| {
            let cells: String = cells
                .iter()
                .map(|cell| format!("<td>{cell}</td>"))
                .collect();
            format!("<tr><th scope=\"row\">{name}</th>{cells}</tr>\n")
        })
        .collect();
    format!(
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{label}\"><table>\n<caption>{caption}</caption>\n\
         <thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n",
        label = escape(header.first().unwrap_or(&"table")),
    )
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
        assert_eq!(
            escape("a\0b\u{202e}c\u{1b}\n\té"),
            "a\u{fffd}b\u{fffd}c\u{fffd}\n\té"
        );
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
