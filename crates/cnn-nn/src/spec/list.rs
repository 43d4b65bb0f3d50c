//! Lists of layers, in which a layer without a name is named by its position.

use super::{LayerSpec, NamedSpec};

/// A layer of a list: under its own name if it has one, else under its position.
///
/// Functions that take a list of layers take items that become this: descriptions, builders, or [`NamedSpec`]s. So
/// `sequential([relu(), tanh()])` has the layers `0` and `1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    name: Option<String>,
    layer: LayerSpec,
}

impl From<NamedSpec> for Listed {
    fn from(NamedSpec { name, layer }: NamedSpec) -> Self {
        Self { name: Some(name), layer }
    }
}

impl<T: Into<LayerSpec>> From<T> for Listed {
    fn from(layer: T) -> Self {
        Self { name: None, layer: layer.into() }
    }
}

/// The layers, each under its own name or its position among them: `0`, `1` and so on, as PyTorch's `nn.Sequential` names them.
pub fn by_position<L: Into<Listed>>(layers: impl IntoIterator<Item = L>) -> Vec<NamedSpec> {
    let named = |(position, Listed { name, layer }): (usize, Listed)| NamedSpec {
        name: name.unwrap_or_else(|| position.to_string()),
        layer,
    };
    layers.into_iter().map(Into::into).enumerate().map(named).collect()
}

/// A list of layers, as `Vec<NamedSpec>`. A layer that is not [`named`](crate::LayerSpec::named) is named by its position, `0`, `1`
/// and so on, as in PyTorch's `nn.Sequential`.
///
/// ```
/// use cnn_nn::spec::{conv2d, flatten, linear, relu};
/// use cnn_nn::{Graph, layers};
/// let net = Graph::build(layers![conv2d(8, 3), relu(), flatten(), linear(10).named("head")], [1, 8, 8], 0)?;
/// let names: Vec<String> = net.tensors().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "head.weight", "head.bias"]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[macro_export]
macro_rules! layers {
    ($($layer:expr),* $(,)?) => {
        $crate::spec::by_position::<$crate::spec::Listed>([$($crate::spec::Listed::from($layer)),*])
    };
}

#[cfg(test)]
mod tests {
    use crate::spec::{conv2d, linear, relu, residual, sequential};
    use crate::{Graph, NnError};

    #[test]
    fn a_layer_without_a_name_goes_by_its_position() {
        let named = layers![conv2d(4, 3), relu().named("act"), linear(2)];
        let names: Vec<&str> = named.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["0", "act", "2"]);
        assert_eq!(layers![], []);
        assert_eq!(sequential([relu(), relu()]), sequential([relu().named("0"), relu().named("1")]));
        assert_eq!(
            residual([linear(3)]).after([relu()]),
            residual(layers![linear(3)]).after(layers![relu()])
        );
    }

    #[test]
    fn a_name_that_is_the_position_of_another_is_an_error() {
        let error: NnError = Graph::build(layers![relu().named("1"), relu()], [3], 0).unwrap_err();
        assert!(error.to_string().contains('1'), "{error}");
    }
}
