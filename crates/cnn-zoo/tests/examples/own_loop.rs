//! The example of a loop of one's own learns.

#[path = "../../examples/18_own_loop.rs"]
mod example;

#[test]
fn a_loop_of_ones_own_learns_digits() {
    let (history, test) = example::train(2, 8_000).unwrap();
    assert_eq!(history.len(), 2);
    assert!(history[1] > history[0] && test > 0.85, "{history:?}, then {test}");
}
