//! The example `13_unet` works, on fewer images.

#[path = "../../examples/13_unet.rs"]
mod example;

#[test]
fn a_unet_learns_to_segment() {
    let (history, net) = example::train(400, 4).unwrap();
    let iou = |epoch: usize| history[epoch].test("iou").unwrap();
    assert!(iou(3) > 0.8 && iou(3) > iou(0), "{history:?}");
    assert!(history[3].train("iou").is_some());

    // Saved and loaded, it gives the same.
    let file = tempfile::NamedTempFile::new().unwrap();
    net.save(file.path()).unwrap();
    let again = cnn_nn::Graph::load(file.path()).unwrap();
    let (pixels, _) = example::Shapes { images: 1, seed: 5 }.picture(0);
    let x = cnn_tensor::Tensor::from_vec([1, 1, 32, 32], pixels).unwrap();
    assert_eq!(again.infer(&x).unwrap(), net.infer(&x).unwrap());
}
