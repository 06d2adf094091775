use std::collections::BTreeMap;

use burn::data::dataloader::DataLoader;
use burn::tensor::activation::softmax;
use burn::train::InferenceStep;
use crucible_training::metrics::Means;
use crucible_training::{ClassificationOutput, Error, Prediction};

/// Test metrics by name, and one row per item.
pub type Scores = (BTreeMap<String, f64>, Vec<Prediction>);

/// One pass of a classifier over a split: its metrics, and the likeliest label of each item.
///
/// `ids` names the items of a batch in the order of its targets; `labels` names the classes.
pub fn score<M, B>(
    model: &M,
    loader: &dyn DataLoader<B>,
    labels: &[String],
    ids: impl Fn(&B) -> Vec<String>,
) -> Result<Scores, Error>
where
    M: InferenceStep<Input = B, Output = ClassificationOutput>,
{
    let mut means = Means::default();
    let mut predictions = Vec::new();
    for batch in loader.iter() {
        let batch = batch.map_err(Error::data)?;
        let ids = ids(&batch);
        let output = model.step(batch);
        means.add(&output);
        let targets: Vec<i64> = output.targets.into_data().iter().collect();
        for ((id, target), row) in ids
            .into_iter()
            .zip(targets)
            .zip(probabilities(output.logits))
        {
            let (best, score) = likeliest(&row);
            predictions.push(Prediction {
                id,
                target: labels[target as usize].clone(),
                prediction: labels[best].clone(),
                score,
            });
        }
    }
    Ok((means.means(), predictions))
}

/// # Shapes
/// - `logits`: `[items, classes]`; output: one row of probabilities for each item
pub fn probabilities(logits: burn::tensor::Tensor<2>) -> Vec<Vec<f64>> {
    let [_, classes] = logits.dims();
    let values: Vec<f64> = softmax(logits, 1).into_data().iter().collect();
    values.chunks(classes).map(<[f64]>::to_vec).collect()
}

fn likeliest(row: &[f64]) -> (usize, f64) {
    let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    best.map_or((0, f64::NAN), |best| (best, row[best]))
}
