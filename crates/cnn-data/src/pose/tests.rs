use super::*;
use crate::testing::{tar, write};
use crate::transform::ColorJitter;
use crate::{DataError, InMemoryDataset, Picture};
use cnn_tensor::Random;
use proptest::prelude::*;
use std::path::Path;

/// The first line of a table of LSP's joints.
fn head() -> String {
    let joints = LSP.joints.iter().map(|name| format!(",{name}_x,{name}_y,{name}_v"));
    format!("image,width,height{}", joints.collect::<String>())
}

/// A line for an image of 30 x 40, whose joints are all alike.
fn line(image: &str, joint: &str) -> String {
    format!("{image},30,40{}", format!(",{joint}").repeat(14))
}

fn png(w: u32, h: u32) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(w, h).write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

fn set_of(picture: &Picture<'_>, people: Vec<Person>) -> PoseSet {
    let [c, h, w] = picture.shape();
    let n = people.len();
    let pixels = picture.data().repeat(n);
    let images = InMemoryDataset::new([n, c, h, w], pixels, vec![0; n], vec![String::new()]).unwrap();
    PoseSet::new(images, people, &LSP).unwrap()
}

#[test]
fn every_pair_and_limb_of_lsp_is_of_its_side() {
    for joint in 0..14 {
        assert_eq!(LSP.mirrored(LSP.mirrored(joint)), joint);
        let swapped = |name: &str| match name.split_once('_') {
            Some(("right", rest)) => format!("left_{rest}"),
            Some(("left", rest)) => format!("right_{rest}"),
            _ => name.to_string(),
        };
        assert_eq!(LSP.joints[LSP.mirrored(joint)], swapped(LSP.joints[joint]));
        let side = ["right", "left"].map(|side| LSP.joints[joint].starts_with(side));
        let want = if side[0] {
            Side::Right
        } else if side[1] {
            Side::Left
        } else {
            Side::Middle
        };
        assert_eq!(LSP.side(joint), want);
    }
    for limb in LSP.limbs {
        assert!(limb.ends.iter().all(|&end| LSP.side(end) == limb.side), "{limb:?}");
        let mirrored = limb.ends.map(|end| LSP.mirrored(end));
        assert!(LSP.limbs.iter().any(|other| other.name == limb.name && other.ends == mirrored), "{limb:?}");
    }
    assert_eq!(LSP.torso.map(|joint| LSP.joints[joint]), ["left_shoulder", "right_hip"]);
}

#[test]
fn a_table_is_read_beside_a_folder_and_beside_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let other =
        format!("note,{}\nx,{}\n\ny,{}\n", head(), line("a.png", "1,2,1"), line("sub/b.png", "3.5,4,0"));
    let images: [(&str, &[u8]); 2] = [("a.png", &png(30, 40)), ("sub/b.png", &png(30, 40))];
    write(
        folder.path(),
        &[("one.csv", other.as_bytes()), ("two.csv", other.as_bytes()), ("two.tar", &tar(&images))],
    );
    write(&folder.path().join("one"), &images);
    for name in ["one.csv", "two.csv"] {
        let set = PoseSet::beside(folder.path().join(name), &LSP).unwrap();
        assert_eq!(set.len(), 2);
        assert_eq!(set.person(0).joints[13], Joint { x: 1.0, y: 2.0, visible: true });
        assert_eq!(set.person(1).joints[0], Joint { x: 3.5, y: 4.0, visible: false });
        assert_eq!(set.person(1).bounds, PersonBox::whole([30, 40]));
        assert_eq!(set.picture(1).unwrap().shape(), [1, 40, 30]);
        assert!(set.name(1).ends_with("sub/b.png"));
        let backwards = set.subset(&[1, 0]);
        assert_eq!((backwards.person(0), backwards.name(0)), (set.person(1), set.name(1)));
        assert_ne!(set.fingerprint(), backwards.fingerprint());
        assert!(
            set.fingerprint().difference(&set.subset(&[0]).fingerprint()).unwrap().contains("had 2 examples")
        );
    }
}

#[test]
fn images_are_found_by_their_names_alone_and_a_box_may_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("{},box_x,box_y,box_width,box_height\n{},5,6.5,10,20\n", head(), line("a.png", "1,2,1"));
    write(
        folder.path(),
        &[("t.csv", text.as_bytes()), ("t/deep/a.png", &png(30, 40)), ("t/b.png", &png(1, 1))],
    );
    let set = PoseSet::beside(folder.path().join("t.csv"), &LSP).unwrap();
    let bounds = PersonBox { x: 5.0, y: 6.5, width: 10.0, height: 20.0 };
    assert_eq!((set.person(0).bounds, set.len()), (bounds, 1));
    // Two of that name are none.
    write(folder.path(), &[("t/other/a.png", &png(30, 40))]);
    assert!(PoseSet::beside(folder.path().join("t.csv"), &LSP).unwrap_err().to_string().contains("a.png"));
}

/// The error for a table of that text, beside images of these names.
fn refusal(text: &str, images: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("t.csv", text.as_bytes())]);
    images.iter().for_each(|name| write(&folder.path().join("t"), &[(name, &png(30, 40))]));
    let message = PoseSet::beside(folder.path().join("t.csv"), &LSP).unwrap_err().to_string();
    assert!(!message.contains(char::is_control), "{message}");
    message.replace(&folder.path().join("").display().to_string(), "")
}

#[test]
fn tables_that_cannot_be_used_are_refused_by_line_and_column() {
    let images = ["a.png"];
    let of = |lines: &[String]| refusal(&format!("{}\n{}\n", head(), lines.join("\n")), &images);
    let a = || line("a.png", "1,2,1");
    assert_eq!(
        refusal(&head().replace(",left_knee_y", "").replace(",neck_v", ""), &images),
        "t.csv: expected the columns image, width, height, and x, y and v of 14 joints, got none named left_knee_y, neck_v"
    );
    assert!(
        refusal("image,x\n", &images).ends_with("got none named width, height, right_ankle_x, and 41 more")
    );
    assert_eq!(
        refusal("", &images),
        "t.csv: expected a line with the names of the columns, got an empty file"
    );
    assert_eq!(of(&[]), "t.csv: expected a line for each person, got none");
    assert_eq!(of(&[a() + ",9"]), "t.csv: expected 45 columns in line 2, as in the first, got 46");
    assert_eq!(
        of(&[a(), line("a.png", "1,what,1")]),
        "t.csv: expected a number in column right_ankle_y of line 3, got \"what\""
    );
    assert!(
        of(&[line("a.png", "NaN,2,1")]).contains("a number in column right_ankle_x of line 2, got \"NaN\"")
    );
    assert!(of(&[line("a.png", "1,2,2")]).contains("0 or 1 in column right_ankle_v of line 2, got \"2\""));
    assert!(
        of(&[a().replace("30,40", "0,40")]).contains("a whole number of pixels in column width of line 2")
    );
    assert!(of(&[line("", "1,2,1")]).contains("expected the name of an image in line 2"));
    assert_eq!(
        of(&[a(), line("a.png", "31,2,0"), line("a.png", "1,-2,1")]),
        "t.csv: expected visible joints inside of their images, got 14 outside: right_ankle of a.png in line 4 at (1, -2) of \
         30 x 40, right_knee of a.png in line 4 at (1, -2) of 30 x 40, right_hip of a.png in line 4 at (1, -2) of 30 x 40, and \
         11 more"
    );
    assert_eq!(
        of(&["b", "c", "a", "d", "e"].map(|name| line(&format!("{name}.png"), "1,2,1"))),
        "t: expected the images that t.csv names, got 4 that are not there: b.png, c.png, d.png, and 1 more"
    );
    assert_eq!(
        refusal(&format!("{}\n{}\n", head(), a()), &[]),
        "t.csv: expected its images in t.tar or t or images, got none of them"
    );
}

#[test]
fn a_table_that_is_not_text_and_an_image_of_another_size_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("t.csv", b"image\xff"), ("t/a.png", &png(3, 4))]);
    let table = folder.path().join("t.csv");
    assert!(PoseSet::beside(&table, &LSP).unwrap_err().to_string().contains("at byte 5"));
    write(folder.path(), &[("t.csv", format!("{}\n{}\n", head(), line("a.png", "1,2,1")).as_bytes())]);
    let message = PoseSet::beside(&table, &LSP).unwrap().picture(0).unwrap_err().to_string();
    assert!(message.ends_with("a.png: expected 30 x 40 pixels as its table says, got 3 x 4"), "{message}");
    assert!(PoseSet::beside(Path::new("nothing/here.csv"), &LSP).is_err());
}

prop_compose! {
    fn view()(
        center in prop::array::uniform2(10.0..50.0f64), extent in 8.0..90.0f64, angle in -4.0..4.0f64, mirrored: bool,
    ) -> View {
        View { center, extent, angle, mirrored }
    }
}

proptest! {
    #[test]
    fn a_place_in_a_view_leads_back_to_its_source(view in view(), place in prop::array::uniform2(-60.0..90.0f64)) {
        let back = view.source(view.place(place));
        prop_assert!(back.iter().zip(place).all(|(a, b)| (a - b).abs() < 1e-9), "{back:?} is not {place:?}");
    }

    /// A bright dot on black lies in the view where its place says.
    #[test]
    fn a_dot_lands_where_its_joint_does(
        view in view(), at in prop::array::uniform2(12.0..48.0f64), side in 16..80usize,
    ) {
        // A round spot, large enough to be seen where the view is coarse.
        let mut picture = Picture::filled([1, 60, 60], 0);
        let radius = 3.0f64;
        for y in 0..60 {
            for x in 0..60 {
                let distance = (x as f64 + 0.5 - at[0]).hypot(y as f64 + 0.5 - at[1]);
                picture.data_mut()[y * 60 + x] = (255.0 * (radius + 0.5 - distance).clamp(0.0, 1.0)) as u8;
            }
        }
        let place = view.place(at);
        // So far from the border that the whole spot is in the view.
        let margin = 0.5 - (radius + 2.0) / view.extent;
        prop_assume!(place.iter().all(|v| v.abs() < margin));
        let seen = view.picture(&picture, side).unwrap();
        let (mut sum, mut mean) = (0.0, [0.0; 2]);
        for (i, &byte) in seen.data().iter().enumerate() {
            // Outside of the picture the view is gray, not black.
            let [u, v] = [i % side, i / side].map(|at| (at as f64 + 0.5) / side as f64 - 0.5);
            let [x, y] = view.source([u, v]);
            let inside = (1.0..59.0).contains(&x) && (1.0..59.0).contains(&y);
            if inside && (x - at[0]).hypot(y - at[1]) < radius + 3.0 {
                sum += f64::from(byte);
                mean = [mean[0] + u * f64::from(byte), mean[1] + v * f64::from(byte)];
            }
        }
        prop_assume!(sum > 0.0);
        let mean = mean.map(|mean| mean / sum);
        // Within a quarter of a pixel of the picture, or half a pixel of a coarse view.
        let off = (mean[0] - place[0]).hypot(mean[1] - place[1]) * view.extent;
        let allowed = 0.25f64.max(0.5 * view.extent / side as f64);
        prop_assert!(off < allowed, "{off} pixels: {mean:?} is not {place:?}");
    }

    /// In a mirrored batch the right ankle is where the left one was drawn, and everything else likewise.
    #[test]
    fn targets_are_the_places_of_joints_in_what_the_network_sees(seed: u64, flip: bool, zoom in 0.5..1.5f64) {
        let mut random = Random::new(seed, &["joints"]);
        let joints: Vec<Joint> = (0..14)
            .map(|_| Joint { x: random.uniform(0.0, 50.0), y: random.uniform(0.0, 70.0), visible: random.chance(0.8) })
            .collect();
        let person = Person { joints: joints.clone(), bounds: PersonBox::whole([50, 70]) };
        let set = set_of(&Picture::filled([3, 70, 50], 9), vec![person]);
        let input = cnn_nn::Input::new([3, 24, 24], &[0.5; 3], &[0.25; 3]);
        let augment = PoseAugment { flip: f32::from(u8::from(flip)), ..PoseAugment::default() };
        let loader = PoseLoader::new(set, &input, Aim::Person { zoom }, 4).unwrap().augment(augment, seed).unwrap();
        let batch = cnn_nn::Batches::epoch(&loader, 0, 0).next().unwrap().unwrap();
        let (places, mask) = &batch.target;
        for (joint, at) in joints.iter().enumerate() {
            let output = if flip { LSP.mirrored(joint) } else { joint };
            // The definition: pixels from the middle of the square, in its sides.
            let [x, y] = [f64::from(at.x) - 25.0, f64::from(at.y) - 35.0].map(|v| v / (70.0 * zoom));
            let want = [if flip { -x } else { x }, y];
            let asked = at.visible && want.iter().all(|v| v.abs() <= 0.5);
            for (axis, want) in want.into_iter().enumerate() {
                prop_assert_eq!(mask.data()[2 * output + axis], f32::from(u8::from(asked)));
                let got = f64::from(places.data()[2 * output + axis]);
                prop_assert!((got - if asked { want } else { 0.0 }).abs() < 1e-6, "{got} {want}");
            }
        }
    }
}

/// People whose joints lie anywhere in a picture of noise.
fn crowd(n: usize) -> PoseSet {
    let mut random = Random::new(5, &["crowd"]);
    let mut picture = Picture::filled([3, 40, 30], 0);
    picture.data_mut().iter_mut().for_each(|byte| *byte = random.below(256) as u8);
    let joint = |random: &mut Random| Joint {
        x: random.uniform(0.0, 30.0),
        y: random.uniform(0.0, 40.0),
        visible: true,
    };
    let people = (0..n).map(|_| Person {
        joints: (0..14).map(|_| joint(&mut random)).collect(),
        bounds: PersonBox::whole([30, 40]),
    });
    set_of(&picture, people.collect())
}

fn augment() -> PoseAugment {
    let colors = ColorJitter { brightness: [0.5, 1.5], ..ColorJitter::default() };
    PoseAugment { rotation: 180.0, scale: [0.5, 2.0], shift: 0.1, flip: 0.5, colors }
}

#[test]
fn batches_depend_on_seed_and_epoch_and_not_on_workers_or_interruptions() {
    let input = cnn_nn::Input::new([3, 16, 16], &[0.5; 3], &[0.25; 3]);
    for aim in [
        Aim::Person { zoom: 0.9 },
        Aim::Joint { zoom: 0.9, size: 0.4, errors: vec![vec![[0.05, -0.02], [0.0, 0.1]]; 14], each: 3 },
    ] {
        let loader = |seed, workers| {
            let loader = PoseLoader::new(crowd(7), &input, aim.clone(), 4).unwrap().shuffle(seed);
            loader.augment(augment(), seed).unwrap().workers(workers)
        };
        let batches = |loader: &PoseLoader, epoch, skip| -> Vec<_> {
            let batches = cnn_nn::Batches::epoch(loader, epoch, skip).map(Result::unwrap);
            batches.map(|batch| (batch.inputs[0].clone(), batch.target)).collect()
        };
        let (one, epoch) = (loader(1, 0), batches(&loader(1, 0), 2, 0));
        let all = cnn_nn::Batches::examples(&one);
        assert_eq!(all, if matches!(aim, Aim::Person { .. }) { 7 } else { 21 });
        assert_eq!(epoch.iter().map(|(x, _)| x.shape().batch()).sum::<usize>(), all);
        assert_eq!(batches(&loader(1, 3), 2, 0), epoch);
        assert_eq!(batches(&loader(1, 2), 2, 1), epoch[1..]);
        assert_ne!(batches(&one, 3, 0), epoch);
        assert_ne!(batches(&loader(2, 0), 2, 0), epoch);
        if let Aim::Joint { .. } = aim {
            let asked = |mask: &cnn_tensor::Tensor, row| mask.row(row).iter().filter(|m| **m == 1.0).count();
            for (x, (_, mask)) in &epoch {
                assert!(
                    (0..x.shape().batch()).all(|row| [0, 2].contains(&asked(mask, row))),
                    "one joint at most"
                );
            }
        }
    }
}

#[test]
fn a_joint_lies_in_its_square_as_far_off_as_one_of_the_errors() {
    let input = cnn_nn::Input::new([3, 8, 8], &[0.5; 3], &[0.25; 3]);
    // None for every fourth joint; then one, two, three.
    let of_joint = |joint: usize| (0..joint % 4).map(|i| [0.01 * joint as f32, -0.02 * i as f32]).collect();
    let errors: Vec<Vec<[f32; 2]>> = (0..14).map(of_joint).collect();
    let aim = Aim::Joint { zoom: 1.0, size: 0.5, errors: errors.clone(), each: 14 };
    let loader = PoseLoader::new(crowd(40), &input, aim, 64).unwrap();
    let mut seen = vec![Vec::new(); 14];
    for batch in (0..3).flat_map(|epoch| cnn_nn::Batches::epoch(&loader, epoch, 0).collect::<Vec<_>>()) {
        let (places, mask) = batch.unwrap().target;
        for (i, (place, mask)) in places.data().chunks(2).zip(mask.data().chunks(2)).enumerate() {
            if mask[0] == 1.0 {
                // In sides of the person's square, of which the joint's has half; the joint lies where the square is not.
                seen[i % 14].push([-0.5 * place[0], -0.5 * place[1]]);
            }
        }
    }
    for (joint, (seen, errors)) in seen.iter().zip(&errors).enumerate() {
        assert_eq!(seen.len(), 120, "{joint}");
        let near = |a: &[f32; 2], b: &[f32; 2]| (0..2).all(|axis| (a[axis] - b[axis]).abs() < 1e-6);
        let drawn = |error: &[f32; 2]| seen.iter().filter(|place| near(place, error)).count();
        let counts: Vec<usize> = errors.iter().map(drawn).collect();
        if errors.is_empty() {
            assert_eq!(drawn(&[0.0; 2]), 120, "{joint}");
        } else {
            assert_eq!(counts.iter().sum::<usize>(), 120, "{joint}: {counts:?}");
            assert!(counts.iter().all(|count| *count >= 20), "{joint}: {counts:?}");
        }
    }
}

#[test]
fn options_outside_their_ranges_are_named() {
    let input = |shape| cnn_nn::Input::new(shape, &[0.5; 3], &[0.25; 3]);
    let refused =
        |aim, batch| PoseLoader::new(crowd(1), &input([3, 8, 8]), aim, batch).err().unwrap().to_string();
    assert!(refused(Aim::Person { zoom: 1.0 }, 0).contains("batch size must be at least 1"));
    assert!(refused(Aim::Person { zoom: f64::NAN }, 1).contains("the zoom must be above 0"));
    let joint = |size, error: f32, lists, each| {
        let errors = vec![vec![[0.1, error]]; lists];
        Aim::Joint { zoom: 1.0, size, errors, each }
    };
    assert!(refused(joint(0.0, 0.1, 14, 1), 1).contains("above 0, got 1 and 0"));
    assert!(refused(joint(0.5, 0.1, 13, 1), 1).contains("a list for each joint, got 13 lists"));
    assert!(refused(joint(0.5, f32::NAN, 14, 1), 1).contains("the errors must be finite"));
    assert!(refused(joint(0.5, 0.1, 14, 15), 1).contains("no more than there are, got 15"));
    let oblong = PoseLoader::new(crowd(1), &input([3, 8, 9]), Aim::Person { zoom: 1.0 }, 1).err().unwrap();
    assert_eq!(oblong.to_string(), "the input of a pose network must be [3, side, side], got [3, 8, 9]");
    let fault = |augment: PoseAugment| augment.validate().unwrap_err().to_string();
    let sound = PoseAugment::default();
    assert!(fault(PoseAugment { rotation: 181.0, ..sound }).contains("0 to 180 degrees, got 181"));
    assert!(fault(PoseAugment { scale: [2.0, 1.0], ..sound }).contains("ascending order, got 2 and 1"));
    assert!(fault(PoseAugment { flip: -0.1, ..sound }).contains("a flip must be 0 to 1"));
    assert!(fault(PoseAugment { shift: f32::NAN, ..sound }).contains("the shift"));
    let view = View { center: [0.0; 2], extent: 0.0, angle: 0.0, mirrored: false };
    assert!(matches!(view.picture(&Picture::filled([1, 2, 2], 0), 8), Err(DataError::Setting { .. })));
}
