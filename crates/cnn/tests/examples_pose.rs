//! The example `21_pose` works, on fewer figures.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the example's own main is not called here")]

#[path = "../examples/21_pose.rs"]
mod example;

use cnn::data::pose::stick_figures;

#[test]
fn joints_are_found_better_than_the_mean_pose_finds_them() {
    let (train, test) = (stick_figures(360, 32, 1).unwrap(), stick_figures(60, 32, 2).unwrap());
    let model = example::train(&train, &test, 5).unwrap();
    let [network, mean] =
        example::compare(&model, &train, &test).unwrap().map(|scores| scores.error().unwrap());
    assert!(network < 0.9 * mean, "{network} torso lengths, the mean pose {mean}");
}
