//! What classes are called.

use burn::tensor::{Device, Tensor, TensorData};
use crucible_training::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a class is called.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassWords {
    /// The class, by its name in the data.
    pub class: String,
    /// One word at least.
    pub words: Vec<String>,
}

/// The words of each class: those that are given, or its own name.
///
/// # Errors
///
/// [`Error::Usage`] for a class that the data does not have, or one without words.
pub fn label_words(given: &[ClassWords], labels: &[String]) -> Result<Vec<Vec<String>>, Error> {
    let mut named = given.iter().map(|of| &of.class);
    if let Some(name) = named.find(|name| !labels.contains(name)) {
        let labels = labels.iter().map(String::as_str);
        return Err(Error::unknown("class of `words`", name, labels));
    }
    let twice = |of: &&ClassWords| given.iter().filter(|other| other.class == of.class).count() > 1;
    if let Some(of) = given.iter().find(twice) {
        let class = &of.class;
        let remedy = "put all its words in one list";
        return Err(Error::Usage(format!("words has `{class}` twice; {remedy}")));
    }
    let words = |label: &String| match given.iter().find(|of| of.class == *label) {
        None => Ok(vec![label.clone()]),
        Some(of) if of.words.is_empty() => Err(Error::Usage(format!(
            "words has none for the class `{label}`"
        ))),
        Some(of) => Ok(of.words.clone()),
    };
    labels.iter().map(words).collect()
}

/// The mean over all that is said of each class, as a matrix: scores `[items, words]` times it are `[items, classes]`.
///
/// # Shapes
/// - `class`: the class of each word, less than `classes`
/// - output: `[words, classes]`; the column of a class with words sums to one
pub fn class_means(class: &[usize], classes: usize, device: &Device) -> Tensor<2> {
    let mut counts = vec![0.0; classes];
    class.iter().for_each(|&of| counts[of] += 1.0);
    let mut shares = vec![0f32; class.len() * classes];
    for (row, &of) in shares.chunks_mut(classes.max(1)).zip(class) {
        row[of] = 1.0 / counts[of];
    }
    Tensor::from_data(TensorData::new(shares, [class.len(), classes]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_mean_of_its_words() {
        let means = class_means(&[1, 0, 1, 2, 1], 4, &Device::flex());
        let third = 1.0 / 3.0;
        let expected: [[f32; 4]; 5] = [
            [0.0, third, 0.0, 0.0],
            [1.0, 0.0, 0.0, 0.0],
            [0.0, third, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, third, 0.0, 0.0],
        ];
        means
            .into_data()
            .assert_eq(&TensorData::from(expected), true);
    }
}
