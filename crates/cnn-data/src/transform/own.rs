//! Transforms of one's own among described ones.

use super::{KINDS, Transform, TransformSpec};
use crate::{DataError, Normalize, Picture};
use cnn_tensor::Random;
use cnn_tensor::registry::{Registry, read};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A transform of one's own that descriptions can name: its options are those that serde writes.
///
/// ```
/// use cnn_data::transform::{HorizontalFlip, Own, Pipeline, Transform, own};
/// use cnn_data::{DataError, Picture};
/// use cnn_tensor::Random;
/// use serde::{Deserialize, Serialize};
///
/// /// Takes up to `most` levels from all pixels.
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Darken {
///     most: u8,
/// }
///
/// impl Own for Darken {
///     const KIND: &'static str = "darken";
/// }
///
/// impl Transform for Darken {
///     fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
///         let by = random.below(usize::from(self.most) + 1) as u8;
///         picture.data_mut().iter_mut().for_each(|v| *v = v.saturating_sub(by));
///         Ok(picture)
///     }
/// }
///
/// let pipeline = Pipeline::new([HorizontalFlip { p: 0.5 }.into(), own(&Darken { most: 40 })])?;
/// let text = serde_json::to_string(&pipeline)?;
/// assert_eq!(text, r#"[{"type":"horizontal_flip","p":0.5},{"type":"darken","most":40}]"#);
/// assert_eq!(serde_json::from_str::<Pipeline>(&text)?, pipeline);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A program that reads a description with such a transform calls [`register`] before.
pub trait Own: Transform + Serialize + DeserializeOwned + 'static {
    /// The kind by which descriptions name it, other than all kinds of this library.
    const KIND: &'static str;
}

type Read = fn(&Map<String, Value>) -> Result<Arc<dyn Transform>, String>;

/// The kinds that programs added.
static REGISTRY: Registry<Read> = Registry::new(&[KINDS], &["type"]);

/// Lets descriptions name transforms of the type `T` from now on, in the whole program. [`own`] calls it.
///
/// # Errors
/// The kind is empty, one of this library's, or another type's.
pub fn register<T: Own>() -> Result<(), DataError> {
    let what = "the kind of a transform of one's own";
    let registered = REGISTRY.register::<T>(T::KIND, read_as::<T>);
    registered.map_err(|rule| DataError::Setting { what, rule: rule.into(), got: T::KIND.into() })
}

/// A transform of one's own, by its options; see [`Own`]. Its type is [registered](register) by this.
///
/// The transform that is applied is the one that a description brings back: parts that serde skips are at their defaults.
pub fn own<T: Own>(transform: &T) -> TransformSpec {
    let registered = register::<T>().map_err(|fault| fault.to_string());
    let (options, transform) = match registered.and_then(|()| REGISTRY.options(transform)) {
        Ok(options) => (options.clone(), read_as::<T>(&options)),
        Err(fault) => (Map::new(), Err(fault)),
    };
    TransformSpec::Own(OwnSpec { kind: T::KIND.into(), options, transform })
}

fn read_as<T: Own>(options: &Map<String, Value>) -> Result<Arc<dyn Transform>, String> {
    Ok(Arc::new(read::<T>(options)?))
}

/// A transform of one's own: its kind, its options, and the transform that its type reads from them.
#[derive(Clone, Debug)]
pub struct OwnSpec {
    kind: String,
    options: Map<String, Value>,
    /// Or why it cannot be used.
    transform: Result<Arc<dyn Transform>, String>,
}

impl OwnSpec {
    /// From a description with a kind that is not the library's.
    pub(super) fn read(kind: &str, mut options: Map<String, Value>) -> Result<Self, String> {
        let Some(read) = REGISTRY.get(kind) else { return Err(REGISTRY.unknown("transform", kind)) };
        options.remove("type");
        let transform = Ok(read(&options)?);
        Ok(Self { kind: kind.into(), options, transform })
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The options.
    pub fn options(&self) -> &Map<String, Value> {
        &self.options
    }

    fn transform(&self) -> Result<&dyn Transform, DataError> {
        self.transform.as_deref().map_err(|fault| DataError::Setting {
            what: "a transform of one's own",
            rule: "written and read by serde, under a kind of its own".into(),
            got: format!("{}: {fault}", self.kind),
        })
    }
}

/// Of the same kind and options.
impl PartialEq for OwnSpec {
    fn eq(&self, other: &Self) -> bool {
        (&self.kind, &self.options) == (&other.kind, &other.options)
    }
}

/// The options beside the `type`, as those of the library's transforms.
impl Serialize for OwnSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = Value::String(self.kind.clone());
        let options = self.options.iter().map(|(name, value)| (name.as_str(), value));
        serializer.collect_map([("type", &kind)].into_iter().chain(options))
    }
}

impl Transform for OwnSpec {
    fn validate(&self) -> Result<(), DataError> {
        self.transform()?.validate()
    }

    fn is_random(&self) -> bool {
        self.transform().is_ok_and(Transform::is_random)
    }

    fn finishes(&self) -> bool {
        self.transform().is_ok_and(Transform::finishes)
    }

    fn apply<'a>(&self, picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        self.transform()?.apply(picture, random)
    }

    fn finish(
        &self,
        x: &mut [f32],
        shape: [usize; 3],
        normalize: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        self.transform()?.finish(x, shape, normalize, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{HorizontalFlip, Invert, Pipeline, RandomApply};
    use serde::Deserialize;
    use serde_json::json;

    /// Takes levels from all pixels, after normalisation if it is told so.
    #[derive(Debug, Serialize, Deserialize)]
    struct Darken {
        by: u8,
        #[serde(default)]
        late: bool,
    }

    impl Own for Darken {
        const KIND: &'static str = "darken";
    }

    impl Transform for Darken {
        fn validate(&self) -> Result<(), DataError> {
            if self.by > 0 {
                return Ok(());
            }
            Err(DataError::Setting { what: "the levels", rule: "above 0".into(), got: self.by.to_string() })
        }

        fn is_random(&self) -> bool {
            false
        }

        fn finishes(&self) -> bool {
            self.late
        }

        fn apply<'a>(&self, mut picture: Picture<'a>, _: &mut Random) -> Result<Picture<'a>, DataError> {
            if !self.late {
                picture.data_mut().iter_mut().for_each(|v| *v = v.saturating_sub(self.by));
            }
            Ok(picture)
        }

        fn finish(
            &self,
            x: &mut [f32],
            _: [usize; 3],
            _: &Normalize,
            _: &mut Random,
        ) -> Result<(), DataError> {
            if self.late {
                x.iter_mut().for_each(|x| *x -= f32::from(self.by) / 255.0);
            }
            Ok(())
        }
    }

    /// The one pixel, 100, after both stages, as a byte.
    fn applied(transform: &dyn Transform) -> f32 {
        let mut random = Random::new(0, &[]);
        let picture = transform.apply(Picture::filled([1, 1, 1], 100), &mut random).unwrap();
        let (normalize, mut x) = (Normalize::unit(1), [0.0]);
        normalize.image(picture.data(), &mut x);
        transform.finish(&mut x, [1, 1, 1], &normalize, &mut random).unwrap();
        (x[0] * 255.0).round()
    }

    #[test]
    fn it_is_saved_and_loaded_with_its_pipeline() {
        let late = own(&Darken { by: 7, late: true });
        let nested = RandomApply { p: 1.0, steps: Pipeline::new([late]).unwrap() };
        let steps = [Invert { p: 1.0 }.into(), own(&Darken { by: 5, late: false }), nested.into()];
        let pipeline = Pipeline::new(steps).unwrap();
        let json = serde_json::to_value(&pipeline).unwrap();
        assert_eq!(json[1], json!({"type": "darken", "by": 5, "late": false}));
        assert_eq!(json[2]["steps"][0], json!({"type": "darken", "by": 7, "late": true}));
        let again: Pipeline = serde_json::from_value(json).unwrap();
        assert_eq!(again, pipeline);
        for pipeline in [pipeline, again] {
            pipeline.validate().unwrap();
            assert_eq!(applied(&pipeline), 143.0);
        }
        let TransformSpec::Own(spec) = own(&Darken { by: 5, late: false }) else {
            panic!("a spec of its own")
        };
        assert_eq!((spec.kind(), spec.options().len(), spec.is_random()), ("darken", 2, false));
        assert_ne!(own(&Darken { by: 5, late: false }), own(&Darken { by: 6, late: false }));
    }

    #[test]
    fn descriptions_of_unknown_transforms_and_options_are_refused() {
        register::<Darken>().unwrap();
        let fault = |json| serde_json::from_value::<TransformSpec>(json).unwrap_err().to_string();
        assert_eq!(
            fault(json!({"type": "darkn", "by": 1})),
            "unknown transform \"darkn\": expected one of the library's, or one that was registered; is \"darken\" \
             meant?"
        );
        assert_eq!(fault(json!({"type": "darken", "bye": 1, "by": 1})), "unknown field `bye`");
        assert_eq!(fault(json!({"type": "darken"})), "missing field `by`");
        assert!(fault(json!({"type": "darken", "by": 256})).contains("expected u8"));
        let unset: TransformSpec = serde_json::from_value(json!({"type": "darken", "by": 0})).unwrap();
        assert_eq!(unset.validate().unwrap_err().to_string(), "the levels must be above 0, got 0");
    }

    #[test]
    fn its_stage_is_that_of_the_steps_beside_it() {
        let steps = [own(&Darken { by: 1, late: true }), HorizontalFlip::default().into()];
        let apply = RandomApply { p: 1.0, steps: Pipeline::new(steps).unwrap() };
        assert_eq!(
            apply.validate().unwrap_err().to_string(),
            "the steps of a random apply must be all before normalisation or all after it, got 1 of 2 after it"
        );
    }

    /// A type whose options are not named fields, under another type's kind.
    #[derive(Debug, Serialize, Deserialize)]
    struct Other(u8);

    impl Transform for Other {}

    impl Own for Other {
        const KIND: &'static str = "other";
    }

    /// One of the library's kinds.
    #[derive(Debug, Serialize, Deserialize)]
    struct Resize {}

    impl Transform for Resize {}

    impl Own for Resize {
        const KIND: &'static str = "resize";
    }

    /// Another type's kind.
    #[derive(Debug, Serialize, Deserialize)]
    struct Again {}

    impl Transform for Again {}

    impl Own for Again {
        const KIND: &'static str = "darken";
    }

    /// A type without fields.
    #[derive(Debug, Serialize, Deserialize)]
    struct Unchanged;

    impl Transform for Unchanged {}

    impl Own for Unchanged {
        const KIND: &'static str = "unchanged";
    }

    /// A kind that is empty.
    #[derive(Debug, Serialize, Deserialize)]
    struct Nameless {}

    impl Transform for Nameless {}

    impl Own for Nameless {
        const KIND: &'static str = "";
    }

    /// An option that would hide the kind.
    #[derive(Debug, Serialize, Deserialize)]
    struct Typed {
        r#type: u8,
    }

    impl Transform for Typed {}

    impl Own for Typed {
        const KIND: &'static str = "typed";
    }

    #[test]
    fn a_type_without_fields_has_no_options() {
        let json = serde_json::to_string(&own(&Unchanged)).unwrap();
        assert_eq!(json, r#"{"type":"unchanged"}"#);
        let again: TransformSpec = serde_json::from_str(&json).unwrap();
        assert_eq!(again, own(&Unchanged));
        again.validate().unwrap();
    }

    #[test]
    fn what_cannot_be_described_is_said_when_it_is_used() {
        register::<Darken>().unwrap();
        let fault = |spec: TransformSpec| {
            let applied = spec.apply(Picture::filled([1, 1, 1], 0), &mut Random::new(0, &[]));
            let message = applied.unwrap_err().to_string();
            assert_eq!(Pipeline::new([spec]).unwrap_err().to_string(), message);
            let rule =
                "a transform of one's own must be written and read by serde, under a kind of its own, got ";
            message.strip_prefix(rule).unwrap().to_string()
        };
        assert_eq!(fault(own(&Other(1))), "other: options without names");
        let kind = "the kind of a transform of one's own must be";
        assert_eq!(
            fault(own(&Resize {})),
            format!("resize: {kind} other than the library's, and not empty, got resize")
        );
        assert_eq!(fault(own(&Again {})), format!("darken: {kind} used for one type only, got darken"));
        assert!(register::<Again>().is_err());
        let library = format!("{kind} other than the library's, and not empty, got ");
        assert_eq!(fault(own(&Nameless {})), format!(": {library}"));
        let reserved = "typed: an option `type`, which descriptions have themselves";
        assert_eq!(fault(own(&Typed { r#type: 1 })), reserved);
    }
}
