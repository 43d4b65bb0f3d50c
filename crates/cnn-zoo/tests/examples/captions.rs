//! The example of captions learns to tell what pictures show.

#[path = "../../examples/23_captions.rs"]
mod example;

#[test]
fn made_up_pictures_are_described() {
    let example::Told { bleu: [test, _], samples } = example::train(8, 800).unwrap();
    // One sentence for all pictures has at most 0.72 and 0.4.
    assert!(test[0] > 0.77 && test[1] > 0.45, "{test:?} {samples:?}");
}
