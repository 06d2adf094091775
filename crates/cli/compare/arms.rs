//! The arms of a comparison: every combination of the values of `--vary`.

use crucible_fusion::FusionConfig;
use crucible_training::Error;

/// One combination.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arm {
    /// What people call it: `mid`, `learning_rate=0.001`.
    pub label: String,
    /// The folder of its runs.
    pub folder: String,
    /// Its assignments, as for `--set`.
    pub sets: Vec<String>,
}

/// Reads `--vary key=a,b,c`, or what has that form; several of them multiply.
///
/// # Errors
///
/// [`Error::Usage`] for a text of another form, and for arms that could not be told apart.
pub fn arms(option: &str, varied: &[String]) -> Result<Vec<Arm>, Error> {
    let mut arms = vec![Arm::default()];
    let mut keys: Vec<String> = Vec::new();
    for text in varied {
        let wrong = |reason: &str| Error::Usage(format!("{option} {text}: {reason}"));
        let (key, values) = values(option, text)?;
        if values.len() < 2 {
            return Err(wrong(
                "one value is nothing to compare; give several: key=a,b,c",
            ));
        }
        if keys.contains(&key) {
            return Err(wrong("it is varied twice; give all its values at once"));
        }
        arms = arms
            .iter()
            .flat_map(|arm| values.iter().map(|value| arm.with(&key, value)))
            .collect();
        keys.push(key);
    }
    for (index, arm) in arms.iter().enumerate() {
        if arms[..index].iter().any(|other| other.folder == arm.folder) {
            return Err(Error::Usage(format!(
                "{option} names the arm `{}` twice",
                arm.label
            )));
        }
    }
    Ok(arms)
}

/// The same with every strategy in the place of `fusion=all`.
pub fn everything(varied: &[String]) -> Vec<String> {
    let all = || FusionConfig::names().collect::<Vec<_>>().join(",");
    let each = varied.iter().map(|text| match text.trim() {
        "fusion=all" => format!("fusion={}", all()),
        text => text.into(),
    });
    each.collect()
}

/// The key and the values of `key=a,b,c`.
///
/// # Errors
///
/// [`Error::Usage`] for a text of another form.
pub fn values(option: &str, text: &str) -> Result<(String, Vec<String>), Error> {
    let wrong = || Error::Usage(format!("{option} {text}: write it as key=a,b,c"));
    let (key, values) = text.split_once('=').ok_or_else(wrong)?;
    let (key, values) = (key.trim(), split(values));
    match key.is_empty() || values.iter().any(|value| value.is_empty()) {
        true => Err(wrong()),
        false => Ok((key.into(), values)),
    }
}

impl Arm {
    fn with(&self, key: &str, value: &str) -> Self {
        let leaf = key.rsplit('.').next().unwrap_or(key);
        // A word speaks for itself; a number, a flag or a list needs its key.
        let speaks = value.starts_with(char::is_alphabetic) && !["true", "false"].contains(&value);
        let own = match speaks {
            true => value.to_string(),
            false => format!("{leaf}={value}"),
        };
        let label = match self.label.as_str() {
            "" => own,
            label => format!("{label}, {own}"),
        };
        Self {
            folder: folder(&label),
            label,
            sets: [&self.sets[..], &[format!("{key}={value}")]].concat(),
        }
    }
}

/// The label with what a path should not hold replaced.
pub fn folder(label: &str) -> String {
    let plain = label.replace(", ", "+");
    let safe = |letter: char| letter.is_alphanumeric() || "._=+-".contains(letter);
    let name: String = plain
        .chars()
        .map(|letter| if safe(letter) { letter } else { '-' })
        .collect();
    // Neither hidden nor a way up.
    name.trim_start_matches('.').to_string()
}

/// Splits at commas outside of brackets and quotes: `[16,32],[32,64]` are two values.
fn split(values: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted) = (0usize, false);
    for letter in values.chars() {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (letter, parts.last_mut()) {
            (',', _) if depth == 0 && !quoted => parts.push(String::new()),
            (_, Some(part)) => part.push(letter),
            (_, None) => {}
        }
    }
    parts.iter().map(|part| part.trim().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(varied: &[&str]) -> Result<Vec<Arm>, Error> {
        arms(
            "--vary",
            &varied
                .iter()
                .map(|text| text.to_string())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn values_become_arms() {
        let arms = of(&["fusion=early, mid"]).unwrap();
        let labels: Vec<_> = arms.iter().map(|arm| arm.label.as_str()).collect();
        assert_eq!(labels, ["early", "mid"]);
        assert_eq!(arms[1].sets, ["fusion=mid"]);
    }

    #[test]
    fn numbers_and_lists_carry_their_key() {
        let arms = of(&["training.learning_rate=1e-3,0.01", "model.stem=[16,32],[]"]).unwrap();
        let labels: Vec<_> = arms.iter().map(|arm| arm.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "learning_rate=1e-3, stem=[16,32]",
                "learning_rate=1e-3, stem=[]",
                "learning_rate=0.01, stem=[16,32]",
                "learning_rate=0.01, stem=[]",
            ]
        );
        assert_eq!(arms[0].folder, "learning_rate=1e-3+stem=-16-32-");
        assert_eq!(
            arms[2].sets,
            ["training.learning_rate=0.01", "model.stem=[16,32]"]
        );
    }

    #[test]
    fn what_is_no_comparison_is_refused() {
        for (varied, part) in [
            ("fusion", "key=a,b,c"),
            ("=a,b", "key=a,b,c"),
            ("fusion=a,,b", "key=a,b,c"),
            ("fusion=early", "nothing to compare"),
            ("fusion=early,mid,early", "`early` twice"),
        ] {
            let error = of(&[varied]).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_folder_stays_below_the_comparison() {
        for arm in of(&["data=../../etc,/etc"]).unwrap() {
            assert!(
                !arm.folder.contains('/') && !arm.folder.starts_with('.'),
                "{arm:?}"
            );
        }
    }
}
