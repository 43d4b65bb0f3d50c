//! Learning rates that fall towards the input, for fine-tuning.

use super::ParameterGroup;

impl ParameterGroup {
    /// Groups whose learning rates fall towards the input, where they are `fall` times lower than at the output: for fine-tuning
    /// trained weights, of which the first layers need the least change. Running statistics are held, since a few hundred images
    /// would blur them. `parameters` are the dotted names in the order of the layers.
    ///
    /// There is a group for each layer at the top, and for each direct child of a container at the top. From group to group the
    /// rate changes by the same ratio.
    ///
    /// ```
    /// use cnn_nn::ParameterGroup;
    /// let names = ["features.0.weight", "features.0.bias", "features.3.weight", "head.weight", "head.bias"];
    /// let groups = ParameterGroup::falling(names, 100.0);
    /// let rates: Vec<(&str, f32)> = groups.iter().map(|group| (group.names.as_str(), group.lr_mult)).collect();
    /// assert_eq!(rates, [("features.0.*", 0.01), ("features.3.*", 0.1), ("head.*", 1.0)]);
    /// assert!(groups.iter().all(|group| group.hold_statistics));
    /// ```
    ///
    /// Source: J. Howard, S. Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.2
    /// (discriminative fine-tuning).
    pub fn falling<'a>(parameters: impl IntoIterator<Item = &'a str>, fall: f32) -> Vec<Self> {
        let mut layers: Vec<&str> = Vec::new();
        for layer in parameters.into_iter().map(layer) {
            if !layers.contains(&layer) {
                layers.push(layer);
            }
        }
        let steps = layers.len().saturating_sub(1).max(1) as f64;
        let rate = |above: usize| f64::from(fall).powf(-(above as f64) / steps) as f32;
        let above = (0..layers.len()).rev();
        layers
            .iter()
            .zip(above)
            .map(|(layer, above)| Self {
                lr_mult: rate(above),
                hold_statistics: true,
                ..Self::named(format!("{layer}.*"))
            })
            .collect()
    }
}

/// The layer of a parameter, at most two names deep: `layer1.0` of `layer1.0.conv1.weight`, `fc` of `fc.bias`.
fn layer(parameter: &str) -> &str {
    let dots: Vec<usize> = parameter.match_indices('.').map(|(at, _)| at).collect();
    match dots[..] {
        [] => parameter,
        [end] | [_, end, ..] => &parameter[..end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{conv2d, flatten, linear, relu, residual, sequential};
    use crate::{Graph, Role};

    #[test]
    fn every_parameter_of_a_network_belongs_to_exactly_one_group() {
        let block =
            |channels| residual([conv2d(channels, 3).padding(1).named("conv1"), relu().named("relu")]);
        let net = Graph::build(
            [
                conv2d(2, 3).named("conv1"),
                sequential([block(2).named("0"), block(2).named("1")]).named("layer1"),
                flatten().named("flatten"),
                linear(2).named("fc"),
            ],
            [1, 6, 6],
            0,
        )
        .unwrap();
        let mut names = Vec::new();
        net.visit(&mut |name, role, tensor| {
            if role == Role::Parameter {
                names.push((name.to_string(), tensor.shape().rank()));
            }
        });
        let groups = ParameterGroup::falling(names.iter().map(|(name, _)| name.as_str()), 8.0);
        let rates: Vec<(&str, f32)> =
            groups.iter().map(|group| (group.names.as_str(), group.lr_mult)).collect();
        assert_eq!(rates, [("conv1.*", 0.125), ("layer1.0.*", 0.25), ("layer1.1.*", 0.5), ("fc.*", 1.0)]);
        for (name, axes) in &names {
            assert_eq!(groups.iter().filter(|group| group.takes(name, *axes)).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_single_layer_learns_at_the_full_rate() {
        assert_eq!(ParameterGroup::falling(["fc.weight", "fc.bias"], 100.0)[0].lr_mult, 1.0);
        assert!(ParameterGroup::falling([], 100.0).is_empty());
    }
}
