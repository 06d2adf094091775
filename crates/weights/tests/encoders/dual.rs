//! Dual encoders.

use crucible_transformer::TextEnd;
use crucible_weights::{DualCheckpoint, VisionCheckpoint};

use crate::fixture::{Golden, assert_whole, device, folder, unit};

#[test]
fn both_towers_give_what_their_library_gives() {
    for (name, end) in [
        ("clip", TextEnd::HighestId),
        ("clip-gelu", TextEnd::Token(95)),
        ("open_clip", TextEnd::HighestId),
        ("open_clip-quickgelu", TextEnd::HighestId),
        ("siglip", TextEnd::LastPlace),
    ] {
        let (path, mut golden) = (folder(name), Golden::open(name));
        let checkpoint = DualCheckpoint::open(&path).unwrap();
        assert_eq!(checkpoint.config.text.end, Some(end));
        let (model, loaded) = checkpoint.load(&path, &device()).unwrap();
        assert_whole(&loaded);

        let images = golden.tensor("input.pixel_values");
        for (layer, state) in model
            .vision
            .hidden_states(images.clone())
            .into_iter()
            .enumerate()
        {
            golden.assert_near(&format!("vision.hidden.{layer}"), state);
        }
        let encoded = model.vision.forward(images.clone());
        if golden.has("vision.last") {
            golden.assert_near("vision.last", encoded.tokens);
        }
        golden.assert_near("vision.pooled", encoded.pooled);
        let image_embeds = unit(model.embed_images(images));
        golden.assert_near("vision.embeds", image_embeds.clone());

        let (ids, padding) = (golden.ids("input.ids"), golden.padding());
        let states = model
            .text
            .hidden_states(ids.clone(), None, Some(padding.clone()));
        // open_clip hides the future, but no padding, which tokens of padding alone would see.
        for (layer, state) in states.into_iter().enumerate() {
            let name = format!("text.hidden.{layer}");
            golden.assert_states(&name, state, Some(padding.clone()));
        }
        let encoded = model.text.forward(ids.clone(), None, Some(padding.clone()));
        golden.assert_states("text.last", encoded.tokens, Some(padding.clone()));
        let embeds = model.embed_texts(ids, padding);
        // In SigLIP the projection belongs to what is pooled.
        let pooled = match end {
            TextEnd::LastPlace => embeds.clone(),
            _ => encoded.pooled,
        };
        golden.assert_near("text.pooled", pooled);
        let embeds = unit(embeds);
        golden.assert_near("text.embeds", embeds.clone());

        let scale = model.scale().unsqueeze::<2>();
        let logits = image_embeds.matmul(embeds.transpose()) * scale;
        golden.assert_near("logits_per_image", logits + model.bias.val().unsqueeze());
    }
}

#[test]
fn the_image_tower_comes_by_itself_as_well() {
    for name in ["clip", "open_clip-quickgelu", "siglip"] {
        let (path, mut golden) = (folder(name), Golden::open(name));
        let checkpoint = VisionCheckpoint::open(&path).unwrap();
        let (encoder, loaded) = checkpoint.load(&path, &device()).unwrap();
        let encoded = encoder.forward(golden.tensor("input.pixel_values"));
        golden.assert_near("vision.pooled", encoded.pooled);
        let of_vision = |name: &String| name.starts_with("vision_model.");
        assert!(!loaded.unused.is_empty() && !loaded.unused.iter().any(of_vision));
    }
}

#[test]
fn what_fills_texts_of_siglip_up_is_read() {
    let (path, golden) = (folder("siglip"), Golden::open("siglip"));
    let checkpoint = DualCheckpoint::open(&path).unwrap();
    let (model, _) = checkpoint.load(&path, &device()).unwrap();
    let (ids, none) = (golden.ids("input.ids"), golden.padding());
    let filling = ids.clone().equal_elem(1);
    let [a, b] = [none, filling].map(|padding| model.embed_texts(ids.clone(), padding));
    assert_eq!((a - b).abs().max().into_scalar::<f32>(), 0.0);
}
