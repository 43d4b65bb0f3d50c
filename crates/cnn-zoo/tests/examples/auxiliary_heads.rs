//! The example of auxiliary heads learns, and its network is GoogLeNet.

#[path = "../../examples/12_auxiliary_heads.rs"]
mod example;

use cnn_nn::{Graph, Layer, Zeros};

#[test]
fn three_losses_fall_and_the_heads_come_off() {
    let example::Trained { history, with_heads, without, x } = example::train(3, 160).unwrap();
    let [first, last] = [&history[0], &history[2]].map(example::losses);
    for (head, (first, last)) in ["fc", "aux1", "aux2"].into_iter().zip(first.into_iter().zip(last)) {
        assert!(last < 0.95 * first, "{head}: {first}, then {last}");
    }
    let all = Layer::infer(&with_heads, (&x).into()).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0], without.net.infer(&x).unwrap());
    assert_ne!(all[0], all[1]);
}

#[test]
fn parameters_and_names_are_those_of_torchvision() {
    let spec = cnn_zoo::googlenet_with_aux(1000);
    let net = Graph::build_from(&spec, vec![[1, 3, 224, 224].into()], &mut Zeros).unwrap();
    assert_eq!(net.parameter_count(), 13_004_888);
    for (head, c) in [("aux1", 512), ("aux2", 528)] {
        let tensors: Vec<(String, Vec<usize>)> = net
            .tensors()
            .into_iter()
            .filter_map(|(name, t)| Some((name.strip_prefix(head)?.to_string(), t.shape().dims().to_vec())))
            .collect();
        let expected: [(&str, &[usize]); 10] = [
            (".conv.conv.weight", &[128, c, 1, 1]),
            (".conv.bn.weight", &[128]),
            (".conv.bn.bias", &[128]),
            (".fc1.weight", &[1024, 2048]),
            (".fc1.bias", &[1024]),
            (".fc2.weight", &[1000, 1024]),
            (".fc2.bias", &[1000]),
            (".conv.bn.running_mean", &[128]),
            (".conv.bn.running_var", &[128]),
            (".conv.bn.num_batches_tracked", &[]),
        ];
        assert_eq!(tensors, expected.map(|(name, dims)| (name.to_string(), dims.to_vec())), "{head}");
    }
}
