//! Results of Pillow and torchvision for the same image; `xtask/peers/transforms.py` wrote the file.

use super::affine::Affine;
use super::resize::resize;
use super::window::Margins;
use super::{Grayscale, Interpolation, PaddingMode, Transform, adjust, rand_augment};
use crate::Picture;
use cnn_tensor::Random;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    rand_augment: BTreeMap<String, Strengths>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    numbers: Vec<f64>,
    shape: [usize; 3],
    bytes: String,
}

#[derive(Deserialize)]
struct Strengths {
    strength: BTreeMap<String, f64>,
    signed: Vec<String>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../tests/fixtures/transforms.json")).unwrap()
}

const SHAPE: [usize; 3] = [3, 17, 20];

/// The upper bytes of a linear congruential generator, as the script has them.
fn noise() -> Picture<'static> {
    let mut state = 1u64;
    let mut byte = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    Picture::new(SHAPE, (0..SHAPE.iter().product()).map(|_| byte()).collect::<Vec<_>>()).unwrap()
}

/// Shades from 60 to 187.
fn dull() -> Picture<'static> {
    let mut picture = noise();
    picture.data_mut().iter_mut().for_each(|byte| *byte = *byte / 2 + 60);
    picture
}

/// This library's result.
fn ours(case: &Case) -> Picture<'static> {
    let numbers = &case.numbers[..];
    let adjusted = |mut picture: Picture<'static>, adjust: &dyn Fn(&mut Picture<'_>)| {
        adjust(&mut picture);
        picture
    };
    let factor = numbers.first().map_or(0.0, |&factor| factor as f32);
    let (operation, option) = case.name.split_once('_').unwrap_or((&case.name, ""));
    let interpolation = || -> Interpolation { serde_json::from_value(option.into()).unwrap() };
    let whole: Vec<usize> = numbers.iter().map(|&v| v.max(0.0) as usize).collect();
    match (operation, numbers) {
        ("resize", _) => {
            let [top, left, h, w, target_h, target_w] = whole[..] else { panic!("{whole:?}") };
            resize(&noise(), ([top, left], [h, w]), [target_h, target_w], interpolation()).unwrap()
        }
        ("affine", &[angle, x, y, scale, shear_x, shear_y]) => {
            let map = Affine { center: [0.0; 2], angle, translate: [x, y], scale, shear: [shear_x, shear_y] };
            map.apply(&noise(), interpolation(), 0)
        }
        ("rotate", &[angle]) => {
            let rotation =
                super::RandomRotation { degrees: [angle as f32; 2], interpolation: interpolation(), fill: 0 };
            rotation.apply(noise(), &mut Random::new(0, &[])).unwrap()
        }
        ("pad", _) => {
            let mode: PaddingMode = serde_json::from_value(option.into()).unwrap();
            let margins = Margins { padding: whole[..].try_into().unwrap(), mode, fill: 7 };
            let size = margins.around(&noise()).unwrap();
            margins.crop(&noise(), [0, 0], size)
        }
        ("brightness", _) => adjusted(noise(), &|picture| adjust::brightness(picture, factor)),
        ("contrast", _) => adjusted(noise(), &|picture| adjust::contrast(picture, factor)),
        ("saturation", _) => adjusted(noise(), &|picture| adjust::saturation(picture, factor)),
        ("sharpness", _) => adjusted(noise(), &|picture| adjust::sharpness(picture, factor)),
        ("hue", _) => adjusted(noise(), &|picture| adjust::hue(picture, factor)),
        ("posterize", _) => adjusted(noise(), &|picture| adjust::posterize(picture, whole[0] as u8)),
        ("solarize", _) => adjusted(noise(), &|picture| adjust::solarize(picture, factor)),
        ("invert", _) => adjusted(noise(), &adjust::invert),
        ("auto", _) => adjusted(dull(), &adjust::auto_contrast),
        ("equalize", _) => adjusted(dull(), &adjust::equalize),
        ("grayscale", _) => Grayscale::default().apply(noise(), &mut Random::new(0, &[])).unwrap(),
        _ => panic!("{}", case.name),
    }
}

#[test]
fn results_are_those_of_pillow_and_torchvision() {
    let cases = fixture().cases;
    assert!(cases.len() > 40);
    for case in cases {
        let what = format!("{} {:?}", case.name, case.numbers);
        let picture = ours(&case);
        assert_eq!(picture.shape(), case.shape, "{what}");
        let digits = case.bytes.as_bytes().as_chunks::<2>().0;
        let theirs: Vec<u8> = digits
            .iter()
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(theirs.len(), picture.data().len(), "{what}");
        let errors = picture.data().iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b));
        // Where numbers are rounded, by one grey level; where bytes are moved or looked up, not at all.
        let exact = ["nearest", "pad", "posterize", "solarize", "invert", "equalize"];
        let allowed = u8::from(!exact.iter().any(|name| case.name.contains(name)));
        let worst = errors.clone().max().unwrap();
        assert!(worst <= allowed, "{what}: an error of {worst}");
        let off = errors.filter(|&error| error > 0).count();
        // Nearly all are the same, hue aside, which is rounded elsewhere.
        assert!(off * 4 <= theirs.len() || case.name == "hue", "{what}: {off} of {} differ", theirs.len());
    }
}

#[test]
fn strengths_of_rand_augment_are_torchvisions() {
    let fixture = fixture().rand_augment;
    assert_eq!(fixture.len(), 3);
    for (name, theirs) in fixture {
        let (magnitude, bins) = name.split_once(" of ").unwrap();
        let number = |text: &str| text.parse::<f64>().unwrap();
        let share = number(magnitude) / (number(bins) - 1.0);
        let ours = rand_augment::strengths(share, [SHAPE[1], SHAPE[2]]);
        assert_eq!(ours.len(), theirs.strength.len());
        for (operation, strength, signed) in ours {
            let want = theirs.strength[&operation];
            assert!((strength - want).abs() < 1e-4, "{operation} at {name}: {strength} is not {want}");
            assert_eq!(signed, theirs.signed.contains(&operation), "{operation}");
        }
    }
}
