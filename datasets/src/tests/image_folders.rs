//! Folders of images, by class and by themselves.

use image::ImageFormat;

use super::formats::all;
use super::{encoded, folder, text, write};
use crate::{DataError, Kind, Split, describe, open_images, open_pictures};

#[test]
fn images_by_themselves_are_pictures_and_no_classes() {
    let png = encoded(3, 2, ImageFormat::Png);
    let flat = folder(&[
        ("b.PNG", &png),
        ("a.jpeg", &encoded(3, 2, ImageFormat::Jpeg)),
        ("notes.txt", b"no picture"),
    ]);
    let ids = |data: &crate::Data<crate::Picture>, split| -> Vec<String> {
        let pictures = all(data.split(split)).into_iter();
        pictures.map(|picture| picture.id).collect()
    };
    let data = open_pictures(text(flat.path())).unwrap();
    let mut found = Split::ALL.map(|split| ids(&data, split)).concat();
    found.sort();
    assert_eq!(found, ["a.jpeg", "b.PNG"]);
    let error = open_images(text(flat.path())).err().unwrap();
    assert!(
        matches!(
            error,
            DataError::WrongKind {
                found: "images by themselves",
                ..
            }
        ),
        "{error}"
    );

    let split = folder(&[
        ("train/1.png", &png),
        ("train/2.png", &png),
        ("test/1.png", &png),
    ]);
    let data = open_pictures(text(split.path())).unwrap();
    assert_eq!(ids(&data, Split::Test), ["test/1.png"]);
    assert!(ids(&data, Split::Train).len() + ids(&data, Split::Valid).len() == 2);

    // An empty folder beside them is no class.
    std::fs::create_dir(flat.path().join("__MACOSX")).unwrap();
    assert!(open_pictures(text(flat.path())).is_ok());

    write(split.path().join("train/3.png"), &png[..png.len() - 9]);
    // Where nothing falls to validation, that is one too.
    let problems = 1 + usize::from(data.valid.is_empty());
    let description = describe(text(split.path())).unwrap();
    assert_eq!(
        (description.kind, description.problem_count),
        (Kind::Pictures, problems)
    );
    assert!(
        description.problems[0].contains("3.png"),
        "{:?}",
        description.problems
    );
    assert_eq!(description.duplicates[0].images.found, 1);
}

#[test]
fn what_a_folder_of_images_holds_beside_them_is_named() {
    let png = encoded(4, 4, ImageFormat::Png);
    let sorted = folder(&[
        ("train/cat/1.png", &png),
        ("train/dog/1.png", &png),
        ("val/cat/2.png", &png),
        ("validation.md", b"left alone"),
    ]);
    let data = open_images(text(sorted.path())).unwrap();
    assert_eq!(all(&data.valid)[0].id, "val/cat/2.png");

    write(sorted.path().join("train/3.png"), &png);
    write(sorted.path().join("train/cat/4.GIF"), b"GIF89a");
    let description = describe(text(sorted.path())).unwrap();
    let told = |what: &str| {
        description
            .problems
            .iter()
            .any(|problem| problem.contains(what))
    };
    assert!(
        told("`3.png` lies beside the folders"),
        "{:?}",
        description.problems
    );
    assert!(
        told("4.GIF: a picture of a kind"),
        "{:?}",
        description.problems
    );
}

#[test]
fn images_by_class_with_and_without_split_folders() {
    let png = encoded(4, 4, ImageFormat::Png);
    let jpeg = encoded(8, 8, ImageFormat::Jpeg);
    let split = folder(&[
        ("train/dog/1.png", &png),
        ("train/cat/2.JPG", &jpeg),
        ("train/cat/1.png", &png),
        ("train/cat/notes.md", b"left alone"),
        ("train/.hidden/1.png", &png),
        ("test/dog/9.jpeg", &jpeg),
        ("valid/cat/5.png", &png),
    ]);
    let data = open_images(text(split.path())).unwrap();
    assert_eq!(data.labels, ["cat", "dog"]);
    let train: Vec<_> = all(&data.train)
        .into_iter()
        .map(|sample| (sample.id, sample.label))
        .collect();
    let expected = [
        ("train/cat/1.png", 0),
        ("train/cat/2.JPG", 0),
        ("train/dog/1.png", 1),
    ];
    assert_eq!(train, expected.map(|(id, label)| (id.to_owned(), label)));
    assert_eq!((data.valid.len(), data.test.len()), (1, 1));

    let plain = folder(&[]);
    for class in ["a", "b"] {
        for number in 0..100 {
            write(plain.path().join(format!("{class}/{number}.png")), &png);
        }
    }
    let data = open_images(text(plain.path())).unwrap();
    assert_eq!(data.train.len() + data.valid.len() + data.test.len(), 200);
    assert!(!data.valid.is_empty() && !data.test.is_empty());

    write(split.path().join("test/bird/1.png"), &png);
    write(split.path().join("train/fish/readme"), b"");
    let error = open_images(text(split.path())).err().unwrap().to_string();
    assert!(error.contains("fish: the class has no images"), "{error}");
    let problems = describe(text(split.path())).unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|p| p.contains("the training split has no class `bird`")),
        "{problems:?}"
    );
}
