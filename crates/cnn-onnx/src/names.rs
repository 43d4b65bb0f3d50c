//! Names that are used once.

use std::collections::HashSet;

/// The names in use.
#[derive(Default)]
pub struct Names(HashSet<String>);

impl Names {
    /// Keeps a name for later.
    pub fn reserve(&mut self, name: &str) {
        self.0.insert(name.into());
    }

    /// A name that begins like `wanted` and is not in use yet.
    pub fn unique(&mut self, wanted: &str) -> String {
        let (mut name, mut number) = (wanted.to_string(), 1);
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }
}
