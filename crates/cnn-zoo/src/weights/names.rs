//! Names of tensors that differ from a network's: renaming them, and saying which do not fit.

use regex_lite::Regex;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

/// A rule that renames tensors: `FROM=TO`, a regular expression and its replacement, in which `$1` is the first group.
///
/// ```
/// let rule: cnn_zoo::Rename = "^encoder\\.layer([0-9]+)=layer$1".parse()?;
/// assert_eq!(rule.apply("encoder.layer1.0.weight"), "layer1.0.weight");
/// assert!("no equals sign".parse::<cnn_zoo::Rename>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rename {
    rule: String,
    from: Regex,
    to: String,
}

impl Rename {
    /// The name in the place of `name`.
    pub fn apply(&self, name: &str) -> String {
        self.from.replace_all(name, &*self.to).into_owned()
    }
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(rule: &str) -> Result<Self, String> {
        let (from, to) = rule.split_once('=').ok_or_else(|| {
            format!("expected FROM=TO, a regular expression and its replacement, got {rule}")
        })?;
        let pattern = Regex::new(from)
            .map_err(|e| format!("expected a regular expression before the =, got {from}: {e}"))?;
        Ok(Self { rule: rule.into(), from: pattern, to: to.into() })
    }
}

impl Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)
    }
}

/// Gives all entries their new names.
///
/// # Errors
/// A rule renames nothing, or two entries get the same name.
pub(super) fn rename<T>(
    entries: BTreeMap<String, T>,
    rules: &[Rename],
    used: &mut [bool],
) -> Result<BTreeMap<String, T>, String> {
    let mut renamed = BTreeMap::new();
    for (name, entry) in entries {
        let mut new = name.clone();
        for (rule, used) in rules.iter().zip(&mut *used) {
            let next = rule.apply(&new);
            *used |= next != new;
            new = next;
        }
        if renamed.insert(new.clone(), entry).is_some() {
            return Err(format!(
                "tensor {name}: expected a new name of its own, got {new}, which another one has"
            ));
        }
    }
    Ok(renamed)
}

/// Names that a message has room for.
const SHOWN: usize = 4;

/// Tensors by name, with their shapes in words.
pub(super) type Shapes = Vec<(String, String)>;

/// Says which tensors a network lacks, which the file has too many, and which of these have the shape of a lacking one.
pub(super) fn mismatch(network: &str, all: usize, lacking: &Shapes, surplus: &Shapes) -> String {
    let mut parts = Vec::new();
    if !lacking.is_empty() {
        let got = all - lacking.len();
        let are = if lacking.len() == 1 { "is" } else { "are" };
        parts.push(format!(
            "expected all {all} parameters of {network}, got {got}: {} {are} missing",
            listed(lacking)
        ));
    }
    if !surplus.is_empty() {
        let tensors = if surplus.len() == 1 { "tensor" } else { "tensors" };
        parts.push(format!(
            "the network has no place for {} {tensors} of the file: {}",
            surplus.len(),
            listed(surplus)
        ));
    }
    let pairs: Vec<String> = surplus
        .iter()
        .filter_map(|(name, shape)| {
            let mut same = lacking.iter().filter(|(_, other)| other == shape);
            match (same.next(), same.next()) {
                (Some((wanted, _)), None) => Some(format!("{name} may be {wanted}")),
                _ => None,
            }
        })
        .collect();
    if !pairs.is_empty() {
        parts.push(format!("by their shapes {}", shortened(&pairs)));
    }
    parts.join("; ")
}

fn listed(tensors: &Shapes) -> String {
    shortened(&tensors.iter().map(|(name, shape)| format!("{name} {shape}")).collect::<Vec<_>>())
}

fn shortened(words: &[String]) -> String {
    let shown = words[..words.len().min(SHOWN)].join(", ");
    match words.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(tensors: &[(&str, &str)]) -> Shapes {
        tensors.iter().map(|(name, shape)| (name.to_string(), shape.to_string())).collect()
    }

    #[test]
    fn a_mismatch_names_what_is_missing_what_is_surplus_and_what_fits() {
        let lacking = shapes(&[("fc.weight", "[10, 84]"), ("fc.bias", "[10]")]);
        let surplus = shapes(&[("head.weight", "[10, 84]"), ("head.bias", "[10]"), ("epoch", "[]")]);
        assert_eq!(
            mismatch("lenet", 10, &lacking, &surplus),
            "expected all 10 parameters of lenet, got 8: fc.weight [10, 84], fc.bias [10] are missing; the network has no place \
             for 3 tensors of the file: head.weight [10, 84], head.bias [10], epoch []; by their shapes head.weight may be \
             fc.weight, head.bias may be fc.bias"
        );
        // Two of one shape could be exchanged.
        let lacking = shapes(&[("a", "[2]"), ("b", "[2]")]);
        assert!(!mismatch("net", 2, &lacking, &shapes(&[("c", "[2]"), ("d", "[2]")])).contains("may be"));
        let many: Vec<(String, String)> = (0..6).map(|i| (format!("t{i}"), "[1]".into())).collect();
        assert_eq!(
            mismatch("net", 6, &Vec::new(), &many),
            "the network has no place for 6 tensors of the file: t0 [1], t1 [1], t2 [1], t3 [1] and 2 more"
        );
    }

    #[test]
    fn tensors_are_renamed_by_all_rules_in_turn_and_stay_apart() {
        let rules: Vec<Rename> =
            ["^net\\.=", "gamma$=weight"].iter().map(|rule| rule.parse().unwrap()).collect();
        let entries =
            |names: &[&str]| names.iter().map(|name| (name.to_string(), ())).collect::<BTreeMap<_, _>>();
        let mut used = [false; 2];
        let renamed = rename(entries(&["net.bn.gamma", "net.bn.bias"]), &rules, &mut used).unwrap();
        assert!(renamed.into_keys().eq(["bn.bias", "bn.weight"]));
        assert_eq!(used, [true; 2]);
        let clash = rename(entries(&["net.a", "a"]), &rules, &mut used).unwrap_err();
        assert_eq!(clash, "tensor net.a: expected a new name of its own, got a, which another one has");
        assert!("(=x".parse::<Rename>().unwrap_err().contains("expected a regular expression before the ="));
    }
}
