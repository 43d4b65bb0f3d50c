//! What all methods share: walking the model in one pass over value, gradient and memory, cutting large parameters
//! into pieces for the threads, and saving what is remembered from step to step.

use super::{Optimizer, require};
use crate::{Layer, NnError, Parameter, Path};
use cnn_tensor::simd::{Kernel, Level, Simd};
use cnn_tensor::{Shape, Tensor, parallel};
use std::collections::BTreeMap;
use std::ops::Range;

/// A method that remembers `N` numbers for every number it trains.
pub(super) trait Method<const N: usize>: Send + Sync {
    /// What the numbers remembered are called in a saved state.
    const MEMORY: [&'static str; N];

    /// Step number `t`, from 1, at learning rate `rate`.
    fn step(&self, t: u64, rate: f32) -> impl Step<N>;
}

/// One step's arithmetic, with its coefficients worked out.
pub(super) trait Step<const N: usize>: Copy + Send + Sync {
    /// The new value and memory of a vector of numbers; must be `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, value: S::V, gradient: S::V, memory: [S::V; N]) -> (S::V, [S::V; N]);
}

/// The [`Optimizer`] made of a method.
pub(super) struct Stepper<M, const N: usize> {
    method: M,
    /// Steps taken.
    steps: u64,
    /// What is remembered of each parameter, in visiting order; empty before the first step.
    memory: Vec<Memory<N>>,
}

impl<M: Method<N>, const N: usize> Stepper<M, N> {
    pub(super) fn new(method: M) -> Self {
        Self { method, steps: 0, memory: Vec::new() }
    }

    /// Makes the memory of a first step, and checks that of a later one against the model.
    fn remember(&mut self, model: &dyn Layer) -> Result<(), NnError> {
        let (mut count, mut fault) = (0, None);
        model.visit(Path::ROOT, &mut |path, parameter| {
            let shape = parameter.shape();
            let known = match self.memory.get(count) {
                None if self.steps == 0 => {
                    self.memory.push(Memory::zeros(path.to_string(), shape));
                    Some(shape)
                }
                known => known.map(|memory| memory.shape),
            };
            if known != Some(shape) {
                fault.get_or_insert_with(|| mismatch(path.to_string(), Some(shape), known));
            }
            count += 1;
        });
        let surplus =
            self.memory.get(count).map(|memory| mismatch(memory.name.clone(), None, Some(memory.shape)));
        fault.or(surplus).map_or(Ok(()), Err)
    }
}

impl<M: Method<N>, const N: usize> Optimizer for Stepper<M, N> {
    fn step(&mut self, model: &mut dyn Layer, rate: f32) -> Result<(), NnError> {
        require(rate >= 0.0 && rate.is_finite(), "learning rate", "finite and at least 0", rate.into())?;
        self.remember(model)?;
        self.steps += 1;
        let step = self.method.step(self.steps, rate);
        let mut memory = self.memory.iter_mut();
        model.visit_mut(Path::ROOT, &mut |_, parameter| {
            let memory = memory.next().expect("as many as the parameters: checked by `remember`");
            memory.step(step, parameter);
        });
        Ok(())
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = vec![(STEP.into(), pack(self.steps))];
        for memory in &self.memory {
            for (k, kind) in M::MEMORY.iter().enumerate() {
                state.push((format!("{kind}.{}", memory.name), memory.gather(k)));
            }
        }
        state
    }

    fn restore(&mut self, mut state: BTreeMap<String, Tensor>, model: &dyn Layer) -> Result<(), NnError> {
        let mut take = |name: String, shape: Shape| match state.remove(&name) {
            Some(tensor) if tensor.shape() == shape => Ok(tensor),
            other => Err(mismatch(name, Some(shape), other.map(|tensor| tensor.shape()))),
        };
        let steps = unpack(&take(STEP.into(), [2].into())?)?;
        let (mut restored, mut fault) = (Vec::new(), None);
        if steps > 0 {
            model.visit(Path::ROOT, &mut |path, parameter| {
                let mut memory = Memory::zeros(path.to_string(), parameter.shape());
                for (k, kind) in M::MEMORY.iter().enumerate() {
                    match take(format!("{kind}.{path}"), memory.shape) {
                        Ok(saved) => memory.scatter(k, &saved),
                        Err(error) => _ = fault.get_or_insert(error),
                    }
                }
                restored.push(memory);
            });
        }
        let surplus =
            state.first_key_value().map(|(name, saved)| mismatch(name.clone(), None, Some(saved.shape())));
        if let Some(fault) = fault.or(surplus) {
            return Err(fault);
        }
        (self.steps, self.memory) = (steps, restored);
        Ok(())
    }
}

fn mismatch(name: String, expected: Option<Shape>, got: Option<Shape>) -> NnError {
    NnError::parameter(name, expected, got)
}

/// The name under which the number of steps is saved.
const STEP: &str = "step";
/// Bits of the number of steps in each of the two floats that hold it, which are exact to 24 bits.
const STEP_BITS: u32 = 24;

/// A number of steps below 2^48 as two floats, the higher part first.
fn pack(steps: u64) -> Tensor {
    let mut tensor = Tensor::zeros([2]);
    tensor.data_mut().copy_from_slice(&[(steps >> STEP_BITS) as f32, (steps % (1 << STEP_BITS)) as f32]);
    tensor
}

fn unpack(tensor: &Tensor) -> Result<u64, NnError> {
    let digit =
        |v: &f32| (v.fract() == 0.0 && (0.0..(1 << STEP_BITS) as f32).contains(v)).then_some(*v as u64);
    match tensor.data().iter().map(digit).collect::<Option<Vec<_>>>().as_deref() {
        Some(&[high, low]) => Ok((high << STEP_BITS) + low),
        _ => {
            let rule = "two whole numbers from 0 to 16777215";
            Err(NnError::Setting { what: "saved number of steps", rule, got: format!("{:?}", tensor.data()) })
        }
    }
}

/// Elements that a thread takes at a time.
const PIECE: usize = 1 << 16;

/// What is remembered of one parameter: `N` tensors of its shape, cut into pieces of [`PIECE`] elements, so that a
/// thread can be handed its share of all of them at once.
struct Memory<const N: usize> {
    name: String,
    shape: Shape,
    pieces: Vec<[Tensor; N]>,
}

impl<const N: usize> Memory<N> {
    fn zeros(name: String, shape: Shape) -> Self {
        let mut pieces = Vec::new();
        for start in (0..shape.numel()).step_by(PIECE) {
            let len = PIECE.min(shape.numel() - start);
            pieces.push(std::array::from_fn(|_| Tensor::zeros([len])));
        }
        Self { name, shape, pieces }
    }

    /// Tensor `k` as a whole.
    fn gather(&self, k: usize) -> Tensor {
        let mut whole = Tensor::scratch(self.shape);
        for (whole, piece) in whole.data_mut().chunks_mut(PIECE).zip(&self.pieces) {
            whole.copy_from_slice(piece[k].data());
        }
        whole
    }

    /// Takes over tensor `k`.
    fn scatter(&mut self, k: usize, whole: &Tensor) {
        for (whole, piece) in whole.data().chunks(PIECE).zip(&mut self.pieces) {
            piece[k].data_mut().copy_from_slice(whole);
        }
    }

    fn step(&mut self, step: impl Step<N>, parameter: &mut Parameter) {
        let (value, gradient) = (parameter.value.data_mut(), parameter.gradient.data());
        parallel::for_each_chunk_pair((value, PIECE), (&mut self.pieces, 1), |i, value, piece| {
            let gradient = &gradient[i * PIECE..][..value.len()];
            let memory = piece[0].each_mut().map(Tensor::data_mut);
            Level::current().run(Pass { step, value, gradient, memory });
        });
    }
}

/// One pass over value, gradient and memory of a piece, all of one length.
struct Pass<'a, T, const N: usize> {
    step: T,
    value: &'a mut [f32],
    gradient: &'a [f32],
    memory: [&'a mut [f32]; N],
}

impl<T: Step<N>, const N: usize> Kernel for Pass<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let len = self.value.len();
        let whole = len - len % S::LANES;
        for start in (0..whole).step_by(S::LANES) {
            self.vector(s, start..start + S::LANES, S::load, S::store);
        }
        self.vector(s, whole..len, S::load_partial, S::store_partial);
    }
}

impl<T: Step<N>, const N: usize> Pass<'_, T, N> {
    /// The elements of `here`, at most a vector.
    #[inline(always)]
    fn vector<S: Simd>(
        &mut self,
        s: S,
        here: Range<usize>,
        load: impl Fn(S, &[f32]) -> S::V,
        store: impl Fn(S, S::V, &mut [f32]),
    ) {
        let mut memory = [s.splat(0.0); N];
        for (v, old) in memory.iter_mut().zip(&self.memory) {
            *v = load(s, &old[here.clone()]);
        }
        let (value, gradient) = (load(s, &self.value[here.clone()]), load(s, &self.gradient[here.clone()]));
        let (value, memory) = self.step.apply(s, value, gradient, memory);
        store(s, value, &mut self.value[here.clone()]);
        for (v, new) in memory.into_iter().zip(&mut self.memory) {
            store(s, v, &mut new[here.clone()]);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{Adam, OptimizerSpec, Sgd};
    use cnn_tensor::Random;
    use cnn_tensor::simd::with_level;
    use proptest::prelude::*;

    /// A model that is nothing but its parameters.
    #[derive(Clone)]
    struct Weights(Vec<(&'static str, Parameter)>);

    impl Layer for Weights {
        fn kind(&self) -> &'static str {
            "weights"
        }
        fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
            Ok(x)
        }
        fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
            Ok(x.clone())
        }
        fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
            Ok(x)
        }
        fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
            Ok(dy)
        }
        fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
            self.0.iter().for_each(|(name, parameter)| f(path.join(name), parameter));
        }
        fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
            self.0.iter_mut().for_each(|(name, parameter)| f(path.join(name), parameter));
        }
        fn replicate(&self) -> Box<dyn Layer> {
            Box::new(self.clone())
        }
    }

    impl Weights {
        /// Parameters of less than a vector, of some vectors and a rest, of nothing, and of more than a piece.
        fn random() -> Self {
            let shapes: [(_, Shape); 4] = [
                ("a", [3].into()),
                ("b", [5, 7].into()),
                ("none", [0].into()),
                ("large", [PIECE + 21].into()),
            ];
            let mut weights =
                Self(shapes.map(|(name, shape)| (name, Parameter::new(Tensor::zeros(shape)))).into());
            for (name, parameter) in &mut weights.0 {
                Random::new(1, &["value", *name]).fill_normal(1.0, parameter.value.data_mut());
            }
            weights
        }

        /// One step for each entry of `gradients`, which holds those of all parameters, one after the other.
        fn train(&mut self, optimizer: &mut dyn Optimizer, gradients: &[Vec<f32>]) {
            for step in gradients {
                let mut rest = &step[..];
                for (_, Parameter { gradient, .. }) in &mut self.0 {
                    let (these, others) = rest.split_at(gradient.data().len());
                    gradient.data_mut().copy_from_slice(these);
                    rest = others;
                }
                optimizer.step(self, RATE).unwrap();
            }
        }

        fn values(&self) -> Vec<f32> {
            self.0.iter().flat_map(|(_, parameter)| parameter.value.data()).copied().collect()
        }

        fn gradients(&self) -> Vec<f32> {
            self.0.iter().flat_map(|(_, parameter)| parameter.gradient.data()).copied().collect()
        }
    }

    const RATE: f32 = 0.01;

    /// Gradients of `steps` steps of [`Weights::random`].
    fn gradients(steps: usize) -> Vec<Vec<f32>> {
        let mut random = Random::new(2, &["gradients"]);
        let mut gradients = vec![vec![0.0; Weights::random().values().len()]; steps];
        gradients.iter_mut().for_each(|step| random.fill_normal(1.0, step));
        gradients
    }

    /// Each method in each of its forms.
    fn specs() -> [OptimizerSpec; 4] {
        let sgd = Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.01 };
        let heavy = Sgd { momentum: 0.9, ..sgd };
        let adam = Adam { weight_decay: 0.01, ..Adam::default() };
        [
            OptimizerSpec::Sgd(sgd),
            OptimizerSpec::Sgd(heavy),
            OptimizerSpec::Sgd(Sgd { nesterov: true, ..heavy }),
            OptimizerSpec::Adam(adam),
        ]
    }

    /// Asserts that 100 steps agree with `oracle(rate, value, gradients)`, the definition for one number, at every
    /// SIMD level, and that the number of threads does not change a bit.
    #[track_caller]
    pub(in crate::optim) fn assert_follows(spec: OptimizerSpec, oracle: impl Fn(f64, f64, &[f64]) -> f64) {
        const STEPS: usize = 100;
        let (start, gradients) = (Weights::random(), gradients(STEPS));
        let history = |i: usize| gradients.iter().map(|gradient| f64::from(gradient[i])).collect::<Vec<_>>();
        let values = start.values();
        let value = |i: usize| oracle(RATE.into(), values[i].into(), &history(i));
        let want: Vec<f64> = (0..values.len()).map(value).collect();
        for &level in Level::all() {
            let [got, again] = [1, 3].map(|threads| {
                let run = || {
                    let mut weights = start.clone();
                    weights.train(&mut *spec.build().unwrap(), &gradients);
                    weights.values()
                };
                with_level(level, || parallel::Threads::new(threads).unwrap().run(run))
            });
            assert_eq!(got, again, "{level:?}: one thread and three");
            for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
                let error = (f64::from(got) - want).abs();
                assert!(error <= 1e-5 * want.abs().max(1.0), "{level:?} {spec:?} {i}: {got}, not {want}");
            }
        }
    }

    /// Asserts that `want` is what becomes of 1, -2 and 3 in five steps at a rate of 0.1, the gradient of step `t`
    /// from 0 being `value * [0.5, 1, -2] + t`.
    #[track_caller]
    pub(in crate::optim) fn assert_five_steps(spec: OptimizerSpec, want: [f64; 3]) {
        let value = Tensor::from_slice([3], &[1.0, -2.0, 3.0]).unwrap();
        let mut weights = Weights(vec![("w", Parameter::new(value))]);
        let mut optimizer = spec.build().unwrap();
        for t in 0..5 {
            let Parameter { value, gradient } = &mut weights.0[0].1;
            for (i, slope) in [0.5, 1.0, -2.0].into_iter().enumerate() {
                gradient.data_mut()[i] = value.data()[i] * slope + t as f32;
            }
            optimizer.step(&mut weights, 0.1).unwrap();
        }
        for (got, want) in weights.values().into_iter().zip(want) {
            assert!((f64::from(got) - want).abs() <= 1e-6 * want.abs(), "{spec:?}: {got}, not {want}");
        }
    }

    fn entries(optimizer: &dyn Optimizer) -> BTreeMap<String, Tensor> {
        optimizer.state().into_iter().collect()
    }

    #[test]
    fn a_resumed_run_ends_in_the_same_bits() {
        let gradients = gradients(10);
        for spec in specs() {
            for interrupted in [0, 1, 7] {
                let (before, after) = gradients.split_at(interrupted);
                let (mut weights, mut optimizer) = (Weights::random(), spec.build().unwrap());
                weights.train(&mut *optimizer, before);
                let (mut resumed, state) = (weights.clone(), entries(&*optimizer));
                weights.train(&mut *optimizer, after);

                let mut optimizer = spec.build().unwrap();
                optimizer.restore(state.clone(), &resumed).unwrap();
                assert_eq!(entries(&*optimizer), state);
                resumed.train(&mut *optimizer, after);
                assert_eq!(
                    resumed.values(),
                    weights.values(),
                    "{spec:?} interrupted after {interrupted} steps"
                );
            }
        }
    }

    #[test]
    fn a_step_leaves_gradients_alone_and_a_rate_of_0_leaves_values_alone() {
        for spec in specs() {
            let (mut weights, mut optimizer) = (Weights::random(), spec.build().unwrap());
            weights.train(&mut *optimizer, &gradients(1));
            assert_eq!(weights.gradients(), gradients(1)[0]);
            let before = weights.values();
            optimizer.step(&mut weights, 0.0).unwrap();
            assert_eq!(weights.values(), before);
        }
    }

    #[test]
    fn a_state_is_named_after_the_parameters() {
        let names = |spec: OptimizerSpec| {
            let (mut weights, mut optimizer) = (Weights::random(), spec.build().unwrap());
            weights.0.truncate(2);
            assert_eq!(optimizer.state(), [("step".to_string(), Tensor::zeros([2]))]);
            weights.train(&mut *optimizer, &gradients(1));
            optimizer
                .state()
                .into_iter()
                .map(|(name, tensor)| format!("{name} {}", tensor.shape()))
                .collect::<Vec<_>>()
        };
        let [plain, momentum, nesterov, adam] = specs().map(names);
        assert_eq!(plain, ["step [2]"]);
        assert_eq!(momentum, ["step [2]", "momentum.a [3]", "momentum.b [5, 7]"]);
        assert_eq!(nesterov, momentum);
        assert_eq!(
            adam[1..],
            ["exp_avg.a [3]", "exp_avg_sq.a [3]", "exp_avg.b [5, 7]", "exp_avg_sq.b [5, 7]"]
        );
    }

    #[test]
    fn a_state_of_another_model_is_an_error_that_names_the_entry() {
        let (mut weights, mut optimizer) = (Weights::random(), specs()[1].build().unwrap());
        weights.train(&mut *optimizer, &gradients(1));
        let state = entries(&*optimizer);
        let mut refused = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
            let mut changed = state.clone();
            change(&mut changed);
            let error = optimizer.restore(changed, &weights).unwrap_err();
            assert_eq!(entries(&*optimizer), state, "a failed restore changes nothing");
            error.to_string()
        };
        let set = |name: &'static str, values: &'static [f32]| {
            move |state: &mut BTreeMap<String, Tensor>| {
                let tensor = Tensor::from_slice([values.len()], values).unwrap();
                state.insert(name.into(), tensor);
            }
        };
        assert_eq!(
            refused(&|state| _ = state.remove("momentum.b")),
            "parameter momentum.b: the model expects shape [5, 7], the file has none of that name"
        );
        assert_eq!(
            refused(&|state| _ = state.remove("step")),
            "parameter step: the model expects shape [2], the file has none of that name"
        );
        assert_eq!(
            refused(&set("momentum.a", &[0.0; 4])),
            "parameter momentum.a: the model expects shape [3], the file has shape [4]"
        );
        assert_eq!(
            refused(&set("momentum.c", &[0.0; 4])),
            "parameter momentum.c: the model expects none of that name, the file has shape [4]"
        );
        assert_eq!(
            refused(&set("step", &[0.0, -1.0])),
            "saved number of steps must be two whole numbers from 0 to 16777215, got [0.0, -1.0]"
        );
        assert!(refused(&set("step", &[0.0, 0.0])).contains("the model expects none of that name"));
    }

    #[test]
    fn a_model_that_changes_between_steps_is_an_error() {
        for spec in specs() {
            let (mut weights, mut optimizer) = (Weights::random(), spec.build().unwrap());
            weights.train(&mut *optimizer, &gradients(1));
            let mut refused = |change: &dyn Fn(&mut Weights)| {
                let mut changed = weights.clone();
                change(&mut changed);
                let before = changed.values();
                let error = optimizer.step(&mut changed, RATE).unwrap_err();
                assert_eq!(changed.values(), before, "a failed step changes nothing");
                error.to_string()
            };
            let error = refused(&|weights| weights.0[1].1 = Parameter::new(Tensor::zeros([7, 5])));
            assert_eq!(error, "parameter b: the model expects shape [7, 5], the file has shape [5, 7]");
            let error = refused(&|weights| _ = weights.0.pop());
            assert!(error.starts_with("parameter large: the model expects none of that name"), "{error}");
            let error = refused(&|weights| weights.0.push(("more", Parameter::new(Tensor::zeros([1])))));
            assert_eq!(error, "parameter more: the model expects shape [1], the file has none of that name");
        }
    }

    #[test]
    fn a_rate_that_is_no_rate_is_an_error() {
        for (rate, shown) in [(-0.1, "-0.1"), (f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
            let error =
                specs()[0].build().unwrap().step(&mut Weights::random(), rate).unwrap_err().to_string();
            assert!(error.starts_with("learning rate must be finite and at least 0, got "), "{error}");
            assert!(error.contains(shown), "{error}");
        }
    }

    proptest! {
        #[test]
        fn numbers_of_steps_are_saved_exactly(steps in 0..1u64 << 48) {
            prop_assert_eq!(unpack(&pack(steps)).unwrap(), steps);
        }
    }

    #[test]
    fn what_is_no_number_of_steps_is_an_error() {
        for part in [-1.0, 0.5, 16_777_216.0, f32::INFINITY, f32::NAN] {
            for saved in [[part, 1.0], [1.0, part]] {
                assert!(unpack(&Tensor::from_slice([2], &saved).unwrap()).is_err(), "{saved:?}");
            }
        }
    }
}
