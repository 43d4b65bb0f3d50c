//! The example `17_regression` works, on fewer images.

#[path = "../../examples/17_regression.rs"]
mod example;

#[test]
fn angles_are_learned_and_reported_in_degrees() {
    let (history, _) = example::train(1500, 6).unwrap();
    let degrees = |epoch: usize| history[epoch].test("degrees").unwrap();
    assert!(degrees(5) < 8.0 && degrees(5) < degrees(0) && degrees(0) < 46.0, "{history:?}");
}

#[test]
fn the_angle_of_a_line_has_no_seam() {
    let doubled = |degrees: f32| [(2.0 * degrees.to_radians()).cos(), (2.0 * degrees.to_radians()).sin()];
    for degrees in [0.5, 44.0, 91.0, 179.5] {
        assert!((example::angle(&doubled(degrees)) - f64::from(degrees)).abs() < 1e-3);
    }
}
