//! The three rules against a reference of loops in f64: convolution, rectifier, max pooling with switches, linear layer.

use super::*;
use proptest::prelude::*;

/// Maps `[c, h, w]` in f64.
#[derive(Clone)]
struct Maps {
    dims: [usize; 3],
    data: Vec<f64>,
}

impl Maps {
    fn zeros(dims: [usize; 3]) -> Self {
        Self { dims, data: vec![0.0; dims.iter().product()] }
    }

    fn at(&self, [c, y, x]: [usize; 3]) -> usize {
        (c * self.dims[1] + y) * self.dims[2] + x
    }

    fn places(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [c, h, w] = self.dims;
        (0..c * h * w).map(move |i| [i / (h * w), i / w % h, i % w])
    }
}

/// `conv(3x3), relu, max_pool(2), conv(3x3), relu, flatten, linear`.
struct Reference {
    tensors: Vec<Vec<f64>>,
}

impl Reference {
    fn of(net: &Graph) -> Self {
        let f64s = |(_, tensor): (String, Tensor)| tensor.data().iter().map(|&v| f64::from(v)).collect();
        Self { tensors: net.tensors().into_iter().map(f64s).collect() }
    }

    fn conv(&self, first: usize, x: &Maps) -> Maps {
        let (weight, bias) = (&self.tensors[first], &self.tensors[first + 1]);
        let [c_in, h, w] = x.dims;
        let mut y = Maps::zeros([bias.len(), h - 2, w - 2]);
        for [c, row, column] in y.places() {
            let mut sum = bias[c];
            for (i, [from, r, s]) in Maps::zeros([c_in, 3, 3]).places().enumerate() {
                sum += weight[c * c_in * 9 + i] * x.data[x.at([from, row + r, column + s])];
            }
            let at = y.at([c, row, column]);
            y.data[at] = sum;
        }
        y
    }

    fn conv_back(&self, first: usize, x: [usize; 3], dy: &Maps) -> Maps {
        let mut dx = Maps::zeros(x);
        for [c, row, column] in dy.places() {
            for (i, [from, r, s]) in Maps::zeros([x[0], 3, 3]).places().enumerate() {
                let at = dx.at([from, row + r, column + s]);
                dx.data[at] += self.tensors[first][c * x[0] * 9 + i] * dy.data[dy.at([c, row, column])];
            }
        }
        dx
    }

    /// The pooled maps, and the place of each maximum.
    fn pool(x: &Maps) -> (Maps, Vec<usize>) {
        let [c, h, w] = x.dims;
        let mut y = Maps::zeros([c, h / 2, w / 2]);
        let switches = y.places().map(|[c, row, column]| {
            let window =
                [[0, 0], [0, 1], [1, 0], [1, 1]].map(|[r, s]| x.at([c, 2 * row + r, 2 * column + s]));
            window.into_iter().fold(window[0], |best, at| if x.data[at] > x.data[best] { at } else { best })
        });
        let switches: Vec<usize> = switches.collect();
        y.data.iter_mut().zip(&switches).for_each(|(y, &at)| *y = x.data[at]);
        (y, switches)
    }

    fn rectify_back(rule: Rule, x: &Maps, dy: Maps) -> Maps {
        let pass = |(x, dy): (&f64, f64)| match rule {
            Rule::Plain => {
                if *x > 0.0 {
                    dy
                } else {
                    0.0
                }
            }
            Rule::Guided => {
                if *x > 0.0 && dy > 0.0 {
                    dy
                } else {
                    0.0
                }
            }
            Rule::Deconv => {
                if dy > 0.0 {
                    dy
                } else {
                    0.0
                }
            }
        };
        Maps { dims: x.dims, data: x.data.iter().zip(dy.data).map(pass).collect() }
    }

    /// The gradient of the score of `class`, or of the largest element of map `map` of the second rectifier times itself.
    fn gradient(&self, x: &Maps, rule: Rule, class: Option<usize>, map: usize) -> Vec<f64> {
        let relu = |x: &Maps| Maps { dims: x.dims, data: x.data.iter().map(|v| v.max(0.0)).collect() };
        let a = self.conv(0, x);
        let (pooled, switches) = Self::pool(&relu(&a));
        let b = self.conv(2, &pooled);
        let features = relu(&b);
        let n = features.data.len();
        let mut dy = Maps::zeros(features.dims);
        match class {
            Some(class) => dy.data.copy_from_slice(&self.tensors[4][class * n..][..n]),
            None => {
                let plane = features.dims[1] * features.dims[2];
                let own = &features.data[map * plane..][..plane];
                let best = (0..plane).fold(0, |best, i| if own[i] > own[best] { i } else { best });
                dy.data[map * plane + best] = own[best];
            }
        }
        let dy = self.conv_back(2, pooled.dims, &Self::rectify_back(rule, &b, dy));
        let mut before = Maps::zeros(a.dims);
        switches.iter().zip(&dy.data).for_each(|(&at, dy)| before.data[at] += dy);
        self.conv_back(0, x.dims, &Self::rectify_back(rule, &a, before)).data
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rules_are_those_of_the_reference(
        (c, h, w) in (1usize..3, 8usize..13, 8usize..12), seed in 0u64..1000, class in 0usize..3, map in 0usize..4,
    ) {
        let net = Graph::build(
            layers![
                conv2d(3, 3).named("a"), relu().named("a1"), max_pool2d(2).named("p"), conv2d(4, 3).named("b"),
                relu().named("b1"), flatten().named("f"), linear(3).named("fc")
            ],
            [c, h, w],
            seed,
        ).unwrap();
        let x = distinct([1, c, h, w], seed);
        let (look, reference) = (Explainer::new(&net).unwrap(), Reference::of(&net));
        let maps = Maps { dims: [c, h, w], data: x.data().iter().map(|&v| f64::from(v)).collect() };
        for rule in [Rule::Plain, Rule::Guided, Rule::Deconv] {
            let got = look.gradient(&x, class, rule).unwrap();
            assert_gradient_close("score", &got, &reference.gradient(&maps, rule, Some(class), 0));
            let got = look.project(&x, "b1", map, None, rule).unwrap();
            assert_gradient_close("map", &got.image, &reference.gradient(&maps, rule, None, map));
            // No pixel outside the patch takes part.
            for (i, v) in got.image.data().iter().enumerate() {
                let [row, column] = [i / w % h, i % w];
                let inside = got.patch.rows.contains(&row) && got.patch.columns.contains(&column);
                prop_assert!(inside || *v == 0.0);
            }
        }
    }
}

#[test]
fn relu6_passes_gradients_back_as_relu_does_below_6() {
    let x = Tensor::from_vec([1, 4], vec![-1.0, 0.5, 3.0, 8.0]).unwrap();
    let layers = layers![relu6().named("act"), linear(1).bias(false).named("fc")];
    let mut net = Graph::build(layers, [4], 0).unwrap();
    net.parameters_mut(&mut |_, tensor| tensor.data_mut().copy_from_slice(&[2.0, -3.0, 4.0, 5.0]));
    let gradient = |rule| Explainer::new(&net).unwrap().gradient(&x, 0, rule).unwrap().data().to_vec();
    assert_eq!(gradient(Rule::Plain), [0.0, -3.0, 4.0, 0.0]);
    assert_eq!(gradient(Rule::Guided), [0.0, 0.0, 4.0, 0.0]);
    assert_eq!(gradient(Rule::Deconv), [2.0, 0.0, 4.0, 5.0]);
}
