//! Image encoders.

use burn::tensor::{Tensor, TensorData};
use crucible_transformer::project;
use crucible_vision::Vit;
use crucible_weights::{Preprocessing, Resample, Resize, VisionCheckpoint};

use crate::fixture::{Golden, assert_whole, classifier, device, folder};

fn states(encoder: &Vit, golden: &mut Golden) -> Tensor<2> {
    let images = golden.tensor("input.pixel_values");
    for (layer, state) in encoder
        .hidden_states(images.clone())
        .into_iter()
        .enumerate()
    {
        golden.assert_near(&format!("hidden.{layer}"), state);
    }
    let encoded = encoder.forward(images);
    golden.assert_near("last", encoded.tokens);
    if golden.has("pooled") {
        golden.assert_near("pooled", encoded.pooled.clone());
    }
    encoded.pooled
}

#[test]
fn image_encoders_give_what_transformers_gives() {
    for name in ["vit", "deit", "dinov2", "dinov2-swiglu"] {
        let path = folder(name);
        let checkpoint = VisionCheckpoint::open(&path).unwrap();
        assert!(checkpoint.head.is_none());
        let (encoder, loaded) = checkpoint.load(&path, &device()).unwrap();
        assert_whole(&loaded);
        states(&encoder, &mut Golden::open(name));
    }
}

#[test]
fn classes_are_told_as_transformers_tells_them() {
    let (path, mut golden) = (folder("vit-classifier"), Golden::open("vit-classifier"));
    let checkpoint = VisionCheckpoint::open(&path).unwrap();
    let (model, loaded) = classifier(&checkpoint, &path);
    assert_whole(&loaded);
    let pooled = states(&model.encoder, &mut golden);
    golden.assert_near("logits", project(&model.head, pooled));
    let (_, loaded) = checkpoint.load(&path, &device()).unwrap();
    assert_eq!(loaded.unused, ["classifier.bias", "classifier.weight"]);
}

/// An image that any language can make.
fn image(side: usize) -> Tensor<4> {
    let value = |i: usize| ((i * 7919) % 1000) as f32 / 500.0 - 1.0;
    let values: Vec<f32> = (0..3 * side * side).map(value).collect();
    Tensor::from_data(TensorData::new(values, [1, 3, side, side]), &device())
}

#[test]
fn images_of_another_size_have_interpolated_positions() {
    // The first numbers of pooler_output, from transformers with interpolate_pos_encoding=True.
    #[rustfmt::skip]
    let cases: [(_, _, [f32; 8]); 4] = [
        ("dinov2", 40, [0.233485, 0.666685, -0.957611, 0.696959, 2.36319, -0.412518, -1.070778, 1.012882]),
        ("deit", 48, [-0.841596, -0.708418, 0.837403, 0.514052, -0.538166, -0.850487, -0.784321, 0.010869]),
        ("siglip", 32, [-1.584504, -0.162311, 2.656085, 2.999016, 2.948666, -0.591153, 0.145455, 0.495392]),
        ("clip", 16, [-1.997975, -0.091787, -0.396679, -0.598605, -0.049597, 0.180255, 0.077757, 1.246446]),
    ];
    for (name, side, expected) in cases {
        let path = folder(name);
        let checkpoint = VisionCheckpoint::open(&path).unwrap();
        let (encoder, _) = checkpoint.load(&path, &device()).unwrap();
        let pooled = encoder.resized(side / 8).forward(image(side)).pooled;
        let found = pooled.narrow(1, 0, 8).into_data();
        for (found, expected) in found.iter::<f32>().zip(expected) {
            let difference = (found - expected).abs();
            assert!(difference < 1e-4, "{name}: {found}, not {expected}");
        }
    }
}

#[test]
fn preprocessing_is_as_the_checkpoint_has_it() {
    let clip = Preprocessing {
        resize: Some(Resize::ShortestEdge(24)),
        resample: Resample::Bicubic,
        crop: Some([24, 24]),
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
    };
    let square = Preprocessing {
        resize: Some(Resize::Exact([24, 24])),
        resample: Resample::Bilinear,
        crop: None,
        mean: [0.5; 3],
        std: [0.5; 3],
    };
    let bicubic = Preprocessing {
        resample: Resample::Bicubic,
        ..square.clone()
    };
    let deit = Preprocessing {
        crop: Some([24, 24]),
        ..bicubic.clone()
    };
    for (name, expected) in [
        ("vit", square),
        ("siglip", bicubic),
        ("deit", deit),
        ("dinov2", clip.clone()),
        ("clip", clip.clone()),
        // Which does not say the size again.
        ("open_clip", clip),
    ] {
        let checkpoint = VisionCheckpoint::open(&folder(name)).unwrap();
        assert_eq!(checkpoint.preprocessing, Some(expected), "{name}");
    }
}
