//! Texts for messages: quotes that stay in one line, and the name that was probably meant.

use std::fmt::Display;

/// A text that may quote a file, as a message shows it: in one line, without anything that moves the cursor.
///
/// ```
/// use cnn_tensor::text::one_line;
/// assert_eq!(one_line("layer \"f\u{1b}[2J\nc\""), r#"layer "f\u{1b}[2J\nc""#);
/// ```
pub fn one_line(text: impl Display) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.to_string().chars().map(escaped).collect()
}

/// [`one_line`] of a name, as a table shows it: of more than `most` characters only the beginning and `...`.
///
/// ```
/// use cnn_tensor::text::cell;
/// assert_eq!((cell("conv1", 8), cell("a name without end", 8)), ("conv1".into(), "a nam...".into()));
/// ```
pub fn cell(name: impl Display, most: usize) -> String {
    let line = one_line(name);
    match line.chars().nth(most) {
        None => line,
        Some(_) => line.chars().take(most.saturating_sub(3)).chain("...".chars()).collect(),
    }
}

/// The end of a message about an unknown name: a known one that begins with it, or else the nearest of the known `names`, if one is near enough, or nothing.
///
/// ```
/// use cnn_tensor::text::hint;
/// let known = ["conv2d", "linear"];
/// assert_eq!(hint("conv2", known.into_iter()), "; is \"conv2d\" meant?");
/// assert_eq!(hint("attention", known.into_iter()), "");
/// ```
pub fn hint<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    // Long names come from files and are not mistyped. The distance of two would take long to compute.
    let names = names.filter(|name| name.len() <= 64 && wrong.len() <= 64);
    // A name that was only begun is nearer than any other.
    let begun = |name: &str| wrong.len() >= 3 && name.starts_with(wrong);
    let nearest = names.map(|name| (!begun(name), distance(wrong, name), name)).min();
    match nearest {
        Some((false, _, name)) => format!("; is \"{name}\" meant?"),
        Some((_, distance, name)) if distance <= wrong.len().max(name.len()) / 2 => {
            format!("; is \"{name}\" meant?")
        }
        _ => String::new(),
    }
}

/// The least number of characters to insert, delete, replace or swap with their neighbour in order to turn `b` into `a`
/// (Damerau 1964, each character touched once).
fn distance(a: &str, b: &str) -> usize {
    let [a, b]: [Vec<char>; 2] = [a, b].map(|text| text.chars().collect());
    // The distances of the beginning of `a` from all beginnings of `b`: two characters ago, one ago, now.
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_no_distant_one() {
        let names = ["conv2d", "linear", "max_pool2d"];
        let hint = |wrong| hint(wrong, names.into_iter());
        assert_eq!(hint("conv2"), "; is \"conv2d\" meant?");
        assert_eq!(hint("max"), "; is \"max_pool2d\" meant?");
        assert_eq!(hint("maxpool2d"), "; is \"max_pool2d\" meant?");
        assert_eq!(hint("attention"), "");
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("resnet81", "resnet18"), 1, "two keys in the wrong order");
        assert_eq!(distance("ab", "cba"), 2);
    }
}
