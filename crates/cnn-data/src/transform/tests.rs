//! What holds for all transforms: descriptions, seeds, shapes, errors.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn spec(description: serde_json::Value) -> TransformSpec {
    serde_json::from_value(description).unwrap()
}

/// Each transform with its options at their defaults, or as little as it needs; changing much, so that seeds show.
fn all() -> Vec<TransformSpec> {
    let specs: Vec<TransformSpec> = [
        json!({"type": "auto_contrast"}),
        json!({"type": "center_crop", "size": [5, 4]}),
        json!({"type": "color_jitter", "brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.2}),
        json!({"type": "cutout", "size": 3}),
        json!({"type": "elastic_transform"}),
        json!({"type": "equalize"}),
        json!({"type": "grayscale"}),
        json!({"type": "horizontal_flip"}),
        json!({"type": "invert"}),
        json!({"type": "pad", "padding": 2}),
        json!({"type": "pca_lighting"}),
        json!({"type": "posterize", "bits": 3}),
        json!({"type": "rand_augment"}),
        json!({"type": "random_affine", "degrees": 30, "translate": [0.2, 0.3], "scale": [0.8, 1.2], "shear": 10}),
        json!({"type": "random_apply", "steps": [{"type": "invert", "p": 1}]}),
        json!({"type": "random_choice", "steps": [{"type": "invert", "p": 1}, {"type": "posterize", "bits": 1, "p": 1}]}),
        json!({"type": "random_crop", "size": 6, "padding": [1, 2]}),
        json!({"type": "random_erasing", "p": 1, "value": "random"}),
        json!({"type": "random_grayscale", "p": 0.5}),
        json!({"type": "random_resized_crop", "size": [4, 6]}),
        json!({"type": "random_rotation", "degrees": 45, "interpolation": "bilinear"}),
        json!({"type": "resize", "size": 5}),
        json!({"type": "sharpness", "sharpness_factor": 2}),
        json!({"type": "solarize", "threshold": 100}),
    ]
    .map(spec)
    .into();
    let names: std::collections::BTreeSet<String> = specs.iter().map(name).collect();
    assert!(names.iter().eq(KINDS), "{names:?}");
    specs
}

fn name(spec: &TransformSpec) -> String {
    serde_json::to_value(spec).unwrap()["type"].as_str().unwrap().into()
}

fn noise(shape: [usize; 3], seed: u64) -> Picture<'static> {
    let mut picture = Picture::filled(shape, 0);
    let mut random = Random::new(seed, &["noise"]);
    picture.data_mut().iter_mut().for_each(|byte| *byte = random.below(256) as u8);
    picture
}

/// What becomes of an image: shape and numbers after both stages.
fn result(
    transform: &dyn Transform,
    picture: Picture<'_>,
    seed: u64,
) -> Result<([usize; 3], Vec<f32>), DataError> {
    let mut random = Random::new(seed, &[]);
    let picture = transform.apply(picture, &mut random)?;
    let normalize = Normalize::unit(picture.channels());
    let mut x = vec![0.0; picture.data().len()];
    normalize.image(picture.data(), &mut x);
    transform.finish(&mut x, picture.shape(), &normalize, &mut random)?;
    Ok((picture.shape(), x))
}

#[test]
fn a_description_is_what_it_describes_and_holds_every_option() {
    for spec in all() {
        spec.validate().unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        let back: TransformSpec = serde_json::from_str(&text).unwrap();
        assert_eq!(back, spec, "{text}");
        let mut unknown = serde_json::to_value(&spec).unwrap();
        unknown["wings"] = 2.into();
        let error = serde_json::from_value::<TransformSpec>(unknown).unwrap_err().to_string();
        assert!(error.contains("unknown field `wings`"), "{error}");
    }
    let error = serde_json::from_value::<TransformSpec>(json!({"type": "wings"})).unwrap_err().to_string();
    let rule = "expected one of the library's, or one that was registered";
    assert_eq!(error, format!("unknown transform \"wings\": {rule}"));
    let error = serde_json::from_value::<TransformSpec>(json!({"size": 3})).unwrap_err().to_string();
    assert_eq!(error, "missing field `type`");
}

#[test]
fn defaults_are_torchvisions() {
    let expanded = |description| serde_json::to_value(spec(description)).unwrap();
    let of = |description: serde_json::Value, want: serde_json::Value| {
        let spec = expanded(description);
        for (option, want) in want.as_object().unwrap() {
            let got = &spec[option];
            let close = |a: &serde_json::Value, b: &serde_json::Value| match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-6,
                _ => a == b,
            };
            let equal = match (got.as_array(), want.as_array()) {
                (Some(got), Some(want)) => {
                    got.len() == want.len() && got.iter().zip(want).all(|(a, b)| close(a, b))
                }
                _ => close(got, want),
            };
            assert!(equal, "{option} of {spec}: expected {want}");
        }
    };
    of(
        json!({"type": "random_crop", "size": 3}),
        json!({"size": [3, 3], "padding": [0, 0, 0, 0], "padding_mode": "constant", "fill": 0}),
    );
    of(
        json!({"type": "pad", "padding": [1, 2]}),
        json!({"padding": [1, 2, 1, 2], "padding_mode": "constant", "fill": 0}),
    );
    of(
        json!({"type": "random_resized_crop", "size": 3}),
        json!({"scale": [0.08, 1], "ratio": [0.75, 4.0 / 3.0], "interpolation": "bilinear"}),
    );
    of(json!({"type": "resize", "size": 3}), json!({"size": 3, "interpolation": "bilinear"}));
    of(
        json!({"type": "random_rotation", "degrees": 3}),
        json!({"degrees": [-3, 3], "interpolation": "nearest", "fill": 0}),
    );
    of(
        json!({"type": "random_affine", "degrees": [0, 3], "shear": [1, 2]}),
        json!({"degrees": [0, 3], "translate": [0, 0], "scale": [1, 1], "shear": [1, 2, 0, 0], "interpolation": "nearest"}),
    );
    of(
        json!({"type": "color_jitter", "contrast": 2, "saturation": [0.5, 0.75], "hue": [0, 0.25]}),
        json!({"brightness": [1, 1], "contrast": [0, 3], "saturation": [0.5, 0.75], "hue": [0, 0.25]}),
    );
    of(json!({"type": "random_grayscale"}), json!({"p": 0.1}));
    of(json!({"type": "random_apply", "steps": []}), json!({"p": 0.5}));
    of(
        json!({"type": "random_erasing"}),
        json!({"p": 0.5, "scale": [0.02, 0.33], "ratio": [0.3, 3.3], "value": 0}),
    );
    for kind in ["auto_contrast", "equalize", "invert", "horizontal_flip"] {
        of(json!({"type": kind}), json!({"p": 0.5}));
    }
}

#[test]
fn options_of_the_wrong_kind_are_explained() {
    let message = |description| serde_json::from_value::<TransformSpec>(description).unwrap_err().to_string();
    let cases = [
        (json!({"type": "center_crop", "size": "big"}), "expected a number of pixels, or [height, width]"),
        (json!({"type": "center_crop", "size": -1}), "expected a number of pixels, or [height, width]"),
        (
            json!({"type": "resize", "size": [1, 2, 3]}),
            "expected the length of the shorter side, or [height, width]",
        ),
        (
            json!({"type": "pad", "padding": [1, 2, 3]}),
            "expected a number of pixels, [left and right, top and bottom], or [left, top, right, bottom]",
        ),
        (
            json!({"type": "random_rotation", "degrees": []}),
            "expected a number, or [lower bound, upper bound]",
        ),
        (json!({"type": "color_jitter", "hue": "red"}), "expected a number, or [lower bound, upper bound]"),
        (
            json!({"type": "color_jitter", "contrast": "low"}),
            "expected a number, or [lower bound, upper bound]",
        ),
        (
            json!({"type": "random_affine", "degrees": 1, "shear": [1, 2, 3]}),
            "expected one, two or four numbers of degrees",
        ),
        (json!({"type": "random_erasing", "value": "dust"}), "expected a number or \"random\""),
        (json!({"type": "center_crop"}), "missing field `size`"),
    ];
    for (description, want) in cases {
        assert_eq!(message(description.clone()), want, "{description}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let message =
        |description: &serde_json::Value| spec(description.clone()).validate().unwrap_err().to_string();
    let cases = [
        (
            json!({"type": "auto_contrast", "p": 1.5}),
            "the probability of an auto contrast must be a probability from 0 to 1, got 1.5",
        ),
        (
            json!({"type": "equalize", "p": -1}),
            "the probability of an equalisation must be a probability from 0 to 1, got -1",
        ),
        (
            json!({"type": "invert", "p": 2}),
            "the probability of an inversion must be a probability from 0 to 1, got 2",
        ),
        (
            json!({"type": "center_crop", "size": 0}),
            "the size of a centre crop must be from 1 to 16384 pixels, got 0",
        ),
        (
            json!({"type": "center_crop", "size": [1, 16385]}),
            "the size of a centre crop must be from 1 to 16384 pixels, got 16385",
        ),
        (
            json!({"type": "random_crop", "size": 0}),
            "the size of a random crop must be from 1 to 16384 pixels, got 0",
        ),
        (
            json!({"type": "random_crop", "size": 1, "padding": 20000}),
            "a padding must be at most 16384 pixels, got 20000",
        ),
        (json!({"type": "pad", "padding": 20000}), "a padding must be at most 16384 pixels, got 20000"),
        (json!({"type": "resize", "size": 0}), "the size to resize to must be from 1 to 16384 pixels, got 0"),
        (
            json!({"type": "resize", "size": [1, 99999]}),
            "the size to resize to must be from 1 to 16384 pixels, got 99999",
        ),
        (
            json!({"type": "resize", "size": 8, "max_size": 8}),
            "max_size must be above 8, the size, and at most 16384, got 8",
        ),
        (
            json!({"type": "resize", "size": [8, 8], "max_size": 9}),
            "max_size must be left out where size is [height, width], got 9",
        ),
        (
            json!({"type": "random_resized_crop", "size": 0}),
            "the size of a resized crop must be from 1 to 16384 pixels, got 0",
        ),
        (
            json!({"type": "random_resized_crop", "size": 1, "scale": [0.5, 1.5]}),
            "the scale of a resized crop must be a lower and an upper bound within [0, 1], got [0.5, 1.5]",
        ),
        (
            json!({"type": "random_resized_crop", "size": 1, "ratio": [2, 1]}),
            "the ratio of a resized crop must be a lower and an upper bound within [0.001, 1000], got [2, 1]",
        ),
        (
            json!({"type": "random_rotation", "degrees": -1}),
            "the degrees of a rotation must be a lower and an upper bound within [-360, 360], got [1, -1]",
        ),
        (
            json!({"type": "random_rotation", "degrees": 1, "interpolation": "bicubic"}),
            "the interpolation of a rotation must be nearest or bilinear, got bicubic",
        ),
        (
            json!({"type": "random_affine", "degrees": 400}),
            "the degrees of an affine map must be a lower and an upper bound within [-360, 360], got [-400, 400]",
        ),
        (
            json!({"type": "random_affine", "degrees": 0, "translate": [0, 2]}),
            "the translation of an affine map must be two shares from 0 to 1, got [0.0, 2.0]",
        ),
        (
            json!({"type": "random_affine", "degrees": 0, "scale": [0, 1]}),
            "the scale of an affine map must be a lower and an upper bound within [0.001, 1000], got [0, 1]",
        ),
        (
            json!({"type": "random_affine", "degrees": 0, "shear": 90}),
            "the shear of an affine map must be a lower and an upper bound within [-89, 89], got [-90, 90]",
        ),
        (
            json!({"type": "random_affine", "degrees": 0, "shear": [0, 0, 5, 4]}),
            "the shear of an affine map must be a lower and an upper bound within [-89, 89], got [5, 4]",
        ),
        (
            json!({"type": "random_affine", "degrees": 0, "interpolation": "area"}),
            "the interpolation of an affine map must be nearest or bilinear, got area",
        ),
        (
            json!({"type": "elastic_transform", "alpha": -1}),
            "alpha of an elastic transform must be from 0 to 1000000, got -1",
        ),
        (
            json!({"type": "elastic_transform", "sigma": 300}),
            "sigma of an elastic transform must be from 0 to 256, got 300",
        ),
        (
            json!({"type": "elastic_transform", "scale": [2, 1]}),
            "the scale of an affine map must be a lower and an upper bound within [0.001, 1000], got [2, 1]",
        ),
        (
            json!({"type": "color_jitter", "brightness": -1}),
            "the brightness of a color jitter must be a lower and an upper bound of at least 0, got [2, 0]",
        ),
        (
            json!({"type": "color_jitter", "contrast": [-1, 1]}),
            "the contrast of a color jitter must be a lower and an upper bound of at least 0, got [-1, 1]",
        ),
        (
            json!({"type": "color_jitter", "saturation": [2, 1]}),
            "the saturation of a color jitter must be a lower and an upper bound of at least 0, got [2, 1]",
        ),
        (
            json!({"type": "color_jitter", "hue": 0.6}),
            "the hue of a color jitter must be a lower and an upper bound within [-0.5, 0.5], got [-0.6, 0.6]",
        ),
        (
            json!({"type": "grayscale", "num_output_channels": 2}),
            "the channels of a gray image must be 1 or 3, got 2",
        ),
        (
            json!({"type": "random_grayscale", "p": 9}),
            "the probability of a gray image must be a probability from 0 to 1, got 9",
        ),
        (
            json!({"type": "posterize", "bits": 9}),
            "the bits of a posterized image must be from 0 to 8, got 9",
        ),
        (
            json!({"type": "posterize", "bits": 8, "p": 9}),
            "the probability of a posterized image must be a probability from 0 to 1, got 9",
        ),
        (
            json!({"type": "solarize", "threshold": 300}),
            "the threshold of a solarized image must be from 0 to 256, got 300",
        ),
        (
            json!({"type": "solarize", "threshold": 1, "p": 9}),
            "the probability of a solarized image must be a probability from 0 to 1, got 9",
        ),
        (
            json!({"type": "sharpness", "sharpness_factor": -1}),
            "the factor of sharpness must be a number of at least 0, got -1",
        ),
        (
            json!({"type": "sharpness", "sharpness_factor": 1, "p": 9}),
            "the probability of another sharpness must be a probability from 0 to 1, got 9",
        ),
        (
            json!({"type": "rand_augment", "num_ops": 65}),
            "num_ops of a rand augment must be at most 64, got 65",
        ),
        (
            json!({"type": "rand_augment", "num_magnitude_bins": 1}),
            "num_magnitude_bins of a rand augment must be at least 2, got 1",
        ),
        (
            json!({"type": "rand_augment", "magnitude": 31}),
            "the magnitude of a rand augment must be below 31, the number of bins, got 31",
        ),
        (
            json!({"type": "rand_augment", "interpolation": "bicubic"}),
            "the interpolation of a rand augment must be nearest or bilinear, got bicubic",
        ),
        (
            json!({"type": "pca_lighting", "std": -1}),
            "the std of a PCA lighting must be a number of at least 0, got -1",
        ),
        (
            json!({"type": "pca_lighting", "eigenvalues": [1, 1e39, 1]}),
            "eigenvalues and eigenvectors of a PCA lighting must be finite numbers, got inf",
        ),
        (
            json!({"type": "random_erasing", "p": 2}),
            "the probability of random erasing must be a probability from 0 to 1, got 2",
        ),
        (
            json!({"type": "random_erasing", "scale": [0, 2]}),
            "the scale of random erasing must be a lower and an upper bound within [0, 1], got [0, 2]",
        ),
        (
            json!({"type": "random_erasing", "ratio": [0, 2]}),
            "the ratio of random erasing must be a lower and an upper bound within [0.001, 1000], got [0, 2]",
        ),
        (
            json!({"type": "random_erasing", "value": 1e39}),
            "the value of random erasing must be a finite number or \"random\", got inf",
        ),
        (json!({"type": "cutout", "size": 0}), "the size of a cutout must be from 1 to 16384 pixels, got 0"),
        (json!({"type": "cutout", "holes": 0}), "the holes of a cutout must be from 1 to 16384, got 0"),
        (
            json!({"type": "random_apply", "p": 2, "steps": []}),
            "the probability of a random apply must be a probability from 0 to 1, got 2",
        ),
        (
            json!({"type": "random_apply", "steps": [{"type": "cutout"}, {"type": "invert"}]}),
            "the steps of a random apply must be all before normalisation or all after it, got 1 of 2 after it",
        ),
        (
            json!({"type": "random_apply", "steps": [{"type": "invert", "p": 2}]}),
            "the probability of an inversion must be a probability from 0 to 1, got 2",
        ),
        (
            json!({"type": "random_choice", "steps": []}),
            "the steps of a random choice must be at least one, got none",
        ),
        (
            json!({"type": "random_choice", "steps": [{"type": "cutout"}, {"type": "random_choice", "steps": [{"type": "invert"}]}]}),
            "the steps of a random choice must be all before normalisation or all after it, got 1 of 2 after it",
        ),
        (
            json!({"type": "random_choice", "steps": [{"type": "cutout", "holes": 0}]}),
            "the holes of a cutout must be from 1 to 16384, got 0",
        ),
    ];
    for (description, want) in cases {
        assert_eq!(message(&description), want, "{description}");
    }
    let nan = [f32::NAN, 1.0];
    assert!(ColorJitter { brightness: nan, ..ColorJitter::default() }.validate().is_err());
    assert!(RandomAffine { scale: nan, ..RandomAffine::new(0.0) }.validate().is_err());
    assert!(RandomAffine { translate: nan, ..RandomAffine::new(0.0) }.validate().is_err());
    assert!(ElasticTransform { alpha: f32::NAN, ..ElasticTransform::default() }.validate().is_err());
}

#[test]
fn images_that_do_not_do_are_refused() {
    let message = |description, shape| {
        let spec = spec(description);
        spec.validate().unwrap();
        result(&spec, Picture::filled(shape, 9), 0).unwrap_err().to_string()
    };
    let cases = [
        (
            json!({"type": "center_crop", "size": [5, 4]}),
            [1, 4, 9],
            "a centre crop must be at most 4x9, the size of the image, got 5x4",
        ),
        (
            json!({"type": "random_crop", "size": 4}),
            [3, 9, 3],
            "a random crop must be at most 9x3, the size of the image, got 4x4",
        ),
        (
            json!({"type": "random_crop", "size": 4, "padding": [1, 0]}),
            [1, 3, 2],
            "a random crop must be at most 3x4, the size of the image, got 4x4",
        ),
        (
            json!({"type": "random_crop", "size": 1, "padding": 2, "padding_mode": "reflect"}),
            [1, 9, 2],
            "the padding by reflection must be less than the image, which is 9x2, got [2, 2, 2, 2]",
        ),
        (
            json!({"type": "pad", "padding": [0, 0, 0, 3], "padding_mode": "reflect"}),
            [1, 3, 9],
            "the padding by reflection must be less than the image, which is 3x9, got [0, 0, 0, 3]",
        ),
        (
            json!({"type": "pad", "padding": 16384}),
            [1, 3, 9],
            "a padded image must be of at most 268435456 pixels, got 32771x32777",
        ),
        (
            json!({"type": "resize", "size": 8192}),
            [1, 1, 5],
            "a resized image must be of at most 268435456 pixels, got 8192x40960",
        ),
        (
            json!({"type": "pca_lighting"}),
            [1, 3, 9],
            "an image for a PCA lighting must be one of 3 channels, got 1",
        ),
    ];
    for (description, shape, want) in cases {
        assert_eq!(message(description.clone(), shape), want, "{description}");
    }
}

/// Whole steps, one after the other.
fn stepwise(pipeline: &Pipeline, picture: Picture<'static>, random: &mut Random) -> Picture<'static> {
    pipeline.steps().iter().fold(picture, |picture, step| step.apply(picture, random).unwrap())
}

proptest! {
    #[test]
    fn a_crop_of_a_resized_image_is_the_same_bits_however_little_of_it_is_kept(
        (c, h, w, seed) in (1..5usize, 1..50usize, 1..50usize, any::<u64>()),
        size in 8..40usize, crop in [1..9usize, 1..9usize], exact: Option<[usize; 2]>, random: bool,
        interpolation in prop::sample::select(vec!["nearest", "bilinear", "bicubic", "area"]),
    ) {
        let size = exact.map_or(json!(size), |sides| json!(sides.map(|side| 8 + side % 300)));
        let kind = if random { "random_crop" } else { "center_crop" };
        let flip = json!({"type": "horizontal_flip"});
        let steps = json!([
            {"type": "resize", "size": size, "interpolation": interpolation}, {"type": kind, "size": crop}, flip,
        ]);
        let pipeline: Pipeline = serde_json::from_value(steps).unwrap();
        let picture = noise([c, h, w], seed);
        let stream = || Random::new(seed, &["crop"]);
        let want = stepwise(&pipeline, picture.clone(), &mut stream());
        prop_assert_eq!(pipeline.apply(picture, &mut stream()).unwrap(), want);
    }
}

/// Their resized wholes would be 19200x256, 6400000x256 and 256x4096000 pixels.
#[test]
fn banners_are_resized_no_further_than_they_are_kept() {
    for shape in [[3, 40, 3000], [3, 2, 50_000], [3, 16_000, 1]] {
        let banner = noise(shape, 1);
        for preset in Preset::ALL {
            let pipeline = preset.training(Frame::new(None, Some(224))).unwrap();
            let cropped = pipeline.apply(banner.clone(), &mut Random::new(7, &[])).unwrap();
            assert_eq!(cropped.shape(), [shape[0], 224, 224], "{preset} of {shape:?}");
        }
    }
    // The middle of the banner, whose whole is small enough to be made.
    let banner = noise([3, 40, 3000], 1);
    let centre = center_pipeline(256, [224, 224]);
    let want = stepwise(&centre, banner.clone(), &mut Random::new(0, &[]));
    assert_eq!(centre.apply(banner, &mut Random::new(0, &[])).unwrap(), want);
    // Where nothing follows, the whole is made, and has a bound.
    let resize = Resize::new(Size::Short(256));
    let error = resize.apply(noise([1, 2, 50_000], 1), &mut Random::new(0, &[])).unwrap_err().to_string();
    assert_eq!(error, "a resized image must be of at most 268435456 pixels, got 256x6400000");
    let cropped = center_pipeline(8192, [224, 224]).apply(noise([1, 1, 4000], 1), &mut Random::new(0, &[]));
    let error = cropped.unwrap_err().to_string();
    assert_eq!(error, "a resized image must be at most 16777216 pixels long, got 32768000");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    // Shades from 60 to 187: there is contrast to stretch.
    let mut dull = noise([3, 18, 17], 1);
    dull.data_mut().iter_mut().for_each(|byte| *byte = *byte / 2 + 60);
    for spec in all() {
        let seen: Vec<_> = (0..24).map(|seed| result(&spec, dull.clone(), seed).unwrap()).collect();
        let again: Vec<_> = (0..24).map(|seed| result(&spec, dull.clone(), seed).unwrap()).collect();
        assert_eq!(seen, again, "{spec:?}");
        let differs = seen.iter().any(|result| *result != seen[0]);
        assert_eq!(differs, spec.is_random(), "{spec:?}");
    }
}

#[test]
fn a_pipeline_is_random_if_a_step_is() {
    let pipeline = |steps: serde_json::Value| serde_json::from_value::<Pipeline>(steps).unwrap();
    assert!(!Pipeline::default().is_random());
    assert!(!pipeline(json!([{"type": "resize", "size": 3}, {"type": "grayscale"}])).is_random());
    assert!(pipeline(json!([{"type": "resize", "size": 3}, {"type": "horizontal_flip"}])).is_random());
    assert_eq!(pipeline(json!([{"type": "resize", "size": 3}])).steps().len(), 1);
}

proptest! {
    /// Any number of channels and any size, down to one pixel: a result or an error, and no number that is none.
    #[test]
    fn every_image_is_transformed_or_refused(
        (which, seed) in (0..24usize, any::<u64>()),
        shape in [1..=5usize, 1..=12usize, 1..=12usize],
    ) {
        let spec = &all()[which];
        let picture = noise(shape, seed);
        match result(spec, picture.clone(), seed) {
            Ok(([c, h, w], x)) => {
                prop_assert_eq!(x.len(), c * h * w);
                prop_assert!(x.iter().all(|x| x.is_finite()));
                prop_assert!(c == shape[0] || name(spec) == "grayscale");
            }
            Err(error) => {
                let [c, h, w] = shape;
                let fits = match name(spec).as_str() {
                    "center_crop" => h >= 5 && w >= 4,
                    "random_crop" => h + 4 >= 6 && w + 2 >= 6,
                    "pca_lighting" => c == 3,
                    "resize" => true,
                    _ => true,
                };
                prop_assert!(!fits, "{error}");
            }
        }
    }
}
