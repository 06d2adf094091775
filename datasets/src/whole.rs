//! Whether an encoded image ends where it should. Decoders make up what a truncated file lacks, some of them
//! silently, and a model would learn from half a picture; so the end marker is looked for first.

use image::ImageFormat;

/// Whether the file reaches its format's end marker. Bytes after it are no concern.
pub(crate) fn is_whole(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Png => png(bytes).is_some(),
        ImageFormat::Jpeg => jpeg(bytes).is_some(),
        _ => true,
    }
}

/// Walks the chunks (length, type, data, checksum) to the end of `IEND`.
fn png(bytes: &[u8]) -> Option<()> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind = rest.get(4..8)?;
        let next = rest.get(length.checked_add(12)?..)?;
        if kind == b"IEND" {
            return Some(());
        }
        rest = next;
    }
}

/// Walks the segments (marker, length, data) and the entropy-coded data after each start of scan to the end of image.
fn jpeg(bytes: &[u8]) -> Option<()> {
    const END_OF_IMAGE: u8 = 0xD9;
    const START_OF_SCAN: u8 = 0xDA;
    let mut rest = bytes.get(2..)?;
    loop {
        let marker = match *rest.first_chunk()? {
            [0xFF, 0xFF] => {
                rest = &rest[1..];
                continue;
            }
            [0xFF, marker] => marker,
            _ => return None,
        };
        if marker == END_OF_IMAGE {
            return Some(());
        }
        let length = u16::from_be_bytes(*rest.get(2..)?.first_chunk()?);
        rest = rest.get(2 + usize::from(length)..)?;
        if marker == START_OF_SCAN {
            // Within a scan, 0xFF is followed by 0 (a literal 0xFF) or by a restart marker.
            let end = rest
                .windows(2)
                .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7))?;
            rest = &rest[end..];
        }
    }
}
