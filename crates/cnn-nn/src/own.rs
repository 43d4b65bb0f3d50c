//! Custom layers among described ones.

use crate::kinds::KINDS;
use crate::{Layer, NnError, Parameters};
use cnn_ops::Activation;
use cnn_tensor::Shape;
use cnn_tensor::registry::{Registry, read};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A custom layer that descriptions can name. Serde writes and reads its options. Its tensors, which serde skips, are made by
/// [`Own::build`].
///
/// ```
/// use cnn_nn::spec::{flatten, linear, own};
/// use cnn_nn::{At, Grads, Graph, Init, NnError, Own, Parameters, Role, Unary};
/// use cnn_tensor::{Shape, Tensor};
/// use serde::{Deserialize, Serialize};
///
/// /// `y = scale x`, the scale learned.
/// #[derive(Serialize, Deserialize)]
/// struct Scale {
///     begin: f32,
///     #[serde(skip)]
///     scale: Tensor,
/// }
///
/// impl Own for Scale {
///     const KIND: &'static str = "scale";
///     fn build(self, _: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
///         let scale = parameters.get("scale", [1], Init::Constant(self.begin))?;
///         Ok(Self { scale, ..self })
///     }
/// }
///
/// impl Unary for Scale {
///     type Saved = Tensor;
///     fn kind(&self) -> &'static str { Self::KIND }
///     fn output_shape(&self, x: Shape) -> Result<Shape, NnError> { Ok(x) }
///     fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
///         let y = x.data().iter().map(|x| self.scale.data()[0] * x).collect();
///         Ok((Tensor::from_vec(x.shape(), y)?, x))
///     }
///     fn backward(&self, x: Tensor, mut dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
///         grads.of(0).data_mut()[0] += x.data().iter().zip(dy.data()).map(|(x, dy)| x * dy).sum::<f32>();
///         dy.data_mut().iter_mut().for_each(|dy| *dy *= self.scale.data()[0]);
///         Ok(Some(dy))
///     }
///     fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
///         f("scale", Role::Parameter, &self.scale);
///     }
///     fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
///         f("scale", Role::Parameter, &mut self.scale);
///     }
/// }
///
/// let scale = Scale { begin: 2.0, scale: Tensor::default() };
/// let net = Graph::build([own(&scale).named("scale"), linear(3).named("fc")], [4], 0)?;
/// assert_eq!(net.tensors()[0].0, "scale.scale");
/// # Ok::<(), NnError>(())
/// ```
///
/// A program that loads a model with such a layer must call [`register`] first.
pub trait Own: Layer + Serialize + DeserializeOwned + 'static {
    /// The kind under which descriptions name the layer; different from all kinds of this library.
    const KIND: &'static str;

    /// The layer with its parameters, for inputs of the shapes `x`. `self` holds the options as they were read.
    ///
    /// # Errors
    /// The layer cannot take those shapes, or a parameter is missing.
    fn build(self, x: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError>;
}

type Build = fn(&Map<String, Value>, &[Shape], &mut Parameters<'_>) -> Result<Box<dyn Layer>, NnError>;

/// The kinds that programs registered, with the field names that a layer's description has besides its options.
pub(crate) static REGISTRY: Registry<Build> =
    Registry::new(&[KINDS, Activation::NAMES], &["name", "type", "from", "shares"]);

/// Registers the type `L` for the whole program, so that descriptions can name it. [`spec::own`](crate::spec::own) calls this.
///
/// # Errors
/// The kind is empty, belongs to this library, or is registered for another type.
pub fn register<L: Own>() -> Result<(), NnError> {
    let what = "the kind of a custom layer";
    let registered = REGISTRY.register::<L>(L::KIND, build_as::<L>);
    registered.map_err(|rule| NnError::Setting { what, rule, got: L::KIND.into() })
}

/// The options of a custom layer, or the reason why it cannot be described. Registers the type.
pub(crate) fn options<L: Own>(layer: &L) -> Result<Map<String, Value>, String> {
    register::<L>().map_err(|fault| fault.to_string())?;
    REGISTRY.options(layer)
}

/// The custom layer of that kind with those options.
pub(crate) fn build(
    kind: &str,
    options: Result<&Map<String, Value>, &String>,
    x: &[Shape],
    parameters: &mut Parameters<'_>,
) -> Result<Box<dyn Layer>, NnError> {
    let options =
        options.map_err(|fault| unusable("written by serde as named options, under its own kind", fault))?;
    match REGISTRY.get(kind) {
        Some(build) => build(options, x, parameters),
        None => Err(unusable("of a registered kind", kind)),
    }
}

fn build_as<L: Own>(
    options: &Map<String, Value>,
    x: &[Shape],
    parameters: &mut Parameters<'_>,
) -> Result<Box<dyn Layer>, NnError> {
    let layer: L =
        read(options).map_err(|fault| unusable("described by the options that its type reads", &fault))?;
    Ok(Box::new(layer.build(x, parameters)?))
}

fn unusable(rule: &'static str, got: &str) -> NnError {
    NnError::Setting { what: "a custom layer", rule, got: got.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{GraphSpec, LayerSpec, NamedSpec, OwnSpec, flatten, graph, linear, own};
    use crate::{At, Grads, Graph, Init, Input, Model, ModelSpec, Role, Tensors, Unary, gradcheck};
    use crate::{Gradients, Kept, Shapes};
    use cnn_tensor::Tensor;
    use serde::Deserialize;

    /// `y = x + bias`, or `x - bias`.
    #[derive(Serialize, Deserialize)]
    struct Shift {
        begin: f32,
        #[serde(default)]
        down: bool,
        #[serde(skip)]
        bias: Tensor,
    }

    impl Shift {
        fn new(begin: f32) -> Self {
            Self { begin, down: false, bias: Tensor::default() }
        }
    }

    impl Own for Shift {
        const KIND: &'static str = "shift";
        fn build(self, x: &[Shape], parameters: &mut Parameters<'_>) -> Result<Self, NnError> {
            let [x] = x else { return Err(NnError::Count { what: "the inputs", expected: 1, got: x.len() }) };
            let bias = parameters.get("bias", [x.dims()[1]], Init::Constant(self.begin))?;
            Ok(Self { bias, ..self })
        }
    }

    impl Unary for Shift {
        type Saved = ();
        fn kind(&self) -> &'static str {
            Self::KIND
        }
        fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
            Ok(x)
        }
        fn forward(&self, mut x: Tensor, _: At) -> Result<(Tensor, ()), NnError> {
            let sign = if self.down { -1.0 } else { 1.0 };
            let bias = self.bias.data().iter().cycle();
            x.data_mut().iter_mut().zip(bias).for_each(|(x, bias)| *x += sign * bias);
            Ok((x, ()))
        }
        fn backward(&self, (): (), dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
            let sign = if self.down { -1.0 } else { 1.0 };
            let db = grads.of(0).data_mut();
            for row in dy.data().chunks(db.len()) {
                db.iter_mut().zip(row).for_each(|(db, dy)| *db += sign * dy);
            }
            Ok(Some(dy))
        }
        fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
            f("bias", Role::Parameter, &self.bias);
        }
        fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
            f("bias", Role::Parameter, &mut self.bias);
        }
    }

    /// Two outputs: the input and its negative. It has no options.
    #[derive(Serialize, Deserialize)]
    struct Mirror;

    impl Own for Mirror {
        const KIND: &'static str = "mirror";
        fn build(self, _: &[Shape], _: &mut Parameters<'_>) -> Result<Self, NnError> {
            Ok(self)
        }
    }

    impl Layer for Mirror {
        fn kind(&self) -> &'static str {
            Self::KIND
        }
        fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
            Ok([x[0], x[0]].into())
        }
        fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
            let x = x.only("the inputs")?;
            let mut negative = x.clone();
            negative.data_mut().iter_mut().for_each(|x| *x = -*x);
            Ok([x, negative].into())
        }
        fn forward(&self, x: Tensors, _: At, kept: &mut Kept) -> Result<Tensors, NnError> {
            kept.put(());
            self.infer(x)
        }
        fn backward(&self, kept: &mut Kept, dy: Gradients, _: &mut Grads<'_>) -> Result<Gradients, NnError> {
            kept.take::<()>()?;
            let mut dy = dy.into_iter();
            let (positive, negative) = (dy.next().flatten(), dy.next().flatten());
            let negative = negative.map(|mut dy| {
                dy.data_mut().iter_mut().for_each(|dy| *dy = -*dy);
                dy
            });
            Ok(match (positive, negative) {
                (Some(a), Some(b)) => Some(cnn_ops::arithmetic::add(a, &b)?),
                (a, b) => a.or(b),
            }
            .into())
        }
    }

    /// A layer of which nothing but its description matters, of the kind given.
    macro_rules! idle {
        ($name:ident, $kind:expr, { $($field:ident: $type:ty),* }) => {
            #[derive(Default, Serialize, Deserialize)]
            struct $name { $($field: $type),* }
            idle!($name, $kind);
        };
        ($name:ident, $kind:expr) => {
            impl Own for $name {
                const KIND: &'static str = $kind;
                fn build(self, _: &[Shape], _: &mut Parameters<'_>) -> Result<Self, NnError> {
                    Ok(self)
                }
            }
            impl Unary for $name {
                type Saved = ();
                fn kind(&self) -> &'static str {
                    Self::KIND
                }
                fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
                    Ok(x)
                }
                fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, ()), NnError> {
                    Ok((x, ()))
                }
                fn backward(&self, (): (), dy: Tensor, _: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
                    Ok(Some(dy))
                }
            }
        };
    }

    fn fault(layer: LayerSpec) -> String {
        Graph::build([layer.named("own")], [3], 0).unwrap_err().to_string()
    }

    #[test]
    fn a_model_with_layers_of_ones_own_is_saved_and_loaded() {
        let spec = ModelSpec {
            name: "own".into(),
            input: Input::gray(2, 2, 0.5, 0.5),
            classes: vec!["dark".into(), "light".into()],
            layers: vec![
                flatten().named("flatten"),
                own(&Shift::new(0.25)).named("up"),
                own(&Shift { down: true, ..Shift::new(0.5) }).named("down"),
                own(&Mirror).named("mirror"),
                linear(2).named("fc"),
            ],
        };
        let model = Model::build(spec, 0).unwrap();
        let tensors = model.net.tensors();
        assert_eq!(tensors[0], ("up.bias".into(), Tensor::full([4], 0.25)));
        assert_eq!(tensors[1], ("down.bias".into(), Tensor::full([4], 0.5)));
        let file = tempfile::NamedTempFile::new().unwrap();
        model.save(file.path()).unwrap();
        let again = Model::load(file.path()).unwrap();
        assert_eq!((&again.spec, again.net.tensors()), (&model.spec, tensors));
        let x = cnn_tensor::testing::distinct([3, 1, 2, 2], 1);
        assert_eq!(again.net.infer(&x).unwrap(), model.net.infer(&x).unwrap());
        assert_eq!(model.net.copy().unwrap().infer(&x).unwrap(), model.net.infer(&x).unwrap());
    }

    #[test]
    fn they_are_written_like_the_librarys() {
        let named = own(&Shift::new(0.5)).named("a");
        let json = serde_json::to_string(&named).unwrap();
        assert_eq!(json, r#"{"name":"a","type":"shift","begin":0.5,"down":false}"#);
        assert_eq!(serde_json::from_str::<NamedSpec>(&json).unwrap(), named);
        let json = serde_json::to_string(&own(&Mirror)).unwrap();
        assert_eq!(json, r#"{"type":"mirror"}"#);
        assert_eq!(serde_json::from_str::<LayerSpec>(&json).unwrap(), own(&Mirror));
        let spec = graph(["x"])
            .node("m", own(&Mirror), ["x"])
            .node("s", own(&Shift::new(0.0)), ["m:1"])
            .outputs(["s"]);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<GraphSpec>(&json).unwrap(), spec);
        let mut net = Graph::of(&spec, [[3]], 0).unwrap();
        assert_eq!(net.infer(&Tensor::full([1, 3], 2.0)).unwrap().data(), [-2.0; 3]);
        gradcheck::check(&mut net, [2, 3], 0).unwrap();
        gradcheck::check(&mut Mirror, [2, 3], 0).unwrap();
    }

    #[test]
    fn kinds_that_nobody_registered_are_unknown() {
        let fault = serde_json::from_str::<LayerSpec>(r#"{"type":"shfit_unknown"}"#).unwrap_err().to_string();
        assert!(
            fault.starts_with("unknown layer kind \"shfit_unknown\": expected one of the library's, or one"),
            "{fault}"
        );
        register::<Shift>().unwrap();
        let fault = serde_json::from_str::<LayerSpec>(r#"{"type":"shfit"}"#).unwrap_err().to_string();
        assert!(fault.ends_with("is \"shift\" meant?"), "{fault}");
        let spec = LayerSpec::Own(OwnSpec { kind: "nobodys".into(), options: Map::new(), fault: None });
        assert_eq!(self::fault(spec), "own: a custom layer must be of a registered kind, got nobodys");
    }

    #[test]
    fn misspelt_options_are_errors() {
        register::<Shift>().unwrap();
        let read = |json| serde_json::from_str::<NamedSpec>(json).unwrap().layer;
        let rule = "own: a custom layer must be described by the options that its type reads, got";
        let misspelt = read(r#"{"name":"own","type":"shift","begin":1,"dwon":true}"#);
        assert_eq!(fault(misspelt), format!("{rule} unknown field `dwon`"));
        assert_eq!(fault(read(r#"{"name":"own","type":"shift"}"#)), format!("{rule} missing field `begin`"));
        let wrong = fault(read(r#"{"name":"own","type":"shift","begin":"x"}"#));
        assert!(wrong.starts_with(&format!("{rule} invalid type: string")), "{wrong}");
        register::<Mirror>().unwrap();
        let wrong = fault(read(r#"{"name":"own","type":"mirror","axis":1}"#));
        assert!(wrong.starts_with(rule), "{wrong}");
        // The error of the type's own `build`.
        let two = graph(["a"]).node("own", own(&Shift::new(1.0)), ["a", "a"]).outputs(["own"]);
        let fault = Graph::of(&two, [[3]], 0).unwrap_err().to_string();
        assert_eq!(fault, "own: the inputs must be 1, got 2");
    }

    idle!(Taken, "relu", {});
    idle!(Nameless, "", {});
    idle!(First, "contested", {});
    idle!(Second, "contested", {});

    #[test]
    fn a_kind_is_one_types_and_none_of_the_librarys() {
        let rule = "the kind of a custom layer must be";
        let library = format!("{rule} other than the library's, and not empty, got");
        assert_eq!(register::<Taken>().unwrap_err().to_string(), format!("{library} relu"));
        assert_eq!(register::<Nameless>().unwrap_err().to_string(), format!("{library} "));
        register::<First>().unwrap();
        register::<First>().unwrap();
        let fault = register::<Second>().unwrap_err().to_string();
        assert_eq!(fault, format!("{rule} used for one type only, got contested"));
        // The error appears when the description is built.
        let described = self::fault(own(&Second {}));
        let written =
            "own: a custom layer must be written by serde as named options, under its own kind, got";
        assert_eq!(described, format!("{written} {fault}"));
        assert!(self::fault(own(&Taken {})).starts_with(&format!("{written} {library} relu")));
        Graph::build([own(&First {}).named("own")], [3], 0).unwrap();
    }

    idle!(Named, "named", { name: String });
    idle!(Whence, "whence", { from: usize });

    #[derive(Serialize, Deserialize)]
    struct Bare(f32);
    idle!(Bare, "bare");

    #[test]
    fn options_have_names_and_none_that_descriptions_have_themselves() {
        let written =
            "own: a custom layer must be written by serde as named options, under its own kind, got";
        let reserved = |name| format!("{written} an option `{name}`, which descriptions have themselves");
        assert_eq!(fault(own(&Named::default())), reserved("name"));
        assert_eq!(fault(own(&Whence::default())), reserved("from"));
        assert_eq!(fault(own(&Bare(1.0))), format!("{written} options without names"));
    }
}
