use super::*;
use crate::shared::recurrent::testing::{Cell, suite};
use crate::shared::testing::everywhere;

suite!(Lstm);

impl Cell for Lstm {
    const NAME: &'static str = "lstm";
    const GATES: usize = 4;
    const STATE: &'static [&'static str] = &["h", "c"];
    type Saved = Saved;

    fn with_reverse(reverse: bool) -> Self {
        Self { reverse }
    }

    fn is_reverse(self) -> bool {
        self.reverse
    }

    fn step(of_input: &[f64], of_state: &[f64], state: &[f64]) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate: usize| of_input[gate] + of_state[gate]);
        let c = sigmoid(f) * state[1] + sigmoid(i) * g.tanh();
        vec![sigmoid(o) * c.tanh(), c]
    }

    fn output_shape(self, x: Shape, weight_ih: Shape, weight_hh: Shape) -> Result<Shape, OpError> {
        Lstm::output_shape(&self, x, weight_ih, weight_hh)
    }

    fn forward(
        self,
        x: &Tensor,
        weights: Weights<'_>,
        initial: &[Option<&Tensor>],
        mask: Option<&Tensor>,
    ) -> Result<(Vec<Tensor>, Saved), OpError> {
        let initial = Initial { h0: initial[0], c0: initial[1] };
        let (output, saved) = Lstm::forward(&self, x, weights, initial, mask)?;
        Ok((vec![output.y, output.h_n, output.c_n], saved))
    }

    fn infer(self, x: &Tensor, weights: Weights<'_>) -> Result<Vec<Tensor>, OpError> {
        let output = Lstm::infer(&self, x, weights, Initial::default(), None)?;
        Ok(vec![output.y, output.h_n, output.c_n])
    }

    fn backward(
        self,
        saved: &Saved,
        weights: Weights<'_>,
        dys: &[Option<&Tensor>],
        dweights: WeightGradients<'_>,
    ) -> Result<Vec<Tensor>, OpError> {
        let dys = OutputGradients { dy: dys[0], dh_n: dys[1], dc_n: dys[2] };
        let InputGradients { dx, dh0, dc0 } = Lstm::backward(&self, saved, weights, dys, dweights)?;
        Ok(vec![dx, dh0, dc0])
    }

    fn backward_parameters(
        self,
        saved: &Saved,
        weights: Weights<'_>,
        dys: &[Option<&Tensor>],
        dweights: WeightGradients<'_>,
    ) -> Result<(), OpError> {
        let dys = OutputGradients { dy: dys[0], dh_n: dys[1], dc_n: dys[2] };
        Lstm::backward_parameters(&self, saved, weights, dys, dweights)
    }
}

/// Gates saturate: infinite inputs give the limits.
#[test]
fn infinite_inputs_open_and_close_gates() {
    let weight_ih = Tensor::from_vec([4, 1], vec![1.0, 0.5, 1.0, 1.0]).unwrap();
    let weight_hh = Tensor::zeros([4, 1]);
    let weights = Weights { weight_ih: &weight_ih, weight_hh: &weight_hh, bias_ih: None, bias_hh: None };
    let x = Tensor::from_vec([1, 2, 1], vec![f32::INFINITY, f32::NEG_INFINITY]).unwrap();
    everywhere(|| {
        let output = Lstm::infer(&Lstm::default(), &x, weights, Initial::default(), None).unwrap();
        assert!((output.y.data()[0] - 1f32.tanh()).abs() < 1e-6 && output.y.data()[1] == 0.0);
        assert_eq!(output.c_n.data(), [0.0]);
    });
}
