//! Types of one's own among those that descriptions know: layers, transforms.
//!
//! Descriptions are JSON objects with a `type`, the kind. A program adds a type under a kind of its own, and what is left of
//! the object are the options, which serde writes and reads.

use crate::text::hint;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kinds that a program adds to a library's. `R` reads one from its options: a function pointer.
///
/// ```
/// use cnn_tensor::registry::{Registry, read};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Scale { by: f32 }
///
/// type Read = fn(&serde_json::Map<String, serde_json::Value>) -> Result<f32, String>;
/// static SHAPES: Registry<Read> = Registry::new(&[&["circle"]], &["type"]);
///
/// SHAPES.register::<Scale>("scale", |options| Ok(read::<Scale>(options)?.by))?;
/// let options = SHAPES.options(&Scale { by: 2.0 })?;
/// assert_eq!(SHAPES.get("scale").expect("it is registered")(&options), Ok(2.0));
/// assert!(SHAPES.register::<f32>("circle", |_| Ok(0.0)).is_err());
/// assert!(SHAPES.unknown("shape", "scael").ends_with("is \"scale\" meant?"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Registry<R> {
    /// The kinds of the library, in several lists.
    library: &'static [&'static [&'static str]],
    /// What descriptions hold beside the options.
    reserved: &'static [&'static str],
    own: Mutex<BTreeMap<&'static str, (TypeId, R)>>,
}

impl<R: Copy> Registry<R> {
    /// No kinds yet beside the `library`'s. No option may have one of the `reserved` names.
    pub const fn new(library: &'static [&'static [&'static str]], reserved: &'static [&'static str]) -> Self {
        Self { library, reserved, own: Mutex::new(BTreeMap::new()) }
    }

    /// Adds the type `T` under `kind`, unless it is there already.
    ///
    /// # Errors
    /// The kind is empty, the library's, or another type's. The error is what the kind must be.
    pub fn register<T: 'static>(&self, kind: &'static str, read: R) -> Result<(), &'static str> {
        if kind.is_empty() || self.library.iter().any(|kinds| kinds.contains(&kind)) {
            return Err("other than the library's, and not empty");
        }
        let (owner, _) = *self.own().entry(kind).or_insert((TypeId::of::<T>(), read));
        if owner == TypeId::of::<T>() { Ok(()) } else { Err("used for one type only") }
    }

    /// What reads the options of a registered kind.
    pub fn get(&self, kind: &str) -> Option<R> {
        self.own().get(kind).map(|(_, read)| *read)
    }

    /// The message about a kind that is neither the library's nor registered: `what` it should have been, and the kind that
    /// was probably meant.
    pub fn unknown(&self, what: &str, kind: &str) -> String {
        let own: Vec<&str> = self.own().keys().copied().collect();
        let hint = hint(kind, self.library.iter().copied().flatten().chain(&own).copied());
        format!("unknown {what} {kind:?}: expected one of the library's, or one that was registered{hint}")
    }

    /// The options of a value, by name.
    ///
    /// # Errors
    /// Serde does not write it as named fields, or as nothing, or one of them has a reserved name.
    pub fn options(&self, value: &impl Serialize) -> Result<Map<String, Value>, String> {
        match serde_json::to_value(value) {
            Ok(Value::Object(options)) => {
                match self.reserved.iter().find(|name| options.contains_key(**name)) {
                    Some(name) => Err(format!("an option `{name}`, which descriptions have themselves")),
                    None => Ok(options),
                }
            }
            // A type without fields.
            Ok(Value::Null) => Ok(Map::new()),
            Ok(_) => Err("options without names".into()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn own(&self) -> MutexGuard<'_, BTreeMap<&'static str, (TypeId, R)>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value with those options.
///
/// # Errors
/// One of them is missing, of the wrong type, or unknown.
pub fn read<T: Serialize + DeserializeOwned>(options: &Map<String, Value>) -> Result<T, String> {
    let read = serde_json::from_value(Value::Object(options.clone()));
    let value: T = read
        // A type without fields is written as nothing.
        .or_else(
            |e| if options.is_empty() { serde_json::from_value(Value::Null).map_err(|_| e) } else { Err(e) },
        )
        .map_err(|e| e.to_string())?;
    // Serde passes over unknown options, which may be misspelt.
    let known = serde_json::to_value(&value).map_err(|e| e.to_string())?;
    match options.keys().find(|key| known.get(key.as_str()).is_none()) {
        Some(unknown) => Err(format!("unknown field `{unknown}`")),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    static REGISTRY: Registry<()> = Registry::new(&[&["relu"]], &["type", "name"]);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Darken {
        by: u8,
        #[serde(default)]
        late: bool,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn options_come_back_and_misspelt_ones_are_errors() {
        let darken = Darken { by: 3, late: true };
        let options = REGISTRY.options(&darken).unwrap();
        assert_eq!(read::<Darken>(&options), Ok(darken));
        assert_eq!(read(&map(json!({"by": 3}))), Ok(Darken { by: 3, late: false }));
        let fault = |options| read::<Darken>(&map(options)).unwrap_err();
        assert_eq!(fault(json!({"by": 3, "ltae": true})), "unknown field `ltae`");
        assert_eq!(fault(json!({})), "missing field `by`");
        assert!(fault(json!({"by": 256})).contains("expected u8"));
        assert_eq!(read::<Unit>(&REGISTRY.options(&Unit).unwrap()), Ok(Unit));
        assert!(read::<Unit>(&map(json!({"axis": 1}))).is_err());
    }

    #[test]
    fn options_have_names_and_none_that_is_reserved() {
        assert_eq!(REGISTRY.options(&3.0), Err("options without names".into()));
        for name in ["type", "name"] {
            let message = REGISTRY.options(&json!({name: 1})).unwrap_err();
            assert_eq!(message, format!("an option `{name}`, which descriptions have themselves"));
        }
    }

    #[test]
    fn a_kind_is_one_types_and_not_the_librarys() {
        let registry = Registry::new(&[&["relu"]], &[]);
        let library = Err("other than the library's, and not empty");
        assert_eq!(registry.register::<Unit>("relu", 1), library);
        assert_eq!(registry.register::<Unit>("", 1), library);
        assert_eq!(registry.register::<Unit>("unit", 2), Ok(()));
        assert_eq!(registry.register::<Unit>("unit", 3), Ok(()));
        assert_eq!(registry.register::<Darken>("unit", 4), Err("used for one type only"));
        assert_eq!((registry.get("unit"), registry.get("relu")), (Some(2), None));
        let rule = "unknown layer \"untt\": expected one of the library's, or one that was registered";
        assert_eq!(registry.unknown("layer", "untt"), format!("{rule}; is \"unit\" meant?"));
    }
}
