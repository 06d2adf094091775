//! Arms in order, with those that cannot be told apart in common groups.

/// The compact letter display of `count` arms: two arms share a group unless `differ` says they differ. Insert and
/// absorb of Piepho 2004, <https://doi.org/10.1198/1061860043515>.
///
/// Returns the groups of each arm, numbered so that the first arms have the first ones.
pub fn letter_groups(count: usize, differ: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut columns = vec![vec![true; count]];
    for a in 0..count {
        for b in a + 1..count {
            if differ(a, b) {
                columns = absorbed(inserted(columns, a, b));
            }
        }
    }
    columns.sort_by(|left, right| right.cmp(left));
    (0..count)
        .map(|arm| {
            (0..columns.len())
                .filter(|&column| columns[column][arm])
                .collect()
        })
        .collect()
}

/// A column with both of two arms that differ becomes two, each without one of them.
fn inserted(columns: Vec<Vec<bool>>, a: usize, b: usize) -> Vec<Vec<bool>> {
    let mut split = Vec::with_capacity(columns.len() + 1);
    for mut column in columns {
        if column[a] && column[b] {
            let mut other = column.clone();
            other[a] = false;
            split.push(other);
            column[b] = false;
        }
        split.push(column);
    }
    split
}

/// A column all of whose arms another column has too says nothing.
fn absorbed(columns: Vec<Vec<bool>>) -> Vec<Vec<bool>> {
    let within = |small: &[bool], large: &[bool]| small.iter().zip(large).all(|(s, l)| s <= l);
    let mut kept: Vec<Vec<bool>> = Vec::with_capacity(columns.len());
    for column in columns {
        if !kept.iter().any(|other| within(&column, other)) {
            kept.retain(|other| !within(other, &column));
            kept.push(column);
        }
    }
    kept
}

/// The groups as letters: `a` to `z`, then with a prime, `a'`, as often as needed.
pub fn letters(groups: &[usize]) -> String {
    groups
        .iter()
        .map(|&group| {
            let letter = char::from(b'a' + (group % 26) as u8);
            format!("{letter}{}", "'".repeat(group / 26))
        })
        .collect()
}
