use super::*;
use crate::shared::recurrent::testing::{Cell, suite};
use crate::shared::testing::everywhere;

suite!(Gru);

impl Cell for Gru {
    const NAME: &'static str = "gru";
    const GATES: usize = 3;
    const STATE: &'static [&'static str] = &["h"];
    type Saved = Saved;

    fn with_reverse(reverse: bool) -> Self {
        Self { reverse }
    }

    fn is_reverse(self) -> bool {
        self.reverse
    }

    fn step(of_input: &[f64], of_state: &[f64], state: &[f64]) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let [r, z] = [0, 1].map(|gate: usize| sigmoid(of_input[gate] + of_state[gate]));
        let n = (of_input[2] + r * of_state[2]).tanh();
        vec![(1.0 - z) * n + z * state[0]]
    }

    fn output_shape(self, x: Shape, weight_ih: Shape, weight_hh: Shape) -> Result<Shape, OpError> {
        Gru::output_shape(&self, x, weight_ih, weight_hh)
    }

    fn forward(
        self,
        x: &Tensor,
        weights: Weights<'_>,
        initial: &[Option<&Tensor>],
        mask: Option<&Tensor>,
    ) -> Result<(Vec<Tensor>, Saved), OpError> {
        let (output, saved) = Gru::forward(&self, x, weights, initial[0], mask)?;
        Ok((vec![output.y, output.h_n], saved))
    }

    fn infer(self, x: &Tensor, weights: Weights<'_>) -> Result<Vec<Tensor>, OpError> {
        let output = Gru::infer(&self, x, weights, None, None)?;
        Ok(vec![output.y, output.h_n])
    }

    fn backward(
        self,
        saved: &Saved,
        weights: Weights<'_>,
        dys: &[Option<&Tensor>],
        dweights: WeightGradients<'_>,
    ) -> Result<Vec<Tensor>, OpError> {
        let dys = OutputGradients { dy: dys[0], dh_n: dys[1] };
        let InputGradients { dx, dh0 } = Gru::backward(&self, saved, weights, dys, dweights)?;
        Ok(vec![dx, dh0])
    }

    fn backward_parameters(
        self,
        saved: &Saved,
        weights: Weights<'_>,
        dys: &[Option<&Tensor>],
        dweights: WeightGradients<'_>,
    ) -> Result<(), OpError> {
        let dys = OutputGradients { dy: dys[0], dh_n: dys[1] };
        Gru::backward_parameters(&self, saved, weights, dys, dweights)
    }
}

/// `z = 1` keeps the state to the last bit.
#[test]
fn a_closed_gate_keeps_the_state() {
    let (weight_ih, weight_hh) = (Tensor::full([3, 1], 1.0), Tensor::zeros([3, 1]));
    let weights = Weights { weight_ih: &weight_ih, weight_hh: &weight_hh, bias_ih: None, bias_hh: None };
    let (x, h0) = (Tensor::full([1, 3, 1], f32::INFINITY), Tensor::full([1, 1], 0.1));
    everywhere(|| {
        let output = Gru::infer(&Gru::default(), &x, weights, Some(&h0), None).unwrap();
        assert_eq!(output.y.data(), [0.1; 3]);
    });
}
