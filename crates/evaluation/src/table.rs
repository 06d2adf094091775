//! Aligned plain text for the terminal.

/// On which side the cells of a column meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// An aligned plain-text table: a header line, a rule, one line a row, two blanks between columns.
///
/// A row that is too short is filled with empty cells, one that is too long is cut. Control characters (a
/// label could carry a line break or a terminal's escape sequence) become `?`.
pub fn text_table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = columns.iter().map(|(name, _)| printable(name)).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let cells = std::iter::once(&header)
                .chain(&rows)
                .filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &[String]| {
        let cells: Vec<String> = columns
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, ((_, align), &width))| {
                let cell = row.get(column).map_or("", String::as_str);
                match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                }
            })
            .collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    let mut text = line(&header) + &line(&rule);
    for row in &rows {
        text += &line(row);
    }
    text
}

fn printable(cell: &str) -> String {
    cell.chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let columns = [
            ("arm", Align::Left),
            ("accuracy", Align::Right),
            ("note", Align::Left),
        ];
        let rows = [
            vec!["late".to_owned(), "99.43% ± 0.10".to_owned()],
            vec![
                "cross-attention".to_owned(),
                "7.5%".to_owned(),
                "x".to_owned(),
                "too many".to_owned(),
            ],
        ];
        let expected = "\
arm                   accuracy  note
───────────────  ─────────────  ────
late             99.43% ± 0.10
cross-attention           7.5%  x
";
        assert_eq!(text_table(&columns, &rows), expected);
    }

    #[test]
    fn a_label_cannot_steer_the_terminal() {
        let text = text_table(
            &[("arm\u{1b}[2J", Align::Left)],
            &[vec!["a\nb\r\u{7}".to_owned()]],
        );
        assert_eq!(text, "arm?[2J\n───────\na?b??\n");
        assert_eq!(text_table(&[], &[vec!["x".to_owned()]]), "\n\n\n");
    }
}
