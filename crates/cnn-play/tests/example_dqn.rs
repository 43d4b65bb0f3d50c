//! The example of deep Q-learning runs, for a few steps.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the example's own main is not called here")]

#[path = "../examples/22_dqn.rs"]
mod example;

#[test]
fn a_few_steps_are_played_and_learned_from_the_same_way_each_time() {
    let (agent, scores) = example::learn(530, 3).unwrap();
    assert_eq!((scores.len(), agent.updates()), (27, 8));
    let (again, same) = example::learn(530, 3).unwrap();
    assert!(scores == same && again.state() == agent.state());
    assert!(example::learn(530, 4).unwrap().0.state() != agent.state());
    assert_eq!(example::mean_of_last(&[1.0, -1.0, 1.0, 1.0]), 0.5);
}
