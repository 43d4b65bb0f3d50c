use super::*;
use cnn_data::InMemoryDataset;
use cnn_data::pose::{Joint, LSP, Person, stick_figures};
use cnn_nn::spec::{conv2d, flatten, linear, relu, soft_argmax2d};
use cnn_nn::{Input, ModelSpec, layers};
use cnn_tensor::parallel::Threads;

/// A network of few parameters, with random weights.
fn net(side: usize, seed: u64) -> Model {
    let layers = layers![conv2d(4, 3).stride(2), relu(), conv2d(14, 3), soft_argmax2d()];
    let input = Input::new([3, side, side], &[0.5; 3], &[0.1; 3]);
    Model::build(ModelSpec { name: "tiny".into(), input, classes: LSP.outputs(), layers }, seed).unwrap()
}

fn cascade() -> PoseModel {
    let stages = vec![
        PoseStage { model: net(16, 1), look: Look::Person { zoom: 0.8 } },
        PoseStage { model: net(12, 2), look: Look::Joint { size: 0.5 } },
        PoseStage { model: net(12, 3), look: Look::Joint { size: 0.3 } },
    ];
    PoseModel::new(stages, &LSP).unwrap()
}

/// What a stage answers for one view, straight from the network.
fn answer(model: &Model, picture: &Picture<'_>, view: View, joint: usize) -> [f64; 2] {
    let side = model.spec.input.shape[1];
    let bytes = view.picture(picture, side).unwrap().to_rgb();
    let x = Normalize::new(&[0.5; 3], &[0.1; 3]).unwrap().tensor([1, 3, side, side], bytes.data()).unwrap();
    let y = model.net.infer(&x).unwrap();
    let output = if view.mirrored { LSP.mirrored(joint) } else { joint };
    view.source([y.data()[2 * output].into(), y.data()[2 * output + 1].into()])
}

#[test]
fn each_stage_looks_about_the_estimate_of_the_one_before() {
    let (cascade, set) = (cascade(), stick_figures(2, 40, 3).unwrap());
    let picture = set.picture(1).unwrap();
    let bounds = PersonBox { x: 4.0, y: 2.0, width: 30.0, height: 36.0 };
    let pose = cascade.predict(&picture, bounds).unwrap();
    assert_eq!(pose.stages.len(), 3);
    let side = 0.8 * 36.0;
    for (stage, found) in pose.stages.iter().enumerate() {
        for (joint, found) in found.iter().enumerate() {
            let (center, extent) = match stage {
                0 => ([19.0, 20.0], side),
                _ => (pose.stages[stage - 1][joint].map(f64::from), side * [0.5, 0.3][stage - 1]),
            };
            let views = [false, true].map(|mirrored| View { center, extent, angle: 0.0, mirrored });
            let [a, b] = views.map(|view| answer(&cascade.stages[stage].model, &picture, view, joint));
            for axis in 0..2 {
                let want = (a[axis] + b[axis]) / 2.0;
                assert!((f64::from(found[axis]) - want).abs() < 1e-3, "stage {stage}, joint {joint}");
            }
        }
    }
    assert_eq!(pose.joints(), pose.stages[2]);
}

#[test]
fn a_set_is_answered_in_its_order_with_the_same_bits_on_any_number_of_threads() {
    let (cascade, set) = (cascade(), stick_figures(35, 30, 4).unwrap());
    let mut seen = Vec::new();
    let poses = cascade.predict_set(&set, &mut |done| seen.push(done)).unwrap();
    assert_eq!(seen, [32, 35]);
    for i in [0, 34] {
        assert_eq!(poses[i], cascade.predict(&set.picture(i).unwrap(), set.person(i).bounds).unwrap());
    }
    for threads in [1, 3] {
        let again = Threads::new(threads).unwrap().run(|| cascade.predict_set(&set, &mut |_| {}).unwrap());
        assert_eq!(again, poses);
    }
}

#[test]
fn a_cascade_comes_back_from_its_file_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let [file, again] = ["a", "b"].map(|name| folder.path().join(name));
    let cascade = cascade();
    cascade.save(&file).unwrap();
    let loaded = PoseModel::load(&file, &LSP).unwrap();
    loaded.save(&again).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&again).unwrap());
    let set = stick_figures(1, 30, 5).unwrap();
    let pose = |model: &PoseModel| model.predict_set(&set, &mut |_| {}).unwrap();
    assert_eq!(pose(&loaded), pose(&cascade));
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.safetensors");
    let refusal = || {
        let message = PoseModel::load(&file, &LSP).unwrap_err().to_string();
        message.strip_prefix(&format!("{}: ", file.display())).expect("the file first").to_string()
    };
    net(16, 1).save(&file).unwrap();
    assert_eq!(
        refusal(),
        "expected the cascade of networks that train-pose writes, got format \"cnn-model\" version 1"
    );
    cascade().save(&file).unwrap();
    let saved = cnn_nn::checkpoint::load(&file).unwrap();
    let (text, tensors) = (saved.description.unwrap(), saved.tensors);
    let write = |text: &str, more: Option<&str>| {
        let mut tensors: Vec<_> = tensors.clone().into_iter().collect();
        tensors.extend(more.map(|name| (name.to_string(), Tensor::zeros([1]))));
        cnn_nn::checkpoint::save(&file, text, &tensors).unwrap();
    };
    write(&text.replace("\"lsp\"", "\"coco\""), None);
    assert_eq!(refusal(), "expected the joints of lsp, got coco");
    write(&text.replace("\"version\":1", "\"version\":2"), None);
    assert!(refusal().ends_with("got format \"cnn-pose\" version 2"));
    write(&text, Some("stage7.weight"));
    assert_eq!(refusal(), "parameter stage7.weight: the cascade expects none of that name");
    write(&text, Some("stage1.weight"));
    assert_eq!(refusal(), "parameter weight: the model expects none of that name, the file has shape [1]");
    write(&text.replace("neck_x", "nose_x"), None);
    assert!(
        PoseModel::load(&file, &LSP).unwrap_err().to_string().contains("x and y of the 14 joints of lsp")
    );
}

#[test]
fn cascades_that_make_no_sense_are_refused() {
    let (person, joint) = (Look::Person { zoom: 1.0 }, Look::Joint { size: 0.5 });
    let refusal = |looks: &[Look]| {
        let stages = looks.iter().map(|&look| PoseStage { model: net(16, 1), look }).collect();
        PoseModel::new(stages, &LSP).unwrap_err().to_string()
    };
    assert!(refusal(&[]).ends_with("expected at least one stage, got none"));
    for looks in [&[joint][..], &[person, person], &[joint, person]] {
        assert!(refusal(looks).contains("the first stage, and no other, to look at the whole person"));
    }
    assert!(
        refusal(&[Look::Person { zoom: 0.0 }]).contains("a square with a side above 0 for stage 1, got 0")
    );
    assert!(refusal(&[person, Look::Joint { size: f64::NAN }]).contains("for stage 2, got NaN"));
    let spec = ModelSpec {
        name: "oblong".into(),
        input: Input::new([3, 8, 9], &[0.5; 3], &[0.5; 3]),
        classes: LSP.outputs(),
        layers: layers![flatten(), linear(28)],
    };
    let oblong = PoseStage { model: Model::build(spec, 0).unwrap(), look: person };
    assert!(PoseModel::new(vec![oblong], &LSP).unwrap_err().to_string().contains("got [3, 8, 9]"));
}

#[test]
fn the_errors_are_the_differences_of_each_joint_from_the_truth() {
    let set = stick_figures(50, 40, 6).unwrap();
    let off = |joint: usize| [joint as f32 * 0.4, -0.2];
    let pose = |i: usize| {
        let places = set.person(i).places();
        let moved = places.iter().enumerate().map(|(joint, [x, y])| [x + off(joint)[0], y + off(joint)[1]]);
        Pose { stages: vec![moved.collect()] }
    };
    let poses: Vec<Pose> = (0..set.len()).map(pose).collect();
    for (joint, got) in errors(&set, &poses, 0.5).into_iter().enumerate() {
        // In squares of 20 pixels.
        let want = off(joint).map(|d| d / 20.0);
        let near = |error: &[f32; 2]| (0..2).all(|axis| (error[axis] - want[axis]).abs() < 1e-4);
        let visible = (0..set.len()).filter(|i| set.person(*i).joints[joint].visible).count();
        assert!(got.len() == visible && got.iter().all(near), "{joint}: {got:?} {want:?}");
    }
}

#[test]
fn scores_are_those_of_every_person_and_fit_the_set() {
    let set = stick_figures(20, 40, 7).unwrap();
    let truth: Vec<_> = (0..20).map(|i| set.person(i).places()).collect();
    let of = |poses: &[Vec<[f32; 2]>]| scores(&set, poses.iter().map(Vec::as_slice));
    let perfect = of(&truth).unwrap();
    assert_eq!((perfect.pcp(), perfect.pck(), perfect.error()), (Some(1.0), Some(1.0), Some(0.0)));
    assert!(
        of(&truth[1..]).unwrap_err().to_string().contains("the poses must be one for each person, got 19")
    );
    let mut short = truth;
    short[3].pop();
    assert!(of(&short).unwrap_err().to_string().contains("those of the skeleton, got 13"));
}

#[test]
fn the_mean_pose_is_the_mean_of_what_is_visible_and_the_nearest_person_is_oneself() {
    let set = stick_figures(40, 30, 8).unwrap();
    let mean = MeanPose::of(&set).in_box(PersonBox { x: 10.0, y: 20.0, width: 60.0, height: 30.0 });
    for (joint, [x, y]) in mean.into_iter().enumerate() {
        let seen: Vec<Joint> = (0..40).map(|i| set.person(i).joints[joint]).filter(|j| j.visible).collect();
        let of = |f: fn(&Joint) -> f32| seen.iter().map(f).sum::<f32>() / seen.len() as f32 / 30.0;
        assert!((x - 10.0 - 60.0 * of(|j| j.x)).abs() < 1e-3 && (y - 20.0 - 30.0 * of(|j| j.y)).abs() < 1e-3);
    }
    let model = net(16, 1);
    let nearest = NearestPose::of(&set, &model, "0", 1.0).unwrap();
    for (i, pose) in nearest.of_set(&set).unwrap().iter().enumerate() {
        let same =
            pose.iter().zip(set.person(i).places()).all(|(a, b)| (0..2).all(|k| (a[k] - b[k]).abs() < 1e-4));
        assert!(same, "{i}");
    }
    assert!(NearestPose::of(&set, &model, "nothing", 1.0).is_err());
}

#[test]
fn a_joint_that_is_never_visible_has_the_middle_and_no_errors() {
    let images = InMemoryDataset::new([1, 1, 4, 4], vec![0; 16], vec![0], vec![String::new()]).unwrap();
    let person = Person {
        joints: vec![Joint { x: 1.0, y: 1.0, visible: false }; 14],
        bounds: PersonBox::whole([4, 4]),
    };
    let set = PoseSet::new(images, vec![person], &LSP).unwrap();
    assert_eq!(MeanPose::of(&set).in_box(PersonBox::whole([4, 8])), vec![[2.0, 4.0]; 14]);
    let errors = errors(&set, &[Pose { stages: vec![vec![[3.0, 3.0]; 14]] }], 1.0);
    assert!(errors.len() == 14 && errors.iter().all(Vec::is_empty));
}
