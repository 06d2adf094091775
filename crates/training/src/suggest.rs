//! The nearest valid name to one that is not.

/// Returns the candidate a person most likely meant by `name`, or `None` when nothing is near.
///
/// Letter case and `-` against `_` count as nothing. Otherwise a candidate is near when at most a
/// third of the longer name has to be edited (Damerau-Levenshtein, so that swapped neighbours are
/// one edit), or when one name begins with the other (`learn` for `learning_rate`).
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = fold(name);
    if wanted.is_empty() {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(&wanted, &fold(candidate))?, candidate)))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Share of the longer name that differs, if the two are near at all.
fn distance(wanted: &str, candidate: &str) -> Option<f64> {
    let longest = wanted.chars().count().max(candidate.chars().count()) as f64;
    let edits = strsim::damerau_levenshtein(wanted, candidate) as f64;
    // Two edits are forgiven in short names too: `mdi` for `mid`, `lat` for `late`.
    let near =
        edits / longest <= 1.0 / 3.0 || (edits <= 2.0 && longest >= 3.0 && edits < longest / 1.5);
    let begins = wanted.len() >= 3 && candidate.starts_with(wanted)
        || candidate.len() >= 3 && wanted.starts_with(candidate);
    match (near, begins) {
        (true, _) => Some(edits / longest),
        // A shared beginning is weaker evidence than any near spelling.
        (false, true) => Some(1.0),
        (false, false) => None,
    }
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn nearest_name_wins() {
        let keys = [
            "steps",
            "learning_rate",
            "min_learning_rate",
            "weight_decay",
            "mid",
            "late",
            "early",
        ];
        for (typo, meant) in [
            ("step", "steps"),
            ("setps", "steps"),
            ("learnig_rate", "learning_rate"),
            ("learning-rate", "learning_rate"),
            ("Learning_Rate", "learning_rate"),
            ("learn", "learning_rate"),
            ("weigth_decay", "weight_decay"),
            ("mdi", "mid"),
            ("lat", "late"),
            ("erly", "early"),
        ] {
            assert_eq!(suggest(typo, keys), Some(meant), "{typo}");
        }
    }

    #[test]
    fn a_stranger_gets_no_suggestion() {
        for name in ["zzzz", "q", "", "optimizer"] {
            assert_eq!(
                suggest(name, ["steps", "learning_rate", "late"]),
                None,
                "{name}"
            );
        }
    }
}
