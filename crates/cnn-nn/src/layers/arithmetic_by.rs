use crate::spec::ArithmeticBySpec;
use crate::{At, Grads, Init, NnError, Parameters, Role, Unary};
use cnn_ops::arithmetic::Saved;
use cnn_ops::{Arithmetic, OpError};
use cnn_tensor::{Shape, Tensor};

/// Arithmetic with a tensor of the layer's own, `weight`; see [`cnn_ops::ArithmeticBy`]. A parameter if it is trained, else a
/// buffer.
#[derive(Debug)]
pub struct ArithmeticBy {
    op: cnn_ops::ArithmeticBy,
    trained: bool,
    weight: Tensor,
}

const KIND: &str = "arithmetic_by";
const NAME: &str = "weight";

impl ArithmeticBy {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// The shape of the weight does not fit that of `x`, or the source lacks the weight.
    pub fn build(
        spec: &ArithmeticBySpec,
        x: Shape,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, NnError> {
        let shape = Shape::new(&spec.shape).map_err(|fault| OpError::Tensor { op: KIND, fault })?;
        let op = spec.options();
        op.output_shape(x, shape)?;
        let nothing_changes = match spec.op {
            Arithmetic::Add | Arithmetic::Sub => Init::Zeros,
            Arithmetic::Mul | Arithmetic::Div => Init::Constant(1.0),
            Arithmetic::Maximum => Init::Constant(f32::MIN),
            Arithmetic::Minimum => Init::Constant(f32::MAX),
        };
        let weight = parameters.get(NAME, shape, spec.init.unwrap_or(nothing_changes))?;
        Ok(Self { op, trained: spec.trained, weight })
    }

    fn role(&self) -> Role {
        if self.trained { Role::Parameter } else { Role::Buffer }
    }
}

impl Unary for ArithmeticBy {
    type Saved = Saved;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.op.output_shape(x, self.weight.shape())?)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(self.op.infer(x, &self.weight)?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Saved), NnError> {
        Ok(self.op.forward(x, &self.weight)?)
    }

    fn backward(&self, saved: Saved, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let wants_dx = grads.wants(0);
        Ok(self.op.backward(&saved, dy, wants_dx, self.trained.then(|| grads.of(0)))?)
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f(NAME, self.role(), &self.weight);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f(NAME, self.role(), &mut self.weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::arithmetic_by;
    use crate::{Fresh, Graph};

    /// A fresh layer changes nothing, in either order.
    #[test]
    fn it_begins_as_the_identity() {
        let x = cnn_tensor::testing::distinct([2, 3, 4], 0);
        use Arithmetic::{Add, Div, Maximum, Minimum, Mul, Sub};
        for op in [Add, Sub, Mul, Div, Maximum, Minimum] {
            let spec = arithmetic_by(op, [3, 1]);
            let net = Graph::build([spec.clone().named("scale")], [3, 4], 0).unwrap();
            assert_eq!(net.infer(&x).unwrap(), x, "{op:?}");
            assert_eq!(net.parameter_count(), 3);
            let fixed =
                Graph::build([spec.trained(false).init(Init::Constant(2.0)).named("scale")], [3, 4], 0);
            let fixed = fixed.unwrap();
            assert_eq!(fixed.parameter_count(), 0);
            let mut buffers = vec![];
            Graph::visit(&fixed, &mut |name, role, value| {
                buffers.push((name.to_string(), role, value.clone()))
            });
            assert_eq!(buffers, [("scale.weight".to_string(), Role::Buffer, Tensor::full([3, 1], 2.0))]);
        }
    }

    #[test]
    fn a_weight_that_does_not_fit_is_an_error() {
        let fault = |shape: &[usize], x: &[usize]| {
            let spec = arithmetic_by(Arithmetic::Mul, shape).named("scale");
            let x = Shape::new(x).unwrap();
            Graph::chain([spec], x, &mut Fresh { seed: 0 }).unwrap_err().to_string()
        };
        assert_eq!(
            fault(&[4, 1, 1], &[1, 3, 2, 2]),
            "scale: arithmetic_by: the extents must be equal or 1, got [1, 3, 2, 2] and [1, 4, 1, 1]"
        );
        assert_eq!(
            fault(&[1, 3], &[1, 3]),
            "scale: arithmetic_by: w must be of fewer axes than x, without the batch, got [1, 3] for x of [1, 3]"
        );
        assert!(fault(&[1; 9], &[1, 3]).starts_with("scale: arithmetic_by: "), "{}", fault(&[1; 9], &[1, 3]));
    }
}
