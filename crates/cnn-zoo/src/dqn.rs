//! The networks of deep Q-learning, which play Atari from pixels: the value of each action, given the last four frames.
//!
//! V. Mnih et al.: "Playing Atari with Deep Reinforcement Learning", NIPS Deep Learning Workshop 2013, section 4.1, and
//! V. Mnih et al.: "Human-level control through deep reinforcement learning", Nature 518, 2015, methods.
//!
//! The network of 2013, for 4 x 84 x 84 and six actions:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1 | 16 x 20 x 20 | 4,112 | 1,638,400 |
//! | conv2 | 32 x 9 x 9 | 8,224 | 663,552 |
//! | fc1 | 256 | 663,808 | 663,552 |
//! | values | 6 | 1,542 | 1,536 |
//! | total | | 677,686 | 2,967,040 |
//!
//! The network of 2015, for the same:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | conv1 | 32 x 20 x 20 | 8,224 | 3,276,800 |
//! | conv2 | 64 x 9 x 9 | 32,832 | 2,654,208 |
//! | conv3 | 64 x 7 x 7 | 36,928 | 1,806,336 |
//! | fc1 | 512 | 1,606,144 | 1,605,632 |
//! | values | 6 | 3,078 | 3,072 |
//! | total | | 1,687,206 | 9,346,048 |
//!
//! There is no pooling: it would blur the place of the ball. The outputs are values, not probabilities, so no softmax follows.

use cnn_nn::spec::{NamedSpec, conv2d, flatten, linear, relu};
use cnn_nn::{Input, ModelSpec};

/// The input: the last four frames, gray, 84 x 84, as numbers from 0 to 1.
///
/// ```
/// assert_eq!(cnn_zoo::dqn_input().shape, [4, 84, 84]);
/// ```
pub fn dqn_input() -> Input {
    Input::new([4, 84, 84], &[0.0; 4], &[1.0; 4])
}

/// The network of 2013, with an output for each of `actions`.
///
/// ```
/// use cnn_nn::Model;
/// let actions = ["left", "stay", "right"].map(String::from).to_vec();
/// let model = Model::build(cnn_zoo::dqn_2013(cnn_zoo::dqn_input(), actions), 0)?;
/// assert_eq!(model.net.output_shape()?.dims(), [1, 3]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn dqn_2013(input: Input, actions: Vec<String>) -> ModelSpec {
    let convolutions = [
        conv2d(16, 8).stride(4).named("conv1"),
        relu().named("relu1"),
        conv2d(32, 4).stride(2).named("conv2"),
        relu().named("relu2"),
    ];
    network("dqn_2013", input, actions, convolutions.into(), 256)
}

/// The network of 2015, with an output for each of `actions`: three times the work of [`dqn_2013`].
///
/// ```
/// use cnn_nn::Model;
/// let actions = ["left", "stay", "right"].map(String::from).to_vec();
/// let model = Model::build(cnn_zoo::dqn_2015(cnn_zoo::dqn_input(), actions), 0)?;
/// assert_eq!(model.net.output_shape()?.dims(), [1, 3]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn dqn_2015(input: Input, actions: Vec<String>) -> ModelSpec {
    let convolutions = [
        conv2d(32, 8).stride(4).named("conv1"),
        relu().named("relu1"),
        conv2d(64, 4).stride(2).named("conv2"),
        relu().named("relu2"),
        conv2d(64, 3).named("conv3"),
        relu().named("relu3"),
    ];
    network("dqn_2015", input, actions, convolutions.into(), 512)
}

fn network(
    name: &str,
    input: Input,
    actions: Vec<String>,
    convolutions: Vec<NamedSpec>,
    hidden: usize,
) -> ModelSpec {
    let head = [
        flatten().named("flatten"),
        linear(hidden).named("fc1"),
        relu().named("relu_fc1"),
        linear(actions.len()).named("values"),
    ];
    let layers = convolutions.into_iter().chain(head).collect();
    ModelSpec { name: name.into(), input, classes: actions, layers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table_of, summary};

    #[test]
    fn parameters_and_macs_are_those_of_the_tables() {
        let actions = || (0..6).map(|action| action.to_string()).collect();
        for (heading, spec) in [
            ("network of 2013, for", dqn_2013(dqn_input(), actions())),
            ("network of 2015, for", dqn_2015(dqn_input(), actions())),
        ] {
            assert_table_of(include_str!("dqn.rs"), heading, &summary(&spec));
        }
    }
}
