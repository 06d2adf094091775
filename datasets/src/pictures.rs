//! The images of any dataset that has some.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::formats::Kind;
use crate::{Data, DataError, ImageSource, Samples, catalogue};

/// An image by itself.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its name within the dataset.
    pub id: String,
    /// The image.
    pub image: ImageSource,
}

/// Opens the images of a dataset, whatever else it holds.
///
/// # Errors
///
/// [`DataError`] if it holds none, and as for [`open_images`](crate::open_images).
pub fn open_pictures(name_or_path: &str) -> Result<Data<Picture>, DataError> {
    Ok(match catalogue::kind(name_or_path)? {
        Kind::Vqa => pictures(catalogue::open_vqa(name_or_path)?, |sample| {
            (sample.id, sample.image)
        }),
        Kind::Captions => pictures(catalogue::open_captions(name_or_path)?, |sample| {
            (sample.id, sample.image)
        }),
        // Of texts, and of conversations, which may have no picture or several, it says what is missing.
        Kind::Pictures | Kind::Text | Kind::LabelledTexts | Kind::Instructions => {
            catalogue::scan_pictures(name_or_path)?.sound(name_or_path)?
        }
        Kind::Images => pictures(catalogue::open_images(name_or_path)?, |sample| {
            (sample.id, sample.image)
        }),
    })
}

fn pictures<S: 'static>(data: Data<S>, of: fn(S) -> (String, ImageSource)) -> Data<Picture> {
    let pictures = |samples| Arc::new(Pictures { samples, of });
    Data {
        train: pictures(data.train),
        valid: pictures(data.valid),
        test: pictures(data.test),
        name: data.name,
        labels: Vec::new(),
        digest: data.digest,
    }
}

/// The images of samples, looked up when they are asked for: there may be more than memory has room for.
struct Pictures<S> {
    samples: Samples<S>,
    of: fn(S) -> (String, ImageSource),
}

impl<S> Dataset<Picture> for Pictures<S> {
    fn get(&self, index: usize) -> Result<Picture, DatasetError> {
        let (id, image) = (self.of)(self.samples.get(index)?);
        Ok(Picture { id, image })
    }

    fn len(&self) -> usize {
        self.samples.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_dataset_with_images_has_pictures() {
        for (name, test) in [
            ("easy-vqa", 1000),
            ("easy-vqa-objects", 888),
            ("emoji", 386),
        ] {
            assert_eq!(open_pictures(name).unwrap().test.len(), test, "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.txt");
        std::fs::write(&path, "only words").unwrap();
        let error = open_pictures(path.to_str().unwrap()).err().unwrap();
        assert!(error.to_string().contains("text"), "{error}");
    }
}
