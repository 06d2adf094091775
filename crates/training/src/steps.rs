//! The two steps of a model that does the same in training and in evaluation.

/// `steps!(Model, Batch, ClassificationOutput, guess)` implements Burn's `TrainStep` and `InferenceStep` by
/// `Model::guess(&self, Batch) -> ClassificationOutput`; the output has `backward(self, &Model)`.
#[macro_export]
macro_rules! steps {
    ($model:ty, $batch:ty, $output:ty, $forward:ident) => {
        impl burn::train::TrainStep for $model {
            type Input = $batch;
            type Output = $output;

            fn step(&self, batch: $batch) -> burn::train::TrainOutput<$output> {
                self.$forward(batch).backward(self)
            }
        }

        impl burn::train::InferenceStep for $model {
            type Input = $batch;
            type Output = $output;

            fn step(&self, batch: $batch) -> $output {
                self.$forward(batch)
            }
        }
    };
}
