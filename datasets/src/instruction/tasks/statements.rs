//! Statements made of yes-no questions: "is there a red shape?" asks whether there is a red shape.

/// The statement whose truth the question asks for, as a sentence; none if the question is not of a known kind.
pub(super) fn statement(question: &str) -> Option<String> {
    let asked = question.trim().strip_suffix('?')?;
    let (first, rest) = asked.split_once(' ')?;
    let statement = match (first.to_lowercase().as_str(), rest) {
        ("is", rest) if let Some(what) = rest.strip_prefix("there ") => format!("There is {what}"),
        ("is", rest) => capital(&format!("{} is present", rest.strip_suffix(" present")?)),
        ("does", rest) => {
            let rest = rest.strip_prefix("the image ")?;
            match rest.strip_prefix("not contain ") {
                Some(what) => format!("The image does not contain {what}"),
                None => format!("The image contains {}", rest.strip_prefix("contain ")?),
            }
        }
        _ => return None,
    };
    Some(statement + ".")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_say_what_questions_ask() {
        for (question, expected) in [
            ("is there a red shape?", "There is a red shape."),
            (
                "is there not a circle in the image?",
                "There is not a circle in the image.",
            ),
            (
                "does the image contain a circle?",
                "The image contains a circle.",
            ),
            (
                "does the image not contain a teal shape?",
                "The image does not contain a teal shape.",
            ),
            ("is a red shape present?", "A red shape is present."),
            ("is no circle present?", "No circle is present."),
        ] {
            assert_eq!(statement(question).as_deref(), Some(expected));
        }
        for other in [
            "what shape is present?",
            "is it red?",
            "does it fly?",
            "why",
            "",
        ] {
            assert_eq!(statement(other), None, "{other}");
        }
    }
}
