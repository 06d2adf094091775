//! Images with captions in tar archives: what is read, and how it is split.

use std::collections::BTreeSet;
use std::path::PathBuf;

use image::ImageFormat;
use tar::{Builder, EntryType, Header};

use super::{encoded, folder, picture, text};
use crate::{
    CaptionSample, Data, Kind, Samples, Split, describe, fraction, kind, open_captions,
    open_passages, open_pictures,
};

/// An archive of files, each with its content.
pub fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An archive of samples called by numbers.
pub fn numbered(numbers: std::ops::Range<usize>) -> Vec<u8> {
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
pub fn sorted(data: &Data<CaptionSample>) -> Vec<CaptionSample> {
    let mut samples: Vec<_> = Split::ALL
        .iter()
        .flat_map(|&split| all(data.split(split)))
        .collect();
    samples.sort_by(|a, b| a.id.cmp(&b.id));
    samples
}

/// A folder with an archive alone, and the archive's path.
pub fn one(archive: &[u8]) -> (tempfile::TempDir, PathBuf) {
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

/// What lies between two headers is passed over, be it more than memory or 32 bits hold.
#[test]
#[cfg(unix)]
fn contents_are_not_read_on_opening() {
    use std::io::{Seek, SeekFrom, Write};
    const LARGE: u64 = 1 << 36;
    let mut header = Header::new_gnu();
    header.set_path("a.mp4").unwrap();
    header.set_size(LARGE);
    header.set_cksum();
    let (_folder, path) = one(header.as_bytes());
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(512 + LARGE)).unwrap();
    file.write_all(&numbered(0..5)).unwrap();
    let started = std::time::Instant::now();
    let samples = sorted(&open_captions(text(&path)).unwrap());
    assert_eq!(samples[4].captions, ["caption 4"]);
    assert_eq!(samples[4].image.decode().unwrap(), picture(3, 2));
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn archives_that_were_put_together_are_read_to_the_end() {
    let (_folder, path) = one(&[numbered(0..3), numbered(3..5)].concat());
    assert_eq!(sorted(&open_captions(text(&path)).unwrap()).len(), 5);
    // A long name without its member is not that of the next archive's first.
    let long = "x".repeat(200) + ".png";
    let name = pack(&[(&long, b"")])[..1024].to_vec();
    let (_folder, path) = one(&[name, vec![0; 512], numbered(0..2)].concat());
    let samples = sorted(&open_captions(text(&path)).unwrap());
    assert_eq!(samples[0].id, "s.tar/0000");
}

#[test]
fn shards_alone_are_split_by_a_hash_of_the_key() {
    let names = ["a-09.tar", "a-10.tar", "notes.txt"];
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
    let range = folder.path().join("a-{09..10}.tar");
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
