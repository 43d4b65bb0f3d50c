//! Recurrent layers.

use crate::spec::{GruSpec, LstmSpec};
use crate::{At, Gradients, Grads, Init, Kept, Layer, NnError, Parameters, Request, Role, Shapes, Tensors};
use cnn_ops::{Gru, Lstm, OpError, WeightGradients, Weights, gru, lstm};
use cnn_tensor::{Shape, Tensor};

/// A recurrent layer with PyTorch's parameters `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and `bias_hh_l0`; see
/// [`cnn_ops::lstm`](mod@cnn_ops::lstm) and [`cnn_ops::gru`](mod@cnn_ops::gru).
#[derive(Debug)]
pub(super) struct Recurrent {
    cell: Cell,
    mask: bool,
    initial: bool,
    weights: [Tensor; 2],
    biases: Option<[Tensor; 2]>,
    names: [&'static str; 4],
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    Lstm(Lstm),
    Gru(Gru),
}

/// The values that the backward pass reads.
enum Saved {
    Lstm(lstm::Saved),
    Gru(gru::Saved),
}

const FORWARD: [&str; 4] = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"];
/// PyTorch's parameter names for the reverse direction.
const REVERSE: [&str; 4] =
    ["weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse"];

impl Cell {
    fn kind(self) -> &'static str {
        match self {
            Self::Lstm(_) => "lstm",
            Self::Gru(_) => "gru",
        }
    }

    /// The number of rows of the weights, in multiples of the state's size.
    fn gates(self) -> usize {
        match self {
            Self::Lstm(_) => 4,
            Self::Gru(_) => 3,
        }
    }

    /// The number of tensors in the state.
    fn states(self) -> usize {
        match self {
            Self::Lstm(_) => 2,
            Self::Gru(_) => 1,
        }
    }
}

impl Recurrent {
    pub fn lstm(spec: LstmSpec, x: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let LstmSpec { hidden_size, bias, reverse, mask, initial } = spec;
        Self::build(Cell::Lstm(Lstm { reverse }), [bias, reverse, mask, initial], hidden_size, x, parameters)
    }

    pub fn gru(spec: GruSpec, x: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
        let GruSpec { hidden_size, bias, reverse, mask, initial } = spec;
        Self::build(Cell::Gru(Gru { reverse }), [bias, reverse, mask, initial], hidden_size, x, parameters)
    }

    fn build(
        cell: Cell,
        [bias, reverse, mask, initial]: [bool; 4],
        h: usize,
        x: &[Shape],
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, NnError> {
        let first = x.first().copied().unwrap_or([0].into());
        let &[_, _, d] = first.dims() else {
            return Err(
                OpError::Rank { op: cell.kind(), what: "x", expected: "[n, t, d]", got: first }.into()
            );
        };
        let rows = cell.gates().saturating_mul(h);
        let shapes = [Shape::new(&[rows, d])?, Shape::new(&[rows, h])?];
        // All are initialised uniformly in ±1 / sqrt(size of the state).
        let request = |shape| Request { shape, init: Init::PyTorch, fan_in: h, fan_out: h };
        let names = if reverse { REVERSE } else { FORWARD };
        // Checked before any parameter is drawn.
        output_shape(cell, first, shapes)?;
        let weights = [
            parameters.request(names[0], request(shapes[0]))?,
            parameters.request(names[1], request(shapes[1]))?,
        ];
        let biases = match bias {
            true => Some([
                parameters.request(names[2], request([rows].into()))?,
                parameters.request(names[3], request([rows].into()))?,
            ]),
            false => None,
        };
        let layer = Self { cell, mask, initial, weights, biases, names };
        layer.output_shapes(x)?;
        Ok(layer)
    }

    fn weights(&self) -> Weights<'_> {
        let [weight_ih, weight_hh] = &self.weights;
        let biases = self.biases.as_ref();
        let [bias_ih, bias_hh] = [0, 1].map(|i| biases.map(|biases| &biases[i]));
        Weights { weight_ih, weight_hh, bias_ih, bias_hh }
    }

    /// Splits the inputs into the input sequence, the mask and the initial state.
    fn parts<'a>(&self, x: &'a [Tensor]) -> (&'a Tensor, Option<&'a Tensor>, [Option<&'a Tensor>; 2]) {
        let mut rest = x[1..].iter();
        let mask = if self.mask { rest.next() } else { None };
        (&x[0], mask, [rest.next(), rest.next()])
    }

    fn run(&self, x: Tensors) -> Result<(Tensors, Saved), NnError> {
        let shapes: Shapes = x.iter().map(Tensor::shape).collect();
        self.output_shapes(&shapes)?;
        let (x, mask, [h0, c0]) = self.parts(&x);
        Ok(match self.cell {
            Cell::Lstm(lstm) => {
                let initial = lstm::Initial { h0, c0 };
                let (lstm::Output { y, h_n, c_n }, saved) = lstm.forward(x, self.weights(), initial, mask)?;
                ([y, h_n, c_n].into(), Saved::Lstm(saved))
            }
            Cell::Gru(gru) => {
                let (gru::Output { y, h_n }, saved) = gru.forward(x, self.weights(), h0, mask)?;
                ([y, h_n].into(), Saved::Gru(saved))
            }
        })
    }
}

fn output_shape(cell: Cell, x: Shape, [ih, hh]: [Shape; 2]) -> Result<Shape, NnError> {
    Ok(match cell {
        Cell::Lstm(lstm) => lstm.output_shape(x, ih, hh)?,
        Cell::Gru(gru) => gru.output_shape(x, ih, hh)?,
    })
}

/// The gradients of the weights, to add into.
fn gradients<'a>(grads: &'a mut Grads<'_>) -> WeightGradients<'a> {
    let mut all = grads.all().iter_mut();
    let mut next = || all.next();
    let (weight_ih, weight_hh) = (next().expect("a weight"), next().expect("two weights"));
    WeightGradients { weight_ih, weight_hh, bias_ih: next(), bias_hh: next() }
}

impl Layer for Recurrent {
    fn kind(&self) -> &'static str {
        self.cell.kind()
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        let op = self.kind();
        let states = self.cell.states();
        let expected = 1 + usize::from(self.mask) + if self.initial { states } else { 0 };
        if x.len() != expected {
            return Err(NnError::Count { what: "the number of inputs", expected, got: x.len() });
        }
        let y = output_shape(self.cell, x[0], self.weights.each_ref().map(Tensor::shape))?;
        let [n, t, h] = *y.dims() else { unreachable!("[n, t, h]") };
        let expect = |what, expected: Shape, got: Shape| match got == expected {
            true => Ok(()),
            false => Err(OpError::Shape { op, what, expected, got }),
        };
        if self.mask {
            expect("mask", [n, t].into(), x[1])?;
        }
        let given = x[1 + usize::from(self.mask)..].iter();
        given.zip(["h0", "c0"]).try_for_each(|(got, what)| expect(what, [n, h].into(), *got))?;
        Ok([y].into_iter().chain(std::iter::repeat_n([n, h].into(), states)).collect())
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        Ok(self.run(x)?.0)
    }

    fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let (y, saved) = self.run(x)?;
        kept.put(saved);
        Ok(y)
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, grads: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let inputs = 1 + usize::from(self.mask) + if self.initial { self.cell.states() } else { 0 };
        let wanted = (0..inputs).any(|i| grads.wants(i));
        let mut given = dy.iter().map(Option::as_ref);
        let mut next = || given.next().flatten();
        let (weights, dweights) = (self.weights(), gradients(grads));
        let (dx, states) = match (self.cell, kept.take::<Saved>()?) {
            (Cell::Lstm(lstm), Saved::Lstm(saved)) => {
                let dy = lstm::OutputGradients { dy: next(), dh_n: next(), dc_n: next() };
                if !wanted {
                    lstm.backward_parameters(&saved, weights, dy, dweights)?;
                    return Ok((0..inputs).map(|_| None).collect());
                }
                let lstm::InputGradients { dx, dh0, dc0 } = lstm.backward(&saved, weights, dy, dweights)?;
                (dx, [Some(dh0), Some(dc0)])
            }
            (Cell::Gru(gru), Saved::Gru(saved)) => {
                let dy = gru::OutputGradients { dy: next(), dh_n: next() };
                if !wanted {
                    gru.backward_parameters(&saved, weights, dy, dweights)?;
                    return Ok((0..inputs).map(|_| None).collect());
                }
                let gru::InputGradients { dx, dh0 } = gru.backward(&saved, weights, dy, dweights)?;
                (dx, [Some(dh0), None])
            }
            _ => unreachable!("each cell keeps its own"),
        };
        // A mask has no gradient.
        let mask = self.mask.then_some(None);
        Ok([Some(dx)].into_iter().chain(mask).chain(states).take(inputs).collect())
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        let tensors = self.weights.iter().chain(self.biases.iter().flatten());
        self.names.iter().zip(tensors).for_each(|(name, tensor)| f(name, Role::Parameter, tensor));
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        let tensors = self.weights.iter_mut().chain(self.biases.iter_mut().flatten());
        self.names.iter().zip(tensors).for_each(|(name, tensor)| f(name, Role::Parameter, tensor));
    }

    fn macs(&self, x: &[Shape]) -> u64 {
        let steps = x.first().map_or(0, |x| x.dims().iter().take(2).product::<usize>());
        let each: usize = self.weights.iter().map(|weight| weight.shape().numel()).sum();
        steps.saturating_mul(each) as u64
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{LayerSpec, embedding, graph, gru, linear, lstm, masked_softmax, matmul, slice};
    use crate::{Fresh, Graph, Layer, Parameters, Path, Tensors, gradcheck, layers};
    use cnn_tensor::testing::distinct;
    use cnn_tensor::{Shape, Tensor};

    fn build(spec: impl Into<LayerSpec>, x: &Tensors) -> Box<dyn Layer> {
        let shapes: Vec<Shape> = x.iter().map(Tensor::shape).collect();
        let mut source = Fresh { seed: 3 };
        layers::build(&spec.into(), &shapes, &mut Parameters::new(Path::ROOT, &mut source)).unwrap()
    }

    fn small(shape: impl Into<Shape>, seed: u64) -> Tensor {
        let mut x = distinct(shape.into(), seed);
        let largest = x.data().iter().fold(1.0f32, |largest, v| largest.max(v.abs()));
        x.data_mut().iter_mut().for_each(|v| *v /= largest);
        x
    }

    #[test]
    fn gradients_are_right() {
        let (x, state) = (|| small([2, 4, 3], 1), |seed| small([2, 5], seed));
        let mask = || Tensor::from_vec([2, 4], vec![1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
        let indices = || Tensor::from_vec([2, 3], vec![0.0, 4.0, 2.0, 2.0, 1.0, 0.0]).unwrap();
        let scores = || small([2, 3, 4], 4);
        let cases: Vec<(LayerSpec, Tensors, Vec<bool>)> = vec![
            (lstm(5).into(), x().into(), vec![true]),
            (lstm(5).bias(false).reverse(true).into(), x().into(), vec![true]),
            (lstm(5).mask(true).into(), [x(), mask()].into(), vec![true, false]),
            (lstm(5).initial(true).into(), [x(), state(2), state(3)].into(), vec![true; 3]),
            (
                lstm(5).mask(true).initial(true).into(),
                [x(), mask(), state(2), state(3)].into(),
                vec![true, false, true, true],
            ),
            (gru(5).into(), x().into(), vec![true]),
            (gru(5).bias(false).reverse(true).into(), x().into(), vec![true]),
            (gru(5).mask(true).initial(true).into(), [x(), mask(), state(2)].into(), vec![true, false, true]),
            (embedding(5, 3).into(), indices().into(), vec![false]),
            (matmul().into(), [small([2, 3, 4], 1), small([2, 4, 2], 2)].into(), vec![true; 2]),
            (
                matmul().transpose_b(true).into(),
                [small([2, 2, 3, 4], 1), small([2, 2, 5, 4], 2)].into(),
                vec![true; 2],
            ),
            (masked_softmax(), [scores(), mask()].into(), vec![true, false]),
        ];
        for (spec, x, varied) in cases {
            let mut layer = build(spec.clone(), &x);
            gradcheck::check_at(&mut *layer, x, &varied, 0).unwrap_or_else(|e| panic!("{spec:?}: {e}"));
        }
    }

    #[test]
    fn parameters_have_pytorchs_names_shapes_and_range() {
        let names = |spec: LayerSpec| {
            let mut all = Vec::new();
            build(spec, &Tensor::zeros([1, 2, 3]).into()).visit(&mut |name, _, tensor| {
                let bound = 1.0 / 5f32.sqrt();
                assert!(tensor.data().iter().all(|v| v.abs() <= bound) && tensor.data()[0] != 0.0);
                all.push(format!("{name} {}", tensor.shape()));
            });
            all.join(", ")
        };
        assert_eq!(
            names(lstm(5).into()),
            "weight_ih_l0 [20, 3], weight_hh_l0 [20, 5], bias_ih_l0 [20], bias_hh_l0 [20]"
        );
        assert_eq!(
            names(gru(5).reverse(true).bias(false).into()),
            "weight_ih_l0_reverse [15, 3], weight_hh_l0_reverse [15, 5]"
        );
        let table = build(embedding(4, 3).padding_idx(2), &Tensor::zeros([1, 2]).into());
        table.visit(&mut |name, _, weight| {
            assert_eq!((name, &weight.data()[6..9]), ("weight", &[0.0; 3][..]));
            assert!(weight.data()[..6].iter().all(|v| *v != 0.0));
        });
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let fault = |spec: LayerSpec, x: &[&[usize]]| {
            let inputs: Vec<String> = (0..x.len()).map(|i| format!("x{i}")).collect();
            let spec = crate::GraphSpec { inputs: inputs.clone(), ..Default::default() }
                .node("layer", spec, inputs.iter().map(String::as_str))
                .outputs(["layer"]);
            Graph::of(&spec, x, 0).unwrap_err().to_string()
        };
        assert_eq!(fault(lstm(5).into(), &[&[3]]), "layer: lstm: x expects [n, t, d], got shape [1, 3]");
        assert_eq!(
            fault(lstm(5).mask(true).into(), &[&[4, 3], &[7]]),
            "layer: lstm: mask expects shape [1, 4], got [1, 7]"
        );
        assert_eq!(
            fault(gru(5).initial(true).into(), &[&[4, 3], &[6]]),
            "layer: gru: h0 expects shape [1, 5], got [1, 6]"
        );
        assert_eq!(fault(gru(5).into(), &[&[4, 3], &[6]]), "layer: the number of inputs must be 1, got 2");
        assert!(fault(lstm(usize::MAX).into(), &[&[4, 3]]).starts_with("layer: "));
        assert!(fault(embedding(usize::MAX, usize::MAX).into(), &[&[4]]).starts_with("layer: "));
        // An index outside the table, and other numbers in a mask, are only found when the network runs.
        let net = Graph::build([embedding(4, 3).named("words")], [2], 0).unwrap();
        let fault = net.infer(&Tensor::from_vec([1, 2], vec![1.0, 4.0]).unwrap()).unwrap_err().to_string();
        assert!(fault.starts_with("words: embedding: indices expects whole numbers"), "{fault}");
        let spec = graph(["x", "mask"]).node("rnn", lstm(2).mask(true), ["x", "mask"]).outputs(["rnn"]);
        let net = Graph::of(&spec, [&[3, 1][..], &[3]], 0).unwrap();
        let x = [Tensor::zeros([1, 3, 1]), Tensor::full([1, 3], 0.5)].into();
        assert!(Layer::infer(&net, x).unwrap_err().to_string().starts_with("rnn: lstm: mask expects 0 or 1"));
    }

    /// A chain passes on the first output of a layer with several.
    #[test]
    fn a_chain_reads_the_steps_of_a_recurrent_layer() {
        let layers = [
            embedding(10, 4).named("words"),
            gru(6).named("rnn"),
            slice(1, -1, None).named("last"),
            crate::spec::flatten().named("flatten"),
            linear(2).named("fc"),
        ];
        let net = Graph::build(layers, [7], 0).unwrap();
        assert_eq!(net.infer(&Tensor::full([3, 7], 9.0)).unwrap().shape().dims(), [3, 2]);
        assert_eq!(net.summary().rows[1].macs, 7 * 18 * (4 + 6));
    }
}
