mod digits;

use crate::spec::{Codes, RbfSpec};
use crate::{At, Grads, NnError, Parameters, Request, Role, Unary};
use cnn_ops::{OpError, rbf};
use cnn_tensor::{Shape, Tensor};

/// Squared distances from codes, the output layer of LeNet-5; see [`cnn_ops::rbf`].
///
/// The codes, `weight` of shape `[out, in]`, are a parameter if they are trained, else a buffer. Outputs are penalties:
/// the smallest is the answer, and [`MapLoss`](cnn_ops::MapLoss) is the loss. Negated, they are scores for a cross-entropy,
/// which then equals that loss without its constant.
///
/// ```
/// use cnn_nn::spec::{Codes, rbf};
/// use cnn_nn::Graph;
/// use cnn_tensor::Tensor;
/// let net = Graph::build([rbf(10).codes(Codes::Digits).named("output")], [84], 0)?;
/// assert_eq!(net.parameter_count(), 0);
/// let y = net.infer(&Tensor::zeros([1, 84]))?;
/// assert_eq!(y.data(), [84.0; 10]);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Debug)]
pub struct Rbf {
    spec: RbfSpec,
    codes: Tensor,
}

const KIND: &str = "rbf";
const NAME: &str = "weight";

impl Rbf {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `x` is not `[n, features]`, the table of codes is of another size, or the source lacks the codes.
    pub fn build(spec: RbfSpec, x: Shape, parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let expected = "[n, features] (a flatten layer makes it so)";
        let [_, fan_in] = x.matrix().ok_or(OpError::Rank { op: KIND, what: "x", expected, got: x })?;
        let fan_out = spec.out_features;
        let codes = match spec.codes {
            Some(Codes::Digits) => {
                let codes = digits::codes();
                rbf::output_shape(x, codes.shape())?;
                if fan_out != codes.shape().batch() {
                    let (option, rule) = ("out_features", "10, one for each digit");
                    return Err(OpError::Option { op: KIND, option, rule, got: fan_out.to_string() }.into());
                }
                parameters.beginning_as(NAME, codes)?
            }
            None => {
                let shape = [fan_out, fan_in].into();
                parameters.request(NAME, Request { shape, init: spec.init, fan_in, fan_out })?
            }
        };
        Ok(Self { spec, codes })
    }

    /// `t`, negated if the outputs are negated.
    fn signed(&self, mut t: Tensor) -> Tensor {
        if self.spec.negate {
            t.data_mut().iter_mut().for_each(|v| *v = -*v);
        }
        t
    }

    fn role(&self) -> Role {
        if self.spec.trainable { Role::Parameter } else { Role::Buffer }
    }
}

impl Unary for Rbf {
    /// The input.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(rbf::output_shape(x, self.codes.shape())?)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
        Ok((self.signed(rbf::forward(&x, &self.codes)?), x))
    }

    fn backward(&self, x: Tensor, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let dcodes = self.spec.trainable.then(|| grads.of(0));
        Ok(Some(rbf::backward(&x, &self.codes, &self.signed(dy), dcodes)?))
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f(NAME, self.role(), &self.codes);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f(NAME, self.role(), &mut self.codes);
    }

    fn macs(&self, x: Shape) -> u64 {
        (x.batch() * self.codes.shape().numel()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::rbf;
    use crate::{Fresh, Loaded, ParameterSource, Path};

    fn build(spec: RbfSpec, features: usize, source: &mut dyn ParameterSource) -> Result<Rbf, NnError> {
        Rbf::build(spec, [1, features].into(), &mut Parameters::new(Path::ROOT, source))
    }

    fn digits() -> RbfSpec {
        rbf(10).codes(Codes::Digits)
    }

    #[test]
    fn fixed_codes_are_a_buffer_and_trained_codes_a_parameter() {
        for (spec, parameters) in [(digits(), 0), (digits().trainable(true), 1), (rbf(10), 0)] {
            let layer = build(spec, 84, &mut Fresh { seed: 0 }).unwrap();
            let (mut trained, mut buffers) = (vec![], vec![]);
            layer.visit(&mut |name, role, _| match role {
                Role::Parameter => trained.push(name.to_string()),
                Role::Buffer => buffers.push(name.to_string()),
            });
            assert_eq!((trained.len(), buffers.len()), (parameters, 1 - parameters));
            assert_eq!([trained, buffers].concat(), ["weight"]);
        }
    }

    #[test]
    fn a_file_decides_what_the_codes_are() {
        let value = Tensor::full([10, 84], 0.5);
        let mut file = Loaded { tensors: [("weight".to_string(), value.clone())].into() };
        assert_eq!(build(digits(), 84, &mut file).unwrap().codes, value);
        file.finish().unwrap();
        let mut empty = Loaded { tensors: [].into() };
        assert!(build(digits(), 84, &mut empty).is_err());
    }

    #[test]
    fn the_picture_of_a_digit_is_nearest_to_itself() {
        let layer = build(digits(), 84, &mut Fresh { seed: 0 }).unwrap();
        let y = layer.infer(layer.codes.clone()).unwrap();
        for (digit, distances) in y.data().chunks(10).enumerate() {
            for (other, &distance) in distances.iter().enumerate() {
                // Two pictures differ in at least ten pixels, each of which counts 4.
                assert!(
                    if other == digit { distance == 0.0 } else { distance >= 40.0 },
                    "{digit} {other} {distance}"
                );
            }
        }
    }

    #[test]
    fn negated_outputs_are_scores() {
        let build = |spec| build(spec, 84, &mut Fresh { seed: 0 }).unwrap();
        let (distances, scores) = (build(digits()), build(digits().negate(true)));
        let x = distances.codes.clone();
        let negated: Vec<f32> = distances.infer(x.clone()).unwrap().data().iter().map(|v| -v).collect();
        let (y, x) = scores.forward(x, At::default()).unwrap();
        assert_eq!(y.data(), negated);
        // The gradient of the sum of the scores, minus the squared distances from all ten codes.
        let mut grads = Grads::new(&mut [], &[true]);
        let dx = scores.backward(x, Tensor::full([10, 10], 1.0), &mut grads).unwrap().unwrap();
        let codes = distances.codes.data();
        let sum = |pixel: usize| codes.iter().skip(pixel).step_by(84).sum::<f32>();
        let want: Vec<f32> = (0..840).map(|i| 2.0 * (sum(i % 84) - 10.0 * codes[i])).collect();
        assert_eq!(dx.data(), want);
    }

    #[test]
    fn a_table_has_its_size() {
        let message = |spec, features| build(spec, features, &mut Fresh { seed: 0 }).unwrap_err().to_string();
        assert_eq!(message(digits(), 80), "rbf: x expects 84 input features, got 80");
        let nine = RbfSpec { out_features: 9, ..digits() };
        assert_eq!(message(nine, 84), "rbf: out_features must be 10, one for each digit, got 9");
    }
}
