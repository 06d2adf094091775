//! Images that are damaged, empty, huge or no images: an error that names the file, never a panic.

use std::time::Instant;

use image::{DynamicImage, ImageFormat};
use proptest::prelude::*;

use super::{encoded, folder, picture};
use crate::{DataError, ImageConfig, ImageProcessor, ImageSource};

/// Writes the bytes to `image.png`, decodes them, and returns the message of the error.
fn refusal(bytes: &[u8]) -> String {
    let folder = folder(&[("image.png", bytes)]);
    match ImageSource::File(folder.path().join("image.png")).decode() {
        Ok(image) => panic!("decoded to {:?}", image.dimensions()),
        Err(error) => {
            assert!(matches!(error, DataError::Image { .. }));
            let message = error.to_string();
            assert!(message.contains("image.png: "), "{message}");
            message
        }
    }
}

#[test]
fn a_png_cut_at_any_byte_is_refused() {
    let whole = encoded(9, 5, ImageFormat::Png);
    for length in 0..whole.len() {
        let reason = refusal(&whole[..length]);
        let expected = if length == 0 { "empty" } else { "" };
        assert!(reason.contains(expected), "{length}: {reason}");
    }
}

#[test]
fn a_jpeg_cut_at_any_byte_is_refused() {
    let whole = encoded(40, 24, ImageFormat::Jpeg);
    for length in 0..whole.len() {
        refusal(&whole[..length]);
    }
}

#[test]
fn sound_images_of_every_colour_type_become_rgb() {
    let rgb = DynamicImage::ImageRgb8(picture(6, 4));
    for image in [
        rgb.clone(),
        rgb.to_rgba8().into(),
        rgb.to_luma8().into(),
        rgb.to_luma_alpha8().into(),
        rgb.to_rgb16().into(),
        rgb.to_rgba16().into(),
        rgb.to_luma16().into(),
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        let folder = folder(&[("a.png", bytes.get_ref())]);
        let decoded = ImageSource::File(folder.path().join("a.png"))
            .decode()
            .unwrap();
        assert_eq!(decoded, image.into_rgb8());
    }
    // A JPEG by content, whatever its name, with bytes after its end.
    let mut jpeg = encoded(40, 24, ImageFormat::Jpeg);
    jpeg.extend(b"trailing");
    let folder = folder(&[("a.png", &jpeg)]);
    let decoded = ImageSource::File(folder.path().join("a.png"))
        .decode()
        .unwrap();
    assert_eq!(decoded.dimensions(), (40, 24));
}

/// A PNG whose header claims a size, with sound checksums and no pixels worth the name.
fn bomb(width: u32, height: u32, bit_depth: u8, colour: u8) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(data);
        bytes.extend(crc.sum().to_be_bytes());
        bytes
    };
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([bit_depth, colour, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(chunk(b"IHDR", &header));
    bytes.extend(chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]));
    bytes.extend(chunk(b"IEND", &[]));
    bytes
}

#[test]
fn header_bombs_are_refused_at_once() {
    const RGB: u8 = 2;
    const RGBA: u8 = 6;
    for (bytes, reason) in [
        (bomb(16_384, 16_384, 8, RGB), "16384 x 16384"),
        (bomb(100_000, 100_000, 8, RGB), ""),
        (bomb(u32::MAX, u32::MAX, 16, RGBA), ""),
        (bomb(0x7fff_ffff, 1, 1, 0), ""),
        (bomb(8_193, 1, 8, RGB), "8193 x 1"),
        (bomb(8_192, 8_192, 16, RGBA), ""),
        (bomb(0, 0, 8, RGB), ""),
        (bomb(0, 7, 8, RGB), ""),
        (bomb(7, 0, 8, RGB), ""),
    ] {
        let start = Instant::now();
        let message = refusal(&bytes);
        assert!(message.contains(reason), "{message}");
        // Microseconds, in truth; the bound is for a busy machine.
        assert!(start.elapsed().as_secs() < 10, "{message}");
    }
}

#[test]
fn a_jpeg_bomb_is_refused() {
    let mut jpeg = encoded(40, 24, ImageFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    assert!(refusal(&jpeg).contains("65535 x 65535"));
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x20, 0, 0x20, 0]);
    assert!(refusal(&jpeg).contains("the limit is"));
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0, 0, 0, 0]);
    refusal(&jpeg);
}

#[test]
fn what_is_no_image_is_refused() {
    for bytes in [
        b"".as_slice(),
        b"\0",
        b"hello, world",
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\0\0",
        &[0xff; 4096],
    ] {
        refusal(bytes);
    }
}

#[test]
fn a_folder_a_missing_file_and_a_device_are_no_images() {
    let folder = folder(&[]);
    for path in [
        folder.path(),
        &folder.path().join("missing.png"),
        "/dev/zero".as_ref(),
    ] {
        let error = ImageSource::File(path.to_owned()).decode().unwrap_err();
        assert!(
            error.to_string().starts_with(path.to_str().unwrap()),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Flipped bytes give an image of the size that was written, or an error: never a panic, never long.
    #[test]
    fn damaged_bytes_never_panic(
        jpeg in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let format = if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png };
        let mut bytes = encoded(24, 16, format);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let bytes: &'static [u8] = bytes.leak();
        let source = ImageSource::Embedded { name: "damaged".into(), bytes };
        match source.decode() {
            Ok(image) => prop_assert!(image.width() <= 8192 && image.height() <= 8192),
            Err(error) => prop_assert!(error.to_string().starts_with("damaged: ")),
        }
    }
}

#[test]
fn processing_resizes_and_normalises() {
    let folder = folder(&[("a.png", &encoded(8, 4, ImageFormat::Png))]);
    let source = ImageSource::File(folder.path().join("a.png"));
    let config = ImageConfig {
        size: 4,
        mean: [0.5, 0.25, 0.0],
        std: [0.5, 0.25, 1.0],
        ..ImageConfig::symmetric(4)
    };
    let processor = ImageProcessor::new(&config).unwrap();
    let image = processor.resized(&source).unwrap();
    assert_eq!(image.dimensions(), (4, 4));
    let mut out = Vec::new();
    processor.normalise(&image, &mut out);
    assert_eq!(out.len(), 3 * 4 * 4);
    for (channel, (mean, std)) in config.mean.iter().zip(config.std).enumerate() {
        for (at, pixel) in image.pixels().enumerate() {
            let expected = (f32::from(pixel.0[channel]) / 255.0 - mean) / std;
            assert!((out[channel * 16 + at] - expected).abs() < 1e-5);
        }
    }
    // The second time it comes from memory: the file is gone.
    drop(folder);
    assert_eq!(processor.resized(&source).unwrap(), image);
}

#[test]
fn senseless_image_settings_are_refused() {
    for config in [
        ImageConfig::symmetric(0),
        ImageConfig::symmetric(9_000),
        ImageConfig {
            edge: 7,
            ..ImageConfig::symmetric(8)
        },
        ImageConfig {
            edge: 9_000,
            ..ImageConfig::symmetric(8)
        },
        ImageConfig {
            std: [0.5, 0.0, 0.5],
            ..ImageConfig::symmetric(8)
        },
        ImageConfig {
            std: [0.5, f32::NAN, 0.5],
            ..ImageConfig::symmetric(8)
        },
    ] {
        assert!(matches!(
            ImageProcessor::new(&config),
            Err(DataError::Setting { .. })
        ));
    }
}
