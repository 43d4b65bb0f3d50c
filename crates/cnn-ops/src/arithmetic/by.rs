//! The operations of [`Arithmetic`] on a tensor and one that has no batch.

use super::{Arithmetic, Saved};
use crate::OpError;
use crate::shared::check;
use cnn_tensor::{Shape, Tensor, vector};
use serde::{Deserialize, Serialize};

/// The operations of [`Arithmetic`] on `x` and a tensor `w` that has no batch.
///
/// `y = x op w`, or `w op x` if reversed, where `w` serves every image: the scale of each channel, a mean to subtract, a
/// constant. The gradients are those of [`Arithmetic`], `dw` summed over the batch as well.
///
/// The axes of `w` are the last ones of `x`, and never the batch. Each extent is equal or, in one of them, 1: then its one
/// position is used for all of the other's. So `[c, 1, 1]` is a number for each channel of `[n, c, h, w]`, `[d]` one for each
/// element of a row, and `[]` one number for all. These are the rules of NumPy, PyTorch and ONNX, except that `x` keeps its rank.
///
/// ```
/// use cnn_ops::{Arithmetic, ArithmeticBy};
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let scale = Tensor::from_vec([2, 1], vec![10.0, 100.0])?;
/// let op = ArithmeticBy::new(Arithmetic::Mul);
/// let (y, saved) = op.forward(x.clone(), &scale)?;
/// assert_eq!(y.data(), [10.0, 20.0, 300.0, 400.0]);
/// let mut dscale = Tensor::zeros([2, 1]);
/// let dx = op.backward(&saved, Tensor::full([1, 2, 2], 1.0), true, Some(&mut dscale))?;
/// assert_eq!(dx.unwrap().data(), [10.0, 10.0, 100.0, 100.0]);
/// assert_eq!(dscale.data(), [3.0, 7.0]);
/// let from_5 = ArithmeticBy::new(Arithmetic::Sub).reversed(true);
/// assert_eq!(from_5.infer(x, &Tensor::full([], 5.0))?.data(), [4.0, 3.0, 2.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArithmeticBy {
    /// The operation.
    pub op: Arithmetic,
    /// Whether `w` is the first operand.
    #[serde(default)]
    pub reversed: bool,
}

const OP: &str = "arithmetic_by";

impl ArithmeticBy {
    /// `x op w`.
    #[must_use]
    pub fn new(op: Arithmetic) -> Self {
        Self { op, reversed: false }
    }

    /// Sets whether it is `w op x`.
    #[must_use]
    pub fn reversed(self, reversed: bool) -> Self {
        Self { reversed, ..self }
    }

    /// The shape of `y`: of each axis the extent that is not 1.
    ///
    /// # Errors
    /// `w` has more axes than an image of `x`, or another extent, neither of them 1; or the result has more elements than an
    /// operation may make.
    pub fn output_shape(self, x: Shape, w: Shape) -> Result<Shape, OpError> {
        Arithmetic::broadcast(OP, x, of_one_image(x, w)?)
    }

    /// `y`, and the values that [`ArithmeticBy::backward`] reads. The memory of `x` is that of `y` under the conditions of
    /// [`Arithmetic::forward`].
    ///
    /// # Errors
    /// Those of [`ArithmeticBy::output_shape`].
    pub fn forward(self, x: Tensor, w: &Tensor) -> Result<(Tensor, Saved), OpError> {
        let y = self.output_shape(x.shape(), w.shape())?;
        let [a, b] = self.operands(x, w)?;
        let shapes = [a.shape(), b.shape()];
        if matches!(self.op, Arithmetic::Add | Arithmetic::Sub) {
            return Ok((self.op.compute(a, &b, y), Saved { op: self.op, shapes, operands: None }));
        }
        let y = self.op.fresh(&a, &b, y);
        Ok((y, Saved { op: self.op, shapes, operands: Some([a, b]) }))
    }

    /// The `y` of [`ArithmeticBy::forward`], when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`ArithmeticBy::output_shape`].
    pub fn infer(self, x: Tensor, w: &Tensor) -> Result<Tensor, OpError> {
        let y = self.output_shape(x.shape(), w.shape())?;
        let [a, b] = self.operands(x, w)?;
        Ok(self.op.compute(a, &b, y))
    }

    /// `dx` if it is wanted, from `dy` of the shape of `y`. The gradient of `w` is added to `dw`, if there is one.
    ///
    /// # Errors
    /// `saved` is another operation's, or `dy` or `dw` has the wrong shape.
    pub fn backward(
        self,
        saved: &Saved,
        dy: Tensor,
        wants_dx: bool,
        dw: Option<&mut Tensor>,
    ) -> Result<Option<Tensor>, OpError> {
        check::rule(OP, "saved", "of the same operation", saved.op == self.op, saved.op.name())?;
        let [a, b] = saved.shapes;
        check::shape(OP, "dy", Arithmetic::broadcast(OP, a, b)?, &dy)?;
        let own = usize::from(!self.first());
        if let Some(dw) = dw {
            let (expected, got) = (saved.shapes[own], dw.shape());
            // Of w, only the shape with leading ones is known.
            if of_one_image(saved.shapes[1 - own], got)? != expected {
                return Err(OpError::Shape { op: OP, what: "dw", expected, got });
            }
            let gradient = self.op.gradient(saved, own, dy.clone());
            vector::axpy(1.0, gradient.data(), dw.data_mut());
        }
        Ok(wants_dx.then(|| self.op.gradient(saved, 1 - own, dy)))
    }

    /// Whether `w` is the first operand. The order of a sum or product does not matter.
    fn first(self) -> bool {
        self.reversed && matches!(self.op, Arithmetic::Sub | Arithmetic::Div)
    }

    /// Both operands in their order, of one rank.
    fn operands(self, x: Tensor, w: &Tensor) -> Result<[Tensor; 2], OpError> {
        let shape = of_one_image(x.shape(), w.shape())?;
        let w = w.clone().reshape(shape).map_err(|fault| OpError::Tensor { op: OP, fault })?;
        Ok(if self.first() { [w, x] } else { [x, w] })
    }
}

/// The shape of `w` with leading axes of extent 1, as many as `x` has more.
fn of_one_image(x: Shape, w: Shape) -> Result<Shape, OpError> {
    let fits = w.rank() < x.rank();
    check::rule(OP, "w", "of fewer axes than x, without the batch", fits, format_args!("{w} for x of {x}"))?;
    let mut dims = [1; Shape::MAX_RANK];
    dims[x.rank() - w.rank()..x.rank()].copy_from_slice(w.dims());
    Shape::new(&dims[..x.rank()]).map_err(|fault| OpError::Tensor { op: OP, fault })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::tests::{ALL, oracle, places};
    use crate::shared::testing::*;
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The shapes of `x` and `w`, each with an extent of 1 here and there.
    fn shapes() -> impl Strategy<Value = [Shape; 2]> {
        let axis =
            (0..5usize, prop::sample::select(vec![[false; 2], [false; 2], [true, false], [false, true]]));
        (0..4usize, prop::collection::vec(axis, 0..4), 0..4usize).prop_map(|(n, axes, without)| {
            let [x, w] =
                [0, 1].map(|of| axes.iter().map(move |(extent, ones)| if ones[of] { 1 } else { *extent }));
            let x: Vec<usize> = std::iter::once(n).chain(x).collect();
            let w: Vec<usize> = w.skip(without).collect();
            [Shape::new(&x).unwrap(), Shape::new(&w).unwrap()]
        })
    }

    fn any_op() -> impl Strategy<Value = ArithmeticBy> {
        (prop::sample::select(ALL.to_vec()), any::<bool>())
            .prop_map(|(op, reversed)| ArithmeticBy { op, reversed })
    }

    proptest! {
        #[test]
        fn matches_the_definition(op in any_op(), [xs, ws] in shapes(), seed: u64) {
            let [mut x, mut w] = [distinct(xs, seed), distinct(ws, seed ^ 1)];
            // Away from 0, by which differences cannot be divided.
            [&mut x, &mut w].into_iter().for_each(|t| t.data_mut().iter_mut().for_each(|v| *v += 2.0));
            let y = op.output_shape(xs, ws).unwrap();
            let places = places(y, [xs, of_one_image(xs, ws).unwrap()]);
            let definition = |x: &[f64], w: &[f64]| match op.reversed {
                false => oracle(op.op, &places, x, w),
                true => oracle(op.op, &places.iter().map(|[i, j]| [*j, *i]).collect::<Vec<_>>(), w, x),
            };
            let (x64, w64, dy) = (to_f64(&x), to_f64(&w), distinct(y, seed ^ 2));
            let want = definition(&x64, &w64);
            let want_dx = gradient_of(&x, &dy, |x| definition(x, &w64));
            let want_dw = gradient_of(&w, &dy, |w| definition(&x64, w));
            everywhere(|| {
                let (got, saved) = op.forward(x.clone(), &w).unwrap();
                assert_eq!(got.shape(), y);
                assert_close(&got, &want);
                assert_eq!(op.infer(x.clone(), &w).unwrap(), got);
                let mut dw = Tensor::full(ws, 1.0);
                let dx = op.backward(&saved, dy.clone(), true, Some(&mut dw)).unwrap().unwrap();
                assert_eq!(dx.shape(), xs);
                assert_gradient_close("dx", &dx, &want_dx);
                dw.data_mut().iter_mut().for_each(|dw| *dw -= 1.0);
                assert_gradient_close("dw", &dw, &want_dw);
                assert_eq!(op.backward(&saved, dy.clone(), true, None).unwrap(), Some(dx));
                assert_eq!(op.backward(&saved, dy.clone(), false, None).unwrap(), None);
            });
        }

        #[test]
        fn absurd_shapes_are_errors(op in any_op(), x in any_shape(), w in any_shape()) {
            let Ok(y) = op.output_shape(x, w) else { return Ok(()) };
            if [x, w, y].iter().all(|x| x.numel() <= 100_000) {
                let (got, saved) = op.forward(Tensor::zeros(x), &Tensor::zeros(w)).unwrap();
                prop_assert_eq!(got.shape(), y);
                let dx = op.backward(&saved, got, true, Some(&mut Tensor::zeros(w))).unwrap().unwrap();
                prop_assert_eq!(dx.shape(), x);
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let x = distinct([7, 31, 33], 0);
        for w in [&[31, 33][..], &[31, 1], &[33], &[]] {
            let w = distinct(Shape::new(w).unwrap(), 1);
            for op in
                ALL.into_iter().flat_map(|op| [false, true].map(|reversed| ArithmeticBy { op, reversed }))
            {
                assert_same_bits_on_any_threads(|| {
                    let (y, saved) = op.forward(x.clone(), &w).unwrap();
                    let mut dw = Tensor::zeros(w.shape());
                    let dx = op.backward(&saved, y.clone(), true, Some(&mut dw)).unwrap().unwrap();
                    vec![y, dx, dw]
                });
            }
        }
    }

    #[test]
    fn the_memory_of_x_is_used_unless_it_is_read_later() {
        let (x, w) = (Tensor::full([2, 3], 6.0), Tensor::full([3], 2.0));
        let place = x.data().as_ptr();
        let y = ArithmeticBy::new(Arithmetic::Div).infer(x, &w).unwrap();
        assert_eq!((y.data()[0], y.data().as_ptr()), (3.0, place));
        let (y, saved) = ArithmeticBy::new(Arithmetic::Add).reversed(true).forward(y, &w).unwrap();
        assert_eq!((y.data()[0], y.data().as_ptr()), (5.0, place));
        drop(saved);
        let (product, saved) = ArithmeticBy::new(Arithmetic::Mul).forward(y, &w).unwrap();
        assert_ne!(product.data().as_ptr(), place);
        drop(saved);
    }

    #[test]
    fn errors_say_what_is_expected() {
        let op = ArithmeticBy::new(Arithmetic::Mul);
        let message = |x: &[usize], w: &[usize]| {
            op.output_shape(Shape::new(x).unwrap(), Shape::new(w).unwrap()).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[2, 3], &[2, 3]),
            "arithmetic_by: w must be of fewer axes than x, without the batch, got [2, 3] for x of [2, 3]"
        );
        assert!(message(&[], &[]).starts_with("arithmetic_by: w must be of fewer axes than x"));
        assert_eq!(
            message(&[2, 3, 4], &[3]),
            "arithmetic_by: the extents must be equal or 1, got [2, 3, 4] and [1, 1, 3]"
        );
        let (y, saved) = op.forward(Tensor::zeros([2, 3]), &Tensor::zeros([3])).unwrap();
        let fault = |fault: Result<Option<Tensor>, OpError>| fault.unwrap_err().to_string();
        let error = fault(ArithmeticBy::new(Arithmetic::Add).backward(&saved, y.clone(), true, None));
        assert_eq!(error, "arithmetic_by: saved must be of the same operation, got mul");
        let error = fault(op.backward(&saved, Tensor::zeros([2, 1]), true, None));
        assert_eq!(error, "arithmetic_by: dy expects shape [2, 3], got [2, 1]");
        let error = fault(op.backward(&saved, y.clone(), true, Some(&mut Tensor::zeros([2]))));
        assert_eq!(error, "arithmetic_by: dw expects shape [1, 3], got [2]");
        let error = fault(op.backward(&saved, y, true, Some(&mut Tensor::zeros([]))));
        assert_eq!(error, "arithmetic_by: dw expects shape [1, 3], got []");
    }

    #[test]
    fn a_description_is_short() {
        let read = |json| serde_json::from_str::<ArithmeticBy>(json);
        assert_eq!(read(r#"{"op":"div"}"#).unwrap(), ArithmeticBy::new(Arithmetic::Div));
        let reversed = ArithmeticBy::new(Arithmetic::Sub).reversed(true);
        assert_eq!(serde_json::to_string(&reversed).unwrap(), r#"{"op":"sub","reversed":true}"#);
        assert!(read(r#"{"op":"div","inverted":true}"#).is_err());
    }
}
