//! Images with captions in tar archives: what is read, how it is split, and that damaged archives are refused.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::{encoded, folder, picture, text, write};
use crate::{
    CaptionSample, Data, Kind, Samples, Split, describe, fraction, kind, open_captions,
    open_passages, open_pictures,
};

/// An archive of files, each with its content.
fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An archive of samples called by numbers.
fn numbered(numbers: std::ops::Range<usize>) -> Vec<u8> {
    let png = encoded(3, 2, ImageFormat::Png);
    let files: Vec<(String, Vec<u8>)> = numbers
        .flat_map(|number| {
            let caption = format!("caption {number}").into_bytes();
            let image = (format!("{number:04}.png"), png.clone());
            [image, (format!("{number:04}.txt"), caption)]
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (name.as_str(), &content[..]))
        .collect();
    pack(&files)
}

fn all<S>(samples: &Samples<S>) -> Vec<S> {
    (0..samples.len())
        .map(|index| samples.get(index).unwrap())
        .collect()
}

/// The samples of all splits by their id.
fn sorted(data: &Data<CaptionSample>) -> Vec<CaptionSample> {
    let mut samples: Vec<_> = Split::ALL
        .iter()
        .flat_map(|&split| all(data.split(split)))
        .collect();
    samples.sort_by(|a, b| a.id.cmp(&b.id));
    samples
}

fn one(archive: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = folder(&[("s.tar", archive)]);
    let path = folder.path().join("s.tar");
    (folder, path)
}

#[test]
fn files_that_share_their_name_are_a_sample() {
    let (png, jpeg) = (
        encoded(4, 3, ImageFormat::Png),
        encoded(16, 8, ImageFormat::Jpeg),
    );
    let (_folder, path) = one(&pack(&[
        ("._a.jpg", b"what a file system left"),
        ("a.cls", b"7"),
        ("a.jpg", &jpeg),
        ("a.seg.png", b"another ending"),
        ("a.txt", " \u{feff}first\n".trim_start().as_bytes()),
        ("a.json", br#"{"caption": "left alone beside a .txt"}"#),
        ("README", b"no ending"),
        (
            "b.dir/b.JSON",
            br#"{"captions": [" one ", "two"], "url": 3}"#,
        ),
        ("b.dir/b.Png", &png),
        ("./c/c.png", &png),
        ("./c/c.json", br#"{"caption": "third", "captions": null}"#),
    ]));
    assert_eq!(kind(text(&path)).unwrap(), Kind::Captions);
    let samples = sorted(&open_captions(text(&path)).unwrap());
    let said: Vec<_> = samples
        .iter()
        .map(|sample| (sample.id.as_str(), sample.captions.join("|")))
        .collect();
    let expected = [
        ("s.tar/a", "first"),
        ("s.tar/b.dir/b", "one|two"),
        ("s.tar/c/c", "third"),
    ];
    assert_eq!(said, expected.map(|(id, captions)| (id, captions.into())));
    assert_eq!(samples[0].image.decode().unwrap().dimensions(), (16, 8));
    assert_eq!(samples[1].image.decode().unwrap(), picture(4, 3));
    let names: BTreeSet<_> = samples.iter().map(|sample| sample.image.name()).collect();
    assert_eq!(names.len(), 3);
    assert!(names.contains(text(&path.join("b.dir/b.Png"))), "{names:?}");
}

#[test]
fn long_names_and_pax_headers_are_followed() {
    let png = encoded(4, 3, ImageFormat::Png);
    let long = "folder/".repeat(40) + "name";
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Directory);
    header.set_size(0);
    builder
        .append_data(&mut header, "folder/", &b""[..])
        .unwrap();
    for (ending, content) in [("png", &png[..]), ("txt", b"long")] {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        let path = format!("{long}.{ending}");
        builder.append_data(&mut header, path, content).unwrap();
    }
    for (ending, content) in [("png", &png[..]), ("txt", b"extended")] {
        let path = format!("{long}-ä.{ending}");
        let size = content.len().to_string();
        let keys = [("path", path.as_bytes()), ("size", size.as_bytes())];
        builder.append_pax_extensions(keys).unwrap();
        let mut header = Header::new_ustar();
        header.set_path("short").unwrap();
        // What the extension says counts.
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    let (_folder, path) = one(&builder.into_inner().unwrap());
    let samples = sorted(&open_captions(text(&path)).unwrap());
    let said: Vec<_> = samples
        .iter()
        .map(|sample| (sample.id.clone(), sample.captions[0].as_str()))
        .collect();
    let expected = [
        (format!("s.tar/{long}"), "long"),
        (format!("s.tar/{long}-ä"), "extended"),
    ];
    assert_eq!(said, expected);
    for sample in samples {
        assert_eq!(sample.image.decode().unwrap(), picture(4, 3));
    }
}

#[test]
fn archives_that_were_put_together_are_read_to_the_end() {
    let (_folder, path) = one(&[numbered(0..3), numbered(3..5)].concat());
    assert_eq!(sorted(&open_captions(text(&path)).unwrap()).len(), 5);
}

#[test]
fn shards_alone_are_split_by_a_hash_of_the_key() {
    let names = ["a-0.tar", "a-1.tar", "notes.txt"];
    let folder = folder(&[
        (names[0], &numbered(0..120)),
        (names[1], &numbered(120..200)),
        (names[2], b"left alone"),
    ]);
    let data = open_captions(text(folder.path())).unwrap();
    let mut captions = BTreeSet::new();
    for split in Split::ALL {
        let samples = all(data.split(split));
        let keys = samples
            .iter()
            .map(|sample| sample.id.split_once('/').unwrap().1);
        let expected = match split {
            Split::Train => 0.2..1.0,
            Split::Valid => 0.1..0.2,
            Split::Test => 0.0..0.1,
        };
        assert!(keys.clone().all(|key| expected.contains(&fraction(key))));
        assert!(keys.is_sorted());
        captions.extend(samples.into_iter().map(|sample| sample.captions[0].clone()));
    }
    let expected: BTreeSet<_> = (0..200).map(|number| format!("caption {number}")).collect();
    assert_eq!(captions, expected);
    assert!((5..40).contains(&data.valid.len()) && (5..40).contains(&data.test.len()));

    // A range is the same dataset, and so is a part of it another one.
    let range = folder.path().join("a-{0..1}.tar");
    let same = open_captions(text(&range)).unwrap();
    assert_eq!(
        (&same.digest, same.train.len()),
        (&data.digest, data.train.len())
    );
    assert_eq!(describe(text(&range)).unwrap().problem_count, 0);
    let part = open_captions(text(&folder.path().join(names[0]))).unwrap();
    assert_ne!(part.digest, data.digest);
    assert_eq!(sorted(&part).len(), 120);
}

#[test]
fn the_digest_sees_names_and_sizes() {
    let png = encoded(3, 2, ImageFormat::Png);
    let digest = |name: &str, key: &str, caption: &str| {
        let (image, text_file) = (format!("{key}.png"), format!("{key}.txt"));
        let archive = pack(&[(&image, &png), (&text_file, caption.as_bytes())]);
        let folder = folder(&[(name, &archive)]);
        open_captions(text(folder.path())).unwrap().digest
    };
    let known = digest("a.tar", "k", "caption");
    assert_eq!(known, digest("a.tar", "k", "caption"));
    for other in [
        digest("b.tar", "k", "caption"),
        digest("a.tar", "l", "caption"),
        digest("a.tar", "k", "captions"),
    ] {
        assert_ne!(known, other);
    }
}

#[test]
fn names_and_folders_say_the_split() {
    let archives = [
        numbered(0..4),
        numbered(4..6),
        numbered(6..7),
        numbered(7..10),
    ];
    let layouts = [
        ["train-0.tar", "val-0.tar", "test_0.tar", "train-1.tar"],
        [
            "cc3m-train-00.tar",
            "cc3m-validation-00.tar",
            "cc3m-test-00.tar",
            "cc3m-train-01.tar",
        ],
        ["train/0.tar", "valid/0.tar", "test/0.tar", "train/1.tar"],
    ];
    for names in layouts {
        let files: Vec<(&str, &[u8])> = names
            .into_iter()
            .zip(archives.iter().map(|a| &a[..]))
            .collect();
        let folder = folder(&files);
        let data = open_captions(text(folder.path())).unwrap();
        let counts = Split::ALL.map(|split| data.split(split).len());
        assert_eq!(counts, [7, 2, 1], "{names:?}");
        let train: Vec<_> = all(&data.train)
            .into_iter()
            .map(|sample| sample.captions)
            .collect();
        let expected = [0, 1, 2, 3, 7, 8, 9].map(|number| vec![format!("caption {number}")]);
        assert_eq!(train, expected);
    }
    // Without files for the test, a tenth of the training samples.
    let names = ["train-0.tar", "val-0.tar"];
    let folder = folder(&[
        (names[0], &numbered(0..200)),
        (names[1], &numbered(200..206)),
    ]);
    let data = open_captions(text(folder.path())).unwrap();
    assert_eq!(data.valid.len(), 6);
    assert!((5..40).contains(&data.test.len()));
}

#[test]
fn sets_of_shards_that_make_no_dataset_are_refused() {
    let archive = &numbered(0..3)[..];
    let cases: [(&[(&str, &[u8])], &str, &str); 6] = [
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
    let cases: [(&[(&str, &[u8])], &str, &str); 10] = [
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
    // A file that is as long as it says, but holds no name of that length.
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
    for length in 0..whole.len() {
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

#[test]
fn whatever_takes_captions_takes_shards() {
    let folder = folder(&[
        ("train-0.tar", &numbered(0..40)),
        ("test-0.tar", &numbered(40..50)),
    ]);
    let name = text(folder.path());
    assert_eq!(open_pictures(name).unwrap().test.len(), 10);
    let picture_of = open_pictures(name).unwrap().test.get(3).unwrap();
    assert_eq!(picture_of.id, "test-0.tar/0043");
    assert_eq!(picture_of.image.decode().unwrap(), picture(3, 2));
    assert_eq!(
        open_passages(name, 100).unwrap().test.get(3).unwrap(),
        "caption 43"
    );
    let description = describe(name).unwrap();
    let counts: Vec<_> = description
        .splits
        .iter()
        .map(|split| (split.images, split.items))
        .collect();
    assert_eq!(counts[0].0 + counts[1].0, 40);
    assert_eq!(counts[2], (10, 10));
    assert_eq!(description.kind, Kind::Captions);
    assert_eq!(description.problems, Vec::<String>::new());
    assert!(
        description.samples[0].starts_with("train-0.tar/00"),
        "{:?}",
        description.samples
    );
}
