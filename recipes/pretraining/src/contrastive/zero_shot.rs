//! Classification without a classifier: the class whose name is the most similar.

use std::collections::BTreeMap;

use crucible_datasets::{LabelledImage, Split, open_images};
use crucible_evaluation::retrieval::Vectors;
use crucible_training::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::embedding::{Embed, Embedder};

/// Classification by the names of the classes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ZeroShotConfig {
    /// Images with classes: a name of the catalogue or a folder; "" for none.
    pub data: String,
    /// What is said of a class, `{}` standing for its name; the mean of all is compared with an image.
    pub templates: Vec<String>,
}

impl ZeroShotConfig {
    /// Whether there are such images in a split, before a model has been trained for them.
    pub fn check(&self, split: Split) -> Result<(), Error> {
        if self.data.is_empty() {
            return Ok(());
        }
        let named = |template: &String| template.contains("{}");
        if self.templates.is_empty() || !self.templates.iter().all(named) {
            return Err(Error::Usage(format!(
                "zero_shot.templates is {:?}; expected one at least, each with {{}} where the name of the class goes (zero_shot.data=\"\" leaves it out)",
                self.templates
            )));
        }
        let data = open_images(&self.data).map_err(Error::data)?;
        data.samples(split).map(drop).map_err(Error::data)
    }
}

/// `zero_shot_accuracy`, and `zero_shot_majority`: that of always naming the most frequent class.
pub fn score<E: Embed>(
    config: &ZeroShotConfig,
    embedder: &Embedder<'_, E>,
    split: Split,
) -> Result<BTreeMap<String, f64>, Error> {
    if config.data.is_empty() {
        return Ok(BTreeMap::new());
    }
    let data = open_images(&config.data).map_err(Error::data)?;
    let samples = data.samples(split).map_err(Error::data)?;
    let samples: Vec<LabelledImage> = (0..samples.len())
        .map(|index| samples.get(index).map_err(Error::data))
        .collect::<Result<_, _>>()?;
    let sources: Vec<_> = samples.iter().map(|sample| sample.image.clone()).collect();
    let (images, classes) = (
        embedder.images(&sources)?,
        classes(&config.templates, &data.labels, embedder)?,
    );
    let mut counts = vec![0; data.labels.len()];
    let mut right = 0;
    for (sample, image) in samples.iter().zip(images.rows()) {
        right += usize::from(classes.nearest(image) == sample.label);
        counts[sample.label] += 1;
    }
    let share = |count: usize| count as f64 / samples.len() as f64;
    let most = counts.into_iter().max().unwrap_or(0);
    Ok(BTreeMap::from([
        ("zero_shot_accuracy".to_string(), share(right)),
        ("zero_shot_majority".to_string(), share(most)),
    ]))
}

/// One vector a class: the mean over the templates (Radford et al. 2021, section 3.1.4).
fn classes<E: Embed>(
    templates: &[String],
    labels: &[String],
    embedder: &Embedder<'_, E>,
) -> Result<Vectors, Error> {
    let mut sum: Vec<f32> = Vec::new();
    let mut width = 1;
    for template in templates {
        let texts: Vec<String> = labels
            .iter()
            .map(|label| template.replace("{}", label))
            .collect();
        let vectors = embedder.texts(&texts)?;
        width = vectors.row(0).len();
        sum.resize(labels.len() * width, 0.0);
        let values = vectors.rows().flatten();
        sum.iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += value);
    }
    Ok(Vectors::new(sum, width))
}
