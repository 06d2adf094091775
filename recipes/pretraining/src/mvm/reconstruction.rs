//! What a masked autoencoder makes of images of which it sees a part.

use burn::tensor::{Device, Tensor};
use crucible_datasets::{Collate, Data, Drawn, Picture, Split};
use crucible_evaluation::report::{Figure, Png};
use crucible_kernels::among_threads;
use crucible_training::Error;

use super::collate::PatchCollate;
use super::model::PixelModel;

/// How many images, evenly spread over the split.
const SHOWN: usize = 8;

/// Images, what is seen of them, and what the model guesses of the rest.
pub fn figure(
    collate: &PatchCollate,
    data: &Data<Picture>,
    split: Split,
    model: &PixelModel,
    device: &Device,
) -> Result<Figure, Error> {
    let samples = data.samples(split).map_err(Error::data)?;
    let count = SHOWN.min(samples.len());
    let drawn = (0..count).map(|number| {
        let index = number * samples.len() / count;
        Ok(Drawn {
            sample: samples.get(index).map_err(Error::data)?,
            index,
            draw: None,
        })
    });
    let drawn = drawn.collect::<Result<Vec<_>, Error>>()?;
    let batch = collate.upload(collate.collate(drawn).map_err(Error::data)?, device);
    let model = model.clone();
    let columns = among_threads(device, move || model.reconstruct(batch));
    let columns = columns.map(|images| pictures(collate, images));
    let rows = (0..count).map(|row| columns.iter().map(|column| column[row].clone()).collect());
    Ok(Figure::Pictures {
        title: "Reconstructions".into(),
        note: format!(
            "Of {count} images of the {} split, with patches hidden as in training.",
            split.name()
        ),
        columns: ["image", "seen", "reconstructed"]
            .map(String::from)
            .to_vec(),
        rows: rows.collect(),
    })
}

fn pictures(collate: &PatchCollate, images: Tensor<4>) -> Vec<Png> {
    let [_, channels, height, width] = images.dims();
    let pixels: Vec<f32> = images.into_data().iter().collect();
    let images = pixels.chunks(channels * height * width);
    images
        .map(|image| Png::new(&collate.images.png(image)))
        .collect()
}
