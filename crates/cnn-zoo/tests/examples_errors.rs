//! Examples print an error as one line, as the commands do.
#![forbid(unsafe_code)]

#[path = "../examples/failure/mod.rs"]
mod failure;

use failure::Failure;
use std::path::Path;

#[test]
fn a_failure_prints_its_message_alone() {
    fn failing() -> Result<(), Failure> {
        Err("expected MODEL PHOTO")?
    }
    assert_eq!(format!("{:?}", failing().unwrap_err()), "expected MODEL PHOTO");
    let error = cnn_nn::Model::load("nothing.safetensors").unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("nothing.safetensors: "), "{message}");
    assert_eq!(format!("{:?}", Failure::from(error)), message);
}

#[test]
fn every_example_that_can_fail_ends_with_a_failure() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders =
        ["cnn-nn", "cnn-report", "cnn-zoo", "cnn-play", "cnn"].map(|name| crates.join(name).join("examples"));
    let mut examples = 0;
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let main = text.lines().find(|line| line.starts_with("fn main()")).unwrap();
            let ends = ["fn main() {", "fn main() -> Result<(), Failure> {"];
            assert!(ends.contains(&main), "{}: {main}", path.display());
            examples += 1;
        }
    }
    assert!(examples >= 22, "{examples} examples");
}
