//! Groups of parameters that train differently from the rest.

mod falling;

use super::check::{not_negative, require};
use super::trainable::Trainable;
use crate::NnError;
use serde::{Deserialize, Serialize};

/// A group of parameters, selected by name, and the options that differ for them.
///
/// A parameter belongs to the first group that takes it. One that no group takes trains with the optimizer's options.
///
/// ```
/// use cnn_nn::ParameterGroup;
/// let groups = [
///     ParameterGroup::frozen("features.*"),
///     ParameterGroup { lr_mult: 10.0, ..ParameterGroup::named("classifier.*") },
/// ];
/// assert!(groups[0].takes("features.0.weight", 4) && !groups[1].takes("features.0.weight", 4));
///
/// let text = r#"{"names": "*.bias", "weight_decay": 0}"#;
/// let biases: ParameterGroup = serde_json::from_str(text)?;
/// assert!(biases.takes("fc.bias", 1) && biases.lr_mult == 1.0);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParameterGroup {
    /// A pattern for the dotted names of the parameters. `*` stands for any number of characters, including dots: `features.*`,
    /// `*.bias`.
    pub names: String,
    /// The largest number of axes of the group's parameters. With 1, the group has biases and the scales and shifts of
    /// normalizations, but not the weights of convolutions and linear layers.
    pub max_axes: Option<usize>,
    /// The factor of the learning rate; finite and at least 0. With 0 the parameters are frozen: a step changes
    /// no bit of them, and they count neither in the norm of the gradients nor in the penalty. Where all parameters of a
    /// network's first layers are frozen, training computes no gradients there, and keeps nothing for them. Buffers are not
    /// parameters: the running statistics of batch normalisation are updated, unless they are held.
    #[serde(alias = "rate")]
    pub lr_mult: f32,
    /// Whether batch normalisation uses its running statistics in training too, and does not update them. This applies to a layer
    /// if the name of a parameter or buffer of it is in the group. The usual choice for a frozen trunk: its outputs are then
    /// those of evaluation, whatever else is in the batch.
    pub hold_statistics: bool,
    /// The weight decay in place of the optimizer's; finite and at least 0.
    pub weight_decay: Option<f64>,
}

impl Default for ParameterGroup {
    /// All parameters, without differences.
    fn default() -> Self {
        Self { names: "*".into(), max_axes: None, lr_mult: 1.0, hold_statistics: false, weight_decay: None }
    }
}

impl ParameterGroup {
    /// The parameters whose names match the pattern, without differences so far.
    pub fn named(names: impl Into<String>) -> Self {
        Self { names: names.into(), ..Self::default() }
    }

    /// The parameters whose names match the pattern, frozen.
    pub fn frozen(names: impl Into<String>) -> Self {
        Self { lr_mult: 0.0, ..Self::named(names) }
    }

    /// The same group with running statistics that are held fixed.
    #[must_use]
    pub fn holding_statistics(self) -> Self {
        Self { hold_statistics: true, ..self }
    }

    /// Parameters with one axis, without weight decay: biases, and the scales and shifts of normalizations.
    pub fn without_decay() -> Self {
        Self { max_axes: Some(1), weight_decay: Some(0.0), ..Self::default() }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// An option is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let holds = self.lr_mult >= 0.0 && self.lr_mult.is_finite();
        require(holds, "parameter group: lr_mult", "finite and at least 0", self.lr_mult.into())?;
        self.weight_decay.map_or(Ok(()), |decay| not_negative("parameter group: weight_decay", decay))
    }

    /// Whether a parameter with this dotted name and number of axes can belong to the group.
    pub fn takes(&self, name: &str, axes: usize) -> bool {
        self.max_axes.is_none_or(|most| axes <= most) && matches(self.names.as_bytes(), name.as_bytes())
    }
}

/// Whether the name matches the pattern, in which `*` stands for any bytes.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // The pattern after the last `*`, and the part of the name after the bytes that it stands for so far. That `*` can stand for
    // whatever an earlier one could, so only the last is tried again: the time is at most the product of the lengths.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, name));
                pattern = rest;
            }
            ([], []) => return true,
            ([p, p_rest @ ..], [n, n_rest @ ..]) if p == n => (pattern, name) = (p_rest, n_rest),
            _ => match star {
                Some((rest, [_, later @ ..])) => {
                    star = Some((rest, later));
                    (pattern, name) = (rest, later);
                }
                _ => return false,
            },
        }
    }
}

/// For each parameter of the model, in visiting order, the index of the group that takes it.
///
/// # Errors
/// A group takes no parameter, or only parameters of earlier groups: a name is misspelt, or the order is wrong.
pub(crate) fn assign(
    groups: &[ParameterGroup],
    model: &dyn Trainable,
) -> Result<Vec<Option<usize>>, NnError> {
    let mut assigned = Vec::new();
    let mut matched = vec![false; groups.len()];
    let mut used = matched.clone();
    model.each(&mut |name, parameter| {
        let (name, axes) = (name.to_string(), parameter.shape().rank());
        let mut first = None;
        for (i, group) in groups.iter().enumerate() {
            if group.takes(&name, axes) {
                matched[i] = true;
                first = first.or(Some(i));
            }
        }
        first.into_iter().for_each(|i| used[i] = true);
        assigned.push(first);
    });
    let Some(idle) = used.iter().position(|used| !used) else { return Ok(assigned) };
    let rule = if matched[idle] {
        "a pattern of parameters of which the groups before leave some"
    } else {
        "a pattern of the model's parameters"
    };
    let ParameterGroup { names, max_axes, .. } = &groups[idle];
    let got = max_axes.map_or(names.clone(), |most| format!("{names} with at most {most} axes"));
    Err(NnError::Setting { what: "parameter group: names", rule, got })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;
    use crate::spec::{linear, relu, sequential};
    use proptest::prelude::*;

    /// The definition: `*` stands for the first so many bytes, any number of them.
    fn oracle(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|n| oracle(rest, &name[n..])),
            [p, rest @ ..] => name.first() == Some(p) && oracle(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_defined(pattern in "[ab.*]{0,7}", name in "[ab.]{0,9}") {
            let group = ParameterGroup::named(pattern.as_str());
            prop_assert_eq!(group.takes(&name, 0), oracle(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let group = ParameterGroup::named("*a".repeat(2000) + "b");
        assert!(!group.takes(&"a".repeat(4000), 0));
    }

    #[test]
    fn the_number_of_axes_bounds_a_group() {
        let group = ParameterGroup::without_decay();
        assert_eq!([0, 1, 2, 4].map(|axes| group.takes("fc.bias", axes)), [true, true, false, false]);
    }

    fn net() -> Graph {
        let features = sequential([linear(3).named("0"), relu().named("1")]);
        Graph::build([features.named("features"), linear(2).named("fc")], [4], 0).unwrap()
    }

    #[test]
    fn the_first_group_that_matches_takes_a_parameter() {
        let groups = [ParameterGroup::frozen("features.*"), ParameterGroup::without_decay()];
        assert_eq!(assign(&groups, &net()).unwrap(), [Some(0), Some(0), None, Some(1)]);
        assert_eq!(assign(&[], &net()).unwrap(), [None; 4]);
    }

    #[test]
    fn a_group_of_no_parameters_is_an_error_that_names_it() {
        let message = |groups: &[ParameterGroup]| assign(groups, &net()).unwrap_err().to_string();
        assert_eq!(
            message(&[ParameterGroup::named("fc.*"), ParameterGroup::frozen("featurs.*")]),
            "parameter group: names must be a pattern of the model's parameters, got featurs.*"
        );
        let scalars = ParameterGroup { max_axes: Some(0), ..ParameterGroup::default() };
        assert_eq!(
            message(&[scalars]),
            "parameter group: names must be a pattern of the model's parameters, got * with at most 0 axes"
        );
        assert_eq!(
            message(&[ParameterGroup::without_decay(), ParameterGroup::frozen("*.bias")]),
            "parameter group: names must be a pattern of parameters of which the groups before leave some, got *.bias"
        );
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |group: ParameterGroup| group.validate().unwrap_err().to_string();
        let default = ParameterGroup::default();
        assert_eq!(
            message(ParameterGroup { lr_mult: -1.0, ..default.clone() }),
            "parameter group: lr_mult must be finite and at least 0, got -1"
        );
        assert!(ParameterGroup { lr_mult: f32::INFINITY, ..default.clone() }.validate().is_err());
        assert_eq!(
            message(ParameterGroup { weight_decay: Some(f64::NAN), ..default }),
            "parameter group: weight_decay must be finite and at least 0, got NaN"
        );
    }
}
