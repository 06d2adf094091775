//! How published weights want their images prepared.

use crucible_datasets::{Filter, Fit, ImageConfig};
use crucible_training::Error;
use crucible_weights::{Preprocessing, Resample, Resize};

/// What makes images of `size` pixels a side as the weights of that name have learnt to see them.
///
/// # Errors
///
/// [`Error::Usage`] for what we cannot do.
pub fn image_config(
    name: &str,
    prepared: &Preprocessing,
    size: usize,
) -> Result<ImageConfig, Error> {
    let wants = |what: String| {
        Err(Error::Usage(format!(
            "the image tower of {name} wants {what}"
        )))
    };
    let (mean, std) = (prepared.mean, prepared.std);
    // Images that come as they are have the tower's size already.
    let Some(resize) = prepared.resize else {
        return Ok(ImageConfig {
            mean,
            std,
            ..ImageConfig::symmetric(size)
        });
    };
    let (fit, edge) = match resize {
        Resize::Exact([height, width]) if height == width => (Fit::Squash, height),
        Resize::ShortestEdge(edge) => (Fit::Crop, edge),
        Resize::Exact(sides) => {
            return wants(format!("images of {sides:?} pixels, which are not square"));
        }
    };
    if edge < size {
        return wants(format!(
            "images of {edge} pixels a side, but sees {size} of them"
        ));
    }
    let filter = match prepared.resample {
        Resample::Bilinear => Filter::Bilinear,
        Resample::Bicubic => Filter::Bicubic,
        other => return wants(format!("a filter that is not there ({other:?})")),
    };
    Ok(ImageConfig {
        size,
        fit,
        edge: if edge == size { 0 } else { edge },
        filter,
        mean,
        std,
    })
}
