//! The example `15_blocks` works, on fewer images.

#[path = "../../examples/15_blocks.rs"]
mod example;

#[test]
fn dense_and_squeezed_blocks_learn_digits() {
    for (name, net, report) in example::train(4000, 3).unwrap() {
        let accuracy = report.test("accuracy").unwrap();
        assert!(accuracy > 0.88, "{name}: {accuracy}");
        // A node for each layer, named by its place.
        assert!(
            net.nodes().any(|(path, kind)| path.ends_with(".join2") && kind == "cat") || name != "DenseNet"
        );
        assert!(net.nodes().any(|(path, kind)| path == "block1.scale" && kind == "mul") || name != "SE-Net");
    }
}

#[test]
fn a_dense_block_adds_its_growth_for_each_layer() {
    let net = cnn_nn::Graph::of(&example::dense_block(4, 3), [[5, 6, 6]], 0).unwrap();
    assert_eq!(net.output_shape().unwrap().dims(), [1, 5 + 4 * 3, 6, 6]);
}
