//! Folders of images, in a folder or in an archive: which of them are parts, and which are classes.

use super::part::{Part, is_neutral};
use super::{Opened, Parts, without_labels};
use crate::files::{Listing, PassedOver, Reason, name, split};
use crate::{DataError, Dataset, ImageFiles, imagenet};
use std::collections::BTreeSet;

/// How to say that folders with the names of parts are classes.
pub(super) const ADVICE: &str =
    "if these folders are classes, say so by --classes-from folders (ClassesFrom::Folders)";

/// The data set in the form that the names of its folders tell.
pub(super) fn arranged(listing: Listing) -> Result<Opened, DataError> {
    let listing = unwrapped(listing);
    let folders = listing.folders_with_images();
    let texts: Vec<String> = folders.iter().map(|folder| name::text(folder)).collect();
    let place = listing.place();
    let parts: Vec<&str> = texts.iter().map(String::as_str).filter(|name| Part::of(name).is_some()).collect();
    match parts[..] {
        [] => undivided(&listing),
        [only] if !is_divided(&listing, only) => one_part_is_a_class(&listing, only, &texts),
        _ => {
            let parts = Parts::of(&place, parts.into_iter())?;
            divided(&listing, &parts)
        }
    }
}

/// The folder around everything taken off: the only one with images, and with folders of its own in it.
fn unwrapped(mut listing: Listing) -> Listing {
    loop {
        let only = match listing.folders_with_images().into_iter().collect::<Vec<_>>()[..] {
            [only] if Part::of(&name::text(only)) != Some(Part::Train) => only.to_vec(),
            _ => return listing,
        };
        match listing.folder(&only) {
            Some(inner) if !listing.has_loose_items() && !inner.folders_with_images().is_empty() => {
                listing = inner;
            }
            _ => return listing,
        }
    }
}

/// Whether the set is divided although only one folder looks like a part: one for training, with classes in it or nothing
/// beside it.
fn is_divided(listing: &Listing, only: &str) -> bool {
    let classes = listing.folder(only.as_bytes()).is_some_and(|part| !part.folders_with_images().is_empty());
    Part::of(only) == Some(Part::Train) && (classes || listing.folders_with_images().len() == 1)
}

/// A set that is not divided, with a class called like a part: a `train` may be a vehicle.
fn one_part_is_a_class(listing: &Listing, class: &str, classes: &[String]) -> Result<Opened, DataError> {
    let inner = listing.folder(class.as_bytes());
    let again = inner.as_ref().map(Listing::folders_with_images).unwrap_or_default();
    if let Some(class_in_it) = again.iter().map(|name| name::text(name)).find(|name| classes.contains(name)) {
        let got = format!("{class_in_it} there and in {class}; {ADVICE}");
        return Err(DataError::layout(
            &listing.place(),
            "a folder for training, beside one for the test",
            got,
        ));
    }
    let opened = undivided(listing)?;
    let form = match classes.len() {
        1 => opened.form,
        _ => format!("{}; taken as a class: {class}", opened.form),
    };
    Ok(Opened { form, ..opened })
}

/// A class for each folder; or images whose names tell.
fn undivided(listing: &Listing) -> Result<Opened, DataError> {
    if listing.folders_with_images().is_empty() {
        let flat = imagenet::by_name_of(listing)?;
        return Ok(Opened::new("images named by synset, not divided", flat, None));
    }
    each_folder_a_class(listing)
}

/// A class for each folder of the listing, whatever it is called.
pub(super) fn each_folder_a_class(listing: &Listing) -> Result<Opened, DataError> {
    let images = in_words(ImageFiles::of_folders(listing, None)?);
    Ok(Opened::new("an image folder, not divided", images, None))
}

/// A set of which folders are parts.
fn divided(listing: &Listing, parts: &Parts<'_>) -> Result<Opened, DataError> {
    let Some(train_name) = parts.train else {
        let got = [parts.test, parts.spare].into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let expected = "a folder for the training set beside others (train, training, training_set, ...)";
        return Err(DataError::layout(&listing.place(), expected, format!("{got}; {ADVICE}")));
    };
    let train = inside(listing, train_name, &[]);
    if train.folders_with_images().is_empty() && parts.test.is_some() {
        let expected = "a folder of images for each class";
        let got = format!("images alone there and no folders with images; {ADVICE}");
        return Err(DataError::layout(&train.place(), expected, got));
    }
    let train = ImageFiles::of_folders(&train, None)?;
    let mut passed = train.passed_over().clone();
    let (mut test, mut test_name, mut remarks) = (None, None, String::new());
    for name in [parts.test, parts.spare].into_iter().flatten() {
        let part = inside(listing, name, train.classes());
        if test.is_some() {
            remarks.push_str(&format!("; not used: {name}"));
        } else if has_labels(&part, name, train.classes()) {
            let images = ImageFiles::of_folders(
                &Listing { passed: PassedOver::default(), ..part },
                Some(train.classes()),
            )?;
            passed.extend(images.passed_over());
            (test, test_name) = (Some(images), Some(name));
        } else {
            remarks.push_str(&without_labels(name, part.items.len()));
        }
    }
    let used: BTreeSet<&[u8]> =
        [Some(train_name), test_name].into_iter().flatten().map(str::as_bytes).collect();
    for item in &listing.items {
        match split(listing.below(item)) {
            Some((folder, _)) if used.contains(folder) => {}
            Some(_) => passed.add(Reason::Unused, listing.below(item)),
            None => passed.add(Reason::NoClass, listing.below(item)),
        }
    }
    let form = Parts { train: Some(train_name), test: test_name, spare: None }.form("image folders");
    let opened = Opened::new(form + &remarks, in_words(train), test.map(in_words));
    Ok(Opened { passed_over: passed, ..opened })
}

/// The part called `name`, without folders around everything in it that are called like the part or say nothing:
/// `seg_train/seg_train/CLASS`. A folder with the name of one of `classes` is that class.
fn inside(listing: &Listing, name: &str, classes: &[String]) -> Listing {
    let mut part = listing.folder(name.as_bytes()).expect("a folder of the listing");
    loop {
        let only = match part.folders_with_images().into_iter().collect::<Vec<_>>()[..] {
            [only] if !part.has_loose_items() => only.to_vec(),
            _ => return part,
        };
        let text = name::text(&only);
        let around = Part::of(&text) == Part::of(name) || is_neutral(&text);
        if !around || classes.contains(&text) {
            return part;
        }
        part = part.folder(&only).expect("a folder of the listing");
    }
}

/// Whether a part for validation or the test has a folder for each class. One folder of another name, as `unknown`, is what
/// some tools want around images without labels.
fn has_labels(part: &Listing, name: &str, classes: &[String]) -> bool {
    let folders: Vec<String> = part.folders_with_images().into_iter().map(name::text).collect();
    match &folders[..] {
        [] => false,
        [only] => Part::of(name) != Some(Part::Test) || classes.len() < 2 || classes.contains(only),
        _ => true,
    }
}

/// The same images, their classes called by words if they are all synsets of ILSVRC2012.
fn in_words(images: ImageFiles) -> ImageFiles {
    let words: Option<Vec<String>> =
        images.classes().iter().map(|class| imagenet::words(class).map(String::from)).collect();
    match words {
        Some(words) => images.named(words),
        None => images,
    }
}
