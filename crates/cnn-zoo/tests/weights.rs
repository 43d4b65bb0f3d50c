//! Files of other libraries, with their names of the parameters.
#![forbid(unsafe_code)]

use cnn_nn::checkpoint::{self, Saved};
use cnn_nn::{Graph, LayerSpec, Model, ModelSpec, NnError, Origin, Zeros};
use cnn_tensor::{Random, Tensor};
use cnn_zoo::{Network, Weights, imagenet_input, load_trunk, load_weights, squeezenet};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Tensors = BTreeMap<String, Tensor>;

fn classes(n: usize) -> Vec<String> {
    (0..n).map(|class| class.to_string()).collect()
}

fn tensors(model: &Model) -> Tensors {
    model.net.tensors().into_iter().collect()
}

/// A file of tensors as other libraries write it, without our description.
fn foreign(folder: &tempfile::TempDir, tensors: &Tensors) -> PathBuf {
    let path = folder.path().join("foreign.safetensors");
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    checkpoint::save(&path, "", &tensors).unwrap();
    // The metadata holds an empty description. Under another key than ours, the file has no description.
    let file = String::from("\"cnn\"").into_bytes();
    let mut contents = std::fs::read(&path).unwrap();
    let at = contents.windows(file.len()).position(|bytes| bytes == file).unwrap();
    contents[at + 1..at + 4].copy_from_slice(b"xyz");
    std::fs::write(&path, contents).unwrap();
    assert!(checkpoint::load(&path).unwrap().description.is_none());
    path
}

/// The error's text, after the name of the file.
fn fault<T: std::fmt::Debug>(path: &Path, result: Result<T, NnError>) -> String {
    let message = result.unwrap_err().to_string();
    message.strip_prefix(&format!("{}: ", path.display())).expect("the file's name first").into()
}

/// Random tensors with the names and shapes of the SqueezeNet 1.0 that its authors published.
fn of_caffe() -> Tensors {
    let lines = include_str!("fixtures/squeezenet1_0_caffe.tensors.txt").lines();
    let tensors = lines.map(|line| {
        let (name, shape) = line.split_once(' ').unwrap();
        let shape: Vec<usize> = serde_json::from_str(shape).unwrap();
        let mut tensor = Tensor::zeros(cnn_tensor::Shape::new(&shape).unwrap());
        Random::new(1, &[name]).fill_normal(0.05, tensor.data_mut());
        (name.to_string(), tensor)
    });
    tensors.collect()
}

#[test]
fn caffes_squeezenet_finds_its_layers_in_their_order() {
    let published = of_caffe();
    assert_eq!(published.len(), 52);
    let model = squeezenet::from_caffe(published.clone(), classes(1000)).unwrap();
    let ours = tensors(&model);
    let features = match &model.spec.layers[0].layer {
        LayerSpec::Sequential { layers } => layers,
        other => panic!("{other:?}"),
    };
    // The fire modules, one after the other, are fire2 to fire9.
    let fires = features.iter().filter(|layer| matches!(layer.layer, LayerSpec::Sequential { .. }));
    let mut pairs = vec![("conv_final".to_string(), "classifier.1".to_string())];
    for (number, fire) in (2..).zip(fires) {
        for (theirs, ours) in
            [("conv1x1_1", "squeeze"), ("conv1x1_2", "expand.expand1x1"), ("conv3x3_2", "expand.expand3x3")]
        {
            pairs.push((format!("fire{number}/{theirs}"), format!("features.{}.{ours}", fire.name)));
        }
    }
    assert_eq!(pairs.len(), 25);
    for (theirs, layer) in pairs {
        for parameter in ["weight", "bias"] {
            let (theirs, ours) =
                (&published[&format!("{theirs}.{parameter}")], &ours[&format!("{layer}.{parameter}")]);
            assert!(theirs == ours, "{layer}.{parameter}");
        }
    }
    // Blue, green and red become red, green and blue.
    let (theirs, ours) = (published["conv1.weight"].data(), ours["features.0.weight"].data());
    for (theirs, ours) in theirs.chunks(3 * 49).zip(ours.chunks(3 * 49)) {
        for channel in 0..3 {
            assert_eq!(theirs[channel * 49..][..49], ours[(2 - channel) * 49..][..49]);
        }
    }
    assert_eq!(published["conv1.bias"], tensors(&model)["features.0.bias"]);
}

/// The margin of the last convolution is part of the mean.
#[test]
fn caffes_squeezenet_averages_over_a_margin() {
    let mut published = of_caffe();
    // Maps equal to the bias, inside and in the margin.
    published.get_mut("conv_final.weight").unwrap().data_mut().fill(0.0);
    let model = squeezenet::from_caffe(published.clone(), classes(1000)).unwrap();
    let [c, h, w] = model.spec.input.shape;
    assert_eq!([c, h, w], [3, 227, 227]);
    let y = model.net.infer(&Tensor::zeros([1, c, h, w])).unwrap();
    for (y, bias) in y.data().iter().zip(published["conv_final.bias"].data()) {
        assert!((y - bias.max(0.0)).abs() < 1e-6);
    }
    // Maps of 1 inside: the margin is 15^2 - 13^2 of 15^2 positions.
    published.get_mut("conv_final.bias").unwrap().data_mut().fill(0.0);
    published.get_mut("conv_final.weight").unwrap().data_mut().fill(1.0);
    for (name, tensor) in &mut published {
        if name.starts_with("fire9/conv") && !name.contains("x1_1") {
            tensor.data_mut().fill(if name.ends_with("bias") { 1.0 / 512.0 } else { 0.0 });
        }
    }
    let model = squeezenet::from_caffe(published, classes(1000)).unwrap();
    let y = model.net.infer(&Tensor::zeros([1, c, h, w])).unwrap();
    assert!((y.data()[0] - 169.0 / 225.0).abs() < 1e-5, "{}", y.data()[0]);
}

#[test]
fn every_kind_of_file_gives_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let caffe = of_caffe();
    let path = foreign(&folder, &caffe);
    let model = load_weights("SqueezeNet1-0", &path, classes(1000)).unwrap();
    assert_eq!(model.spec, squeezenet::caffe(classes(1000)));
    assert_eq!(tensors(&model), tensors(&squeezenet::from_caffe(caffe, classes(1000)).unwrap()));

    // Our own file of the network has the input and the padding that go with the weights.
    let own = folder.path().join("own.safetensors");
    model.save(&own).unwrap();
    let again = load_weights("squeezenet1_0", &own, Vec::new()).unwrap();
    assert_eq!((again.spec, again.net.tensors()), (model.spec, model.net.tensors()));

    for name in ["squeezenet1_0", "squeezenet1_1"] {
        let spec = Network::find(name).unwrap().published(classes(7));
        let model = Model::build(spec, 3).unwrap();
        let theirs =
            tensors(&model).into_iter().map(|(name, tensor)| (name.replace(".expand.", "."), tensor));
        let theirs: Tensors = theirs.collect();
        assert!(theirs.contains_key("features.3.expand1x1.weight"));
        // Names with the additional level are accepted too.
        for tensors_of_file in [theirs, tensors(&model)] {
            let path = foreign(&folder, &tensors_of_file);
            let again = load_weights(name, &path, classes(7)).unwrap();
            assert_eq!((again.spec, again.net.tensors()), (model.spec.clone(), model.net.tensors()));
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = load_weights("lenet", Path::new("none"), Vec::new()).unwrap_err().to_string();
    assert_eq!(
        message,
        "the name of a network must be one with published weights, got lenet; there are alexnet, alexnet_2012, convnext_tiny, \
         densenet121, efficientnet_b0, googlenet, inception_v3, mnasnet1_0, mobilenet_v1, mobilenet_v2, mobilenet_v3_large, \
         mobilenet_v3_small, regnet_y_400mf, resnet18, resnet34, resnet50, resnet101, resnet152, resnext50_32x4d, \
         se_resnet50, shufflenet_v2_x1_0, squeezenet1_0, squeezenet1_1, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, \
         vgg16_bn, vgg19, vgg19_bn, wide_resnet50_2, zfnet, all_cnn, nin, resnet20, resnet32, resnet44, resnet56, \
         resnet110"
    );
    let missing = folder.path().join("missing");
    assert!(fault(&missing, load_weights("alexnet", &missing, Vec::new())).starts_with("cannot read: "));

    let mut caffe = of_caffe();
    caffe.remove("fire9/conv3x3_2.bias");
    let path = foreign(&folder, &caffe);
    let lacking = "expected all 52 parameters of squeezenet1_0, got 51: features.12.expand.expand3x3.bias [256] is missing";
    assert_eq!(fault(&path, load_weights("squeezenet1_0", &path, classes(1000))), lacking);
    caffe.insert("fire10/conv1x1_1.bias".into(), Tensor::zeros([2]));
    caffe.insert("fire9/conv3x3_2.bias".into(), Tensor::zeros([256]));
    let path = foreign(&folder, &caffe);
    let surplus = "the network has no place for 1 tensor of the file: fire10/conv1x1_1.bias [2]";
    assert_eq!(fault(&path, load_weights("squeezenet1_0", &path, classes(1000))), surplus);
    caffe.remove("fire10/conv1x1_1.bias");
    for shape in [vec![], vec![96], vec![96, 3, 0, 7], vec![1, 2, 3, 4]] {
        caffe.insert("conv1.weight".into(), Tensor::zeros(cnn_tensor::Shape::new(&shape).unwrap()));
        let path = foreign(&folder, &caffe);
        let message = fault(&path, load_weights("squeezenet1_0", &path, classes(1000)));
        assert!(message.contains("features.0.weight: the model expects shape [96, 3, 7, 7]"), "{message}");
    }
    // The number of classes of the weights.
    let path = foreign(&folder, &of_caffe());
    let message = fault(&path, load_weights("squeezenet1_0", &path, classes(10)));
    assert!(
        message.contains("expects shape [10, 512, 1, 1], the file has shape [1000, 512, 1, 1]"),
        "{message}"
    );
}

/// The convolutions of AlexNet, which are also published without the rest.
fn alexnet_features() -> Tensors {
    let shapes: [(&str, [usize; 4]); 5] = [
        ("0", [64, 3, 11, 11]),
        ("3", [192, 64, 5, 5]),
        ("6", [384, 192, 3, 3]),
        ("8", [256, 384, 3, 3]),
        ("10", [256, 256, 3, 3]),
    ];
    let parameters = shapes.into_iter().flat_map(|(layer, shape)| {
        let mut weight = Tensor::zeros(shape);
        Random::new(1, &[layer]).fill_normal(0.05, weight.data_mut());
        let bias = Tensor::full([shape[0]], 0.5);
        [("weight", weight), ("bias", bias)]
            .map(|(name, tensor)| (format!("features.{layer}.{name}"), tensor))
    });
    parameters.collect()
}

#[test]
fn a_part_of_a_network_is_a_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let features = alexnet_features();
    let path = foreign(&folder, &features);
    let (model, Origin { taken, fresh }) = load_trunk("alexnet", &path, classes(2), 5).unwrap();
    let layers = ["0", "3", "6", "8", "10"];
    let names = layers.map(|layer| ["weight", "bias"].map(|name| format!("features.{layer}.{name}")));
    assert_eq!(taken, names.as_flattened());
    assert_eq!(fresh, ["head.weight", "head.bias"]);
    let loaded = tensors(&model);
    assert!(features.iter().all(|(name, tensor)| loaded[name] == *tensor));
    assert_eq!(loaded["head.weight"].shape().dims(), [2, 9216]);
    // The seed determines the head.
    let head =
        |seed| tensors(&load_trunk("alexnet", &path, classes(2), seed).unwrap().0)["head.weight"].clone();
    assert!(head(5) == loaded["head.weight"] && head(6) != loaded["head.weight"]);

    let message = fault(&path, load_weights("alexnet", &path, classes(2)));
    assert_eq!(
        message,
        "expected all 16 parameters of alexnet, got 10: classifier.1.weight [4096, 9216], classifier.1.bias [4096], \
         classifier.4.weight [4096, 4096], classifier.4.bias [4096] and 2 more are missing"
    );
}

#[test]
fn a_trunk_comes_from_whole_files_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let spec: ModelSpec = cnn_zoo::mobilenet_v2(imagenet_input(), classes(20));
    let model = Model::build(spec, 3).unwrap();
    let own = folder.path().join("own.safetensors");
    model.save(&own).unwrap();
    let mut published = tensors(&model);
    // Counters, as in published files.
    for (name, tensor) in &mut published {
        if name.ends_with("num_batches_tracked") {
            *tensor = Tensor::full([1], 7.0);
        }
    }
    for path in [own.clone(), foreign(&folder, &published)] {
        let (with_head, origin) = load_trunk("mobilenet_v2", &path, classes(2), 5).unwrap();
        assert_eq!(origin.fresh, ["head.weight", "head.bias"]);
        assert_eq!(origin.taken.len(), model.net.tensors().len() - 2);
        let name = "features.18.0.weight";
        assert!(tensors(&with_head)[name] == tensors(&model)[name]);
        assert_eq!(with_head.spec.name, "mobilenet_v2");
        // And once more, from that model to other classes.
        let file = folder.path().join("head.safetensors");
        with_head.save(&file).unwrap();
        let (again, origin) = load_trunk("mobilenet_v2", &file, classes(3), 5).unwrap();
        assert_eq!(origin.fresh, ["head.weight", "head.bias"]);
        assert_eq!(again.spec.classes.len(), 3);
    }
}

#[test]
fn auxiliary_classifiers_of_a_file_are_passed_over() {
    let net = Graph::build_from(&cnn_zoo::googlenet_with_aux(7), vec![[1, 3, 224, 224].into()], &mut Zeros)
        .unwrap();
    let file = || Saved { tensors: net.tensors().into_iter().collect(), ..Saved::default() };
    let network = Network::find("googlenet");
    let (model, notes) = Weights::of(Path::new("file"), file()).into_model(network, classes(7)).unwrap();
    assert_eq!(model.net.parameter_count(), 6_624_904 - 993 * 1025);
    let note = "20 tensors of auxiliary classifiers, which only help training, are not used";
    assert_eq!(notes, [note]);
    // Those that cannot be read, too; but not such names in another network.
    let mut damaged = file();
    damaged.tensors.remove("aux1.fc2.bias");
    damaged.unreadable.insert("aux1.fc2.bias".into(), "of type complex64".into());
    let (_, notes) = Weights::of(Path::new("file"), damaged).into_model(network, classes(7)).unwrap();
    assert_eq!(notes, [note]);
    let spec = cnn_zoo::squeezenet1_1(imagenet_input(), classes(7));
    let mut other = Saved { tensors: tensors(&Model::build(spec, 0).unwrap()), ..Saved::default() };
    other.tensors.insert("aux1.fc2.bias".into(), Tensor::zeros([7]));
    let weights = Weights::of(Path::new("file"), other);
    let message = weights.into_model(Network::find("squeezenet1_1"), classes(7)).unwrap_err().to_string();
    assert_eq!(message, "file: the network has no place for 1 tensor of the file: aux1.fc2.bias [7]");
}

#[test]
fn densenet_has_the_names_of_the_published_file() {
    let network = Network::find("densenet121").unwrap();
    let input = imagenet_input().with_size([32; 2]);
    let model = Model::build((network.spec)(input.clone(), classes(7)), 3).unwrap();
    let published = |name: String| {
        let parts = name.split('.').collect::<Vec<_>>();
        match parts[..] {
            ["features", block, layer, part @ ("norm1" | "norm2" | "conv1" | "conv2"), parameter] => {
                let (part, number) = part.split_at(4);
                format!("features.{block}.{layer}.{part}.{number}.{parameter}")
            }
            _ => name,
        }
    };
    let theirs: Tensors =
        tensors(&model).into_iter().map(|(name, tensor)| (published(name), tensor)).collect();
    assert!(theirs.contains_key("features.denseblock4.denselayer16.norm.2.running_var"));
    for tensors in [theirs, tensors(&model)] {
        let weights = Weights::of(Path::new("file"), Saved { tensors, ..Saved::default() });
        let again = weights.begin(network, Some(input.clone()), classes(7), false, 0).unwrap().model;
        assert!(again.net.tensors() == model.net.tensors());
    }
}

#[test]
fn a_file_without_a_trunk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = BTreeMap::from([("classifier.6.bias".to_string(), Tensor::zeros([1000]))]);
    let path = foreign(&folder, &classifier);
    let message = fault(&path, load_trunk("alexnet", &path, classes(2), 0));
    assert_eq!(
        message,
        "expected all 10 parameters of alexnet before its classifier, got 0: features.0.weight [64, 3, 11, 11], features.0.bias [64], \
         features.3.weight [192, 64, 5, 5], features.3.bias [192] and 6 more are missing"
    );
    let other = BTreeMap::from([("layer1.0.bias".to_string(), Tensor::zeros([1000]))]);
    let path = foreign(&folder, &other);
    let message = fault(&path, load_trunk("alexnet", &path, classes(2), 0));
    assert!(
        message.ends_with(
            " are missing; the network has no place for 1 tensor of the file: layer1.0.bias [1000]"
        ),
        "{message}"
    );
}

/// Tensors of a small network's whole file, under other names.
fn renamed(rename: impl Fn(&str) -> String) -> (Model, Tensors) {
    let model = Model::build(Network::find("squeezenet1_1").unwrap().published(classes(3)), 3).unwrap();
    let renamed = tensors(&model).into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
    (model, renamed)
}

#[test]
fn a_prefix_that_all_names_have_is_taken_off_and_another_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for prefix in ["module.", "_orig_mod.module.", "model.backbone."] {
        let (model, theirs) = renamed(|name| format!("{prefix}{name}"));
        let path = foreign(&folder, &theirs);
        let (again, notes) =
            Weights::read(&path).unwrap().into_model(Network::find("squeezenet1_1"), classes(3)).unwrap();
        assert_eq!(again.net.tensors(), model.net.tensors());
        assert_eq!(notes.len(), prefix.matches('.').count());
        assert!(notes[0].contains("is taken off all names"), "{notes:?}");
    }
    let (_, mut theirs) = renamed(|name| format!("module.{name}"));
    theirs.insert("epoch".into(), Tensor::zeros([]));
    let path = foreign(&folder, &theirs);
    let message = fault(&path, load_weights("squeezenet1_1", &path, classes(3)));
    assert!(
        message.starts_with("expected all 52 parameters of squeezenet1_1, got 0: features.0.weight"),
        "{message}"
    );
    assert!(
        message.contains("no place for 53 tensors of the file: epoch [], module.classifier.1.bias [3]"),
        "{message}"
    );
    assert!(
        message.contains("by their shapes module.classifier.1.bias may be classifier.1.bias"),
        "{message}"
    );
    // A rule takes it off all the same.
    let rules = ["^module\\.=".parse().unwrap()];
    let read = || Weights::read(&path).unwrap().ignore_surplus();
    let network = Network::find("squeezenet1_1");
    let (_, notes) = read().rename(&rules).unwrap().into_model(network, classes(3)).unwrap();
    assert_eq!(notes, ["tensors are renamed by ^module\\.=", "1 tensors are not used: epoch"]);
    let unused = fault(&path, read().rename(&["^encoder=".parse().unwrap()]));
    assert_eq!(unused, "expected a tensor for --rename ^encoder= to rename, got none");
}

#[test]
fn surplus_tensors_are_listed_if_asked_for_and_else_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (model, mut theirs) = renamed(|name| name.to_string());
    theirs.insert("optimizer.step".into(), Tensor::zeros([]));
    theirs.insert("aux.bias".into(), Tensor::zeros([4]));
    let path = foreign(&folder, &theirs);
    let read = || Weights::read(&path).unwrap();
    let network = Network::find("squeezenet1_1");
    let (again, notes) = read().ignore_surplus().into_model(network, classes(3)).unwrap();
    assert_eq!(again.net.tensors(), model.net.tensors());
    assert_eq!(notes, ["2 tensors are not used: aux.bias, optimizer.step"]);
    let message = fault(&path, read().into_model(network, classes(3)));
    let rule = "the network has no place for 2 tensors of the file: aux.bias [4], optimizer.step []";
    assert_eq!(message, rule);
}

#[test]
fn a_new_head_needs_every_tensor_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut theirs) = renamed(|name| name.to_string());
    theirs.remove("features.3.squeeze.weight");
    let path = foreign(&folder, &theirs);
    let message = fault(&path, load_trunk("squeezenet1_1", &path, classes(2), 0));
    let rule = "expected all 50 parameters of squeezenet1_1 before its classifier, got 49: features.3.squeeze.weight [16, 64, 1, 1] is missing";
    assert_eq!(message, rule);
    // Of another network nothing fits.
    let other = Model::build(cnn_zoo::lenet5(imagenet_input(), classes(3)), 0).unwrap();
    let path = foreign(&folder, &tensors(&other));
    let message = fault(&path, load_trunk("squeezenet1_1", &path, classes(2), 0));
    assert!(
        message.contains("the network has no place for 10 tensors of the file: conv1.bias [6]"),
        "{message}"
    );
}

#[test]
fn caffes_weights_are_begun_with_on_numbers_of_caffes_mean() {
    let folder = tempfile::tempdir().unwrap();
    let path = foreign(&folder, &of_caffe());
    let network = Network::find("squeezenet1_0").unwrap();
    let input = cnn_nn::Input { shape: [3, 96, 96], ..imagenet_input() };
    let begin = |input| Weights::read(&path).unwrap().begin(network, input, classes(2), true, 0).unwrap();
    // The size is the caller's, ImageNet's usual one among others.
    assert_eq!(begin(Some(imagenet_input())).model.spec.input.shape, [3, 224, 224]);
    let begun = begin(Some(input));
    let (input, caffe) = (&begun.model.spec.input, squeezenet::caffe(classes(2)).input);
    assert_eq!((input.shape, &input.mean, &input.std), ([3, 96, 96], &caffe.mean, &caffe.std));
    assert_eq!(begun.origin.taken.len(), 50);
}

#[test]
fn numbers_that_are_not_finite_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut theirs) = renamed(|name| name.to_string());
    theirs.get_mut("features.0.bias").unwrap().data_mut()[3] = f32::NAN;
    let path = foreign(&folder, &theirs);
    let message = fault(&path, load_weights("squeezenet1_1", &path, classes(3)));
    let rule = "parameters must be finite numbers, got features.0.bias, in which 1 of 64 are not, the first of them NaN";
    assert!(message.ends_with(rule), "{message}");
}
