//! The images of any dataset that has some.

use crate::formats::Kind;
use crate::{Data, DataError, ImageSource, Split, catalogue};

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
    match catalogue::kind(name_or_path)? {
        Kind::Vqa => pictures(&catalogue::open_vqa(name_or_path)?, |sample| {
            (sample.id, sample.image)
        }),
        Kind::Captions => pictures(&catalogue::open_captions(name_or_path)?, |sample| {
            (sample.id, sample.image)
        }),
        // Of text, it says what is missing.
        Kind::Images | Kind::Text => pictures(&catalogue::open_images(name_or_path)?, |sample| {
            (sample.id, sample.image)
        }),
    }
}

fn pictures<S: Clone + Send + Sync + 'static>(
    data: &Data<S>,
    of: impl Fn(S) -> (String, ImageSource),
) -> Result<Data<Picture>, DataError> {
    let mut splits = [const { Vec::new() }; 3];
    for (pictures, split) in splits.iter_mut().zip(Split::ALL) {
        let samples = data.split(split);
        for index in 0..samples.len() {
            let (id, image) = of(samples.get(index).map_err(DataError::Dataset)?);
            pictures.push(Picture { id, image });
        }
    }
    let (name, digest) = (&data.name, data.digest.clone());
    Ok(Data::in_memory(name, splits, Vec::new(), digest))
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
