//! Archives that are damaged, lie about their sizes, or lack what a sample needs: an error that names the file and the
//! byte, never a panic.

use std::path::Path;

use burn::data::dataset::Dataset;
use image::ImageFormat;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::shards::{numbered, one, pack, sorted};
use super::{encoded, folder, text, write};
use crate::{Split, describe, open_captions};

type Files<'a> = &'a [(&'a str, &'a [u8])];

#[test]
fn sets_of_shards_that_make_no_dataset_are_refused() {
    let archive = &numbered(0..3)[..];
    let cases: [(Files, &str, &str); 6] = [
        (
            &[("train-0.tar", archive), ("more.tar", archive)],
            "",
            "more.tar: of no split",
        ),
        (
            &[("val-0.tar", archive), ("test-0.tar", archive)],
            "",
            "none of train",
        ),
        (
            &[("a.tar", archive), ("b.tar.gz", b"")],
            "",
            "b.tar.gz: compressed",
        ),
        (&[("a.tgz", b"")], "a.tgz", "decompress it"),
        (&[("a-0.tar", archive)], "a-{0..1}.tar", "a-1.tar: "),
        (
            &[("a-0.tar", archive)],
            "a-{0..x}.tar",
            "not a range of files",
        ),
    ];
    for (files, name, reason) in cases {
        let folder = folder(files);
        let path = folder.path().join(name);
        let error = open_captions(text(&path)).err().unwrap().to_string();
        assert!(error.contains(reason) && error.contains("; "), "{error}");
    }
    for range in [
        "{0..99999999999}",
        "{0..999}{0..9999}",
        "{5..4}",
        "{..}",
        "{0,1}",
        "}{",
        "{-1..2}",
    ] {
        let error = open_captions(range).err().unwrap().to_string();
        assert!(error.contains("not a range of files"), "{error}");
    }
}

/// The error of opening an archive, which names file and byte.
fn refusal(archive: &[u8]) -> String {
    let (_folder, path) = one(archive);
    let error = open_captions(text(&path)).err().expect("it was opened");
    let error = error.to_string();
    let place = format!("{}, byte ", path.display());
    assert!(error.starts_with(&place), "{error}");
    assert!(error.contains("; "), "no remedy: {error}");
    let description = describe(text(&path)).unwrap();
    assert!(error.starts_with(&description.problems[0]), "{error}");
    error
}

#[test]
fn samples_that_lack_something_are_refused() {
    let png = &encoded(3, 2, ImageFormat::Png)[..];
    let long = vec![b'x'; (1 << 20) + 1];
    let cases: [(Files, &str, &str); 10] = [
        (
            &[("a.png", png)],
            "byte 0: ",
            "`a` has an image, but no caption",
        ),
        (
            &[("a.txt", b"x"), ("b.png", png), ("b.txt", b"x")],
            "byte 0: ",
            "`a` has a caption, but no image",
        ),
        (
            &[("a.png", png), ("a.txt", b"x"), ("a.txt", b"x")],
            "byte 2048: ",
            "`a.txt` beside `a.txt`",
        ),
        (
            &[("a.png", png), ("a.jpg", png), ("a.txt", b"x")],
            "byte 1024: ",
            "`a.jpg` beside `a.png`",
        ),
        (
            &[("a.webp", png), ("a.txt", b"x")],
            "byte 0: ",
            "`a.webp` is neither PNG nor JPEG; convert",
        ),
        (
            &[("a.png", png), ("a.txt", &long)],
            "byte 1024: ",
            "`a.txt` has 1048577 bytes",
        ),
        (
            &[
                ("a.png", png),
                ("a.txt", b"x"),
                ("b.png", png),
                ("b.txt", b"x"),
                ("a.png", png),
                ("a.txt", b"x"),
            ],
            "byte 4096: ",
            "a second sample `a`",
        ),
        (
            &[
                ("b.png", png),
                ("b.txt", b"x"),
                ("a.png", png),
                ("c.cls", b"x"),
            ],
            "byte 2048: ",
            "no caption",
        ),
        (
            &[
                ("b.png", png),
                ("b.txt", b"x"),
                ("a.png", png),
                ("c.png", png),
            ],
            "byte 2048: ",
            "and 1 more",
        ),
        (&[("a.json", b"{}")], "byte 0: ", "no image"),
    ];
    for (files, place, reason) in cases {
        let error = refusal(&pack(files));
        assert!(
            error.contains(place) && error.contains(reason),
            "wanted `{reason}`: {error}"
        );
    }
    for (files, reason) in [
        (&[("a.cls", &b"1"[..])][..], "s.tar: no samples"),
        (&[], "s.tar: no samples"),
        (
            &[("a.png", b""), ("a.txt", b"x")],
            "a.png: the file is empty",
        ),
    ] {
        let (_folder, path) = one(&pack(files));
        let error = open_captions(text(&path)).err().unwrap().to_string();
        assert!(error.contains(reason), "wanted `{reason}`: {error}");
    }
}

/// Captions are not read on opening, but when their sample is, and by `crucible data`.
#[test]
fn broken_captions_are_refused_when_they_are_read() {
    let png = &encoded(3, 2, ImageFormat::Png)[..];
    let cases: [(&str, &[u8], &str); 9] = [
        ("a.txt", b"", "the caption is empty"),
        ("a.txt", b" \n", "the caption is empty"),
        ("a.txt", b"fine \xff", "not valid UTF-8 at byte 6"),
        ("a.json", b"[\"x\"]", "not a JSON object"),
        ("a.json", b"{\"caption\": 3}", "expected a string"),
        ("a.json", b"{\"caption\": ", "EOF"),
        (
            "a.json",
            b"{\"url\": 3}",
            "neither `caption` nor `captions`",
        ),
        (
            "a.json",
            b"{\"captions\": []}",
            "neither `caption` nor `captions`",
        ),
        (
            "a.json",
            b"{\"captions\": [\"x\", \"\"]}",
            "the caption is empty",
        ),
    ];
    for (name, content, reason) in cases {
        let (_folder, path) = one(&pack(&[("a.png", png), (name, content)]));
        let data = open_captions(text(&path)).unwrap();
        let split = Split::ALL.map(|split| data.split(split).clone());
        let samples = split.iter().find(|samples| !samples.is_empty()).unwrap();
        let error = samples.get(0).unwrap_err().to_string();
        let place = format!("{}, byte 1536: `{name}`: ", path.display());
        assert!(error.starts_with(&place), "{error}");
        assert!(error.contains(reason) && error.contains("; "), "{error}");
        assert!(describe(text(&path)).unwrap().problems.contains(&error));
    }
}

#[test]
fn what_is_no_archive_is_told_apart() {
    let sound = numbered(0..2);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &sound).unwrap();
    let mut damaged = sound.clone();
    damaged[1024 + 5] ^= 1;
    for (archive, reason) in [
        (
            &encoded(64, 64, ImageFormat::Png)[..],
            "byte 0: not a tar archive",
        ),
        (&vec![b'x'; 600], "byte 0: not a tar archive"),
        (&[], "byte 0: the archive is truncated"),
        (&gzip.finish().unwrap(), "byte 0: compressed with gzip"),
        (&damaged, "byte 1024: no header of a tar archive"),
    ] {
        let mut archive = archive.to_vec();
        // More than a header, however small the file is.
        if !archive.is_empty() {
            archive.resize(archive.len().max(4096), 0);
        }
        let error = refusal(&archive);
        assert!(error.contains(reason), "wanted `{reason}`: {error}");
    }
}

/// An archive whose first header claims a size.
fn claiming(size: u64, kind: EntryType) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path("a.png").unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    [header.as_bytes().to_vec(), numbered(0..2)].concat()
}

#[test]
fn a_size_that_no_file_has_is_refused_before_memory_is_taken() {
    for kind in [
        EntryType::Regular,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::Directory,
    ] {
        for size in [1 << 20, 1 << 40, u64::MAX >> 1, u64::MAX - 511, u64::MAX] {
            let error = refusal(&claiming(size, kind));
            let claim = format!("byte 0: a member of {size} bytes");
            assert!(error.contains(&claim), "{error}");
        }
    }
}

/// A file that is as long as it says, but holds no name of that length.
#[test]
#[cfg(unix)]
fn a_name_has_a_limit() {
    let folder = folder(&[]);
    let path = folder.path().join("s.tar");
    std::fs::write(&path, claiming(1 << 40, EntryType::GNULongName)).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(2 << 40).unwrap();
    let error = open_captions(text(&path)).err().unwrap().to_string();
    assert!(
        error.contains("byte 512: ") && error.contains("the limit is 1048576"),
        "{error}"
    );
}

#[test]
fn an_archive_cut_anywhere_before_its_end_marker_is_refused() {
    let whole = numbered(0..3);
    // The builder closes with two empty blocks, of which one is enough.
    let needed = whole.len() - 512;
    let lengths = (0..whole.len()).step_by(13);
    for length in lengths.chain((0..whole.len()).step_by(512)) {
        let (_folder, path) = one(&whole[..length]);
        let opened = open_captions(text(&path));
        match length < needed {
            true => {
                let error = opened.err().expect("it was opened").to_string();
                assert!(error.contains("s.tar, byte "), "{length}: {error}");
            }
            false => assert_eq!(sorted(&opened.unwrap()).len(), 3, "{length}"),
        }
    }
}

/// Opens, reads and decodes whatever is there.
fn touch(path: &Path) {
    let Ok(data) = open_captions(text(path)) else {
        return;
    };
    for split in Split::ALL {
        let samples = data.split(split);
        for index in 0..samples.len() {
            if let Ok(sample) = samples.get(index) {
                let _ = sample.image.decode();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..6)) {
        let mut archive = numbered(0..3);
        for (place, bits) in flips {
            let place = place.index(archive.len());
            archive[place] ^= bits;
        }
        let (_folder, path) = one(&archive);
        touch(&path);
    }

    /// Headers whose checksums are right, so that what they say is believed.
    #[test]
    fn believed_headers_never_panic(
        fields in prop::collection::vec((0usize..500, any::<u8>()), 0..8), header in 0usize..4, kind in any::<u8>(),
    ) {
        let mut archive = numbered(0..2);
        let block = &mut archive[header * 1024..][..512];
        block[156] = if kind < 128 { b"0LxgK512"[kind as usize % 8] } else { kind };
        for (place, byte) in fields {
            block[place] = byte;
        }
        let mut header = Header::from_byte_slice(block).clone();
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let (_folder, path) = one(&archive);
        touch(&path);
    }
}

#[test]
fn a_file_that_changes_after_it_was_opened_is_an_error() {
    let (folder, path) = one(&numbered(0..30));
    let data = open_captions(text(&path)).unwrap();
    let before = data.train.get(20).unwrap();
    for archive in [
        &numbered(0..30)[..8000],
        &[],
        &vec![b'x'; 100_000],
        &numbered(40..90),
    ] {
        write(path.clone(), archive);
        match data.train.get(20) {
            Ok(other) => assert_ne!(other.id, before.id),
            Err(error) => assert!(error.to_string().contains("s.tar"), "{error}"),
        }
    }
    write(path, b"");
    let error = before.image.decode().unwrap_err().to_string();
    assert!(error.contains("s.tar/"), "{error}");
    drop(folder);
    assert!(before.image.decode().is_err());
}
