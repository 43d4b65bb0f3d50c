//! What somebody may have meant.

/// What to add to a message about an unknown name: the nearest of those that are known, if one is near enough.
///
/// ```
/// let known = ["conv2d", "linear"];
/// assert_eq!(cnn_nn::hint("conv2", known.into_iter()), "; is \"conv2d\" meant?");
/// assert_eq!(cnn_nn::hint("attention", known.into_iter()), "");
/// ```
pub fn hint<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    // Long names come from files; nobody mistypes those.
    let names = names.filter(|name| name.len() <= 64 && wrong.len() <= 64);
    let nearest = names.map(|name| (distance(wrong, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= wrong.len().max(name.len()) / 2 => {
            format!("; is \"{name}\" meant?")
        }
        _ => String::new(),
    }
}

/// The fewest characters to insert, delete or replace that make `a` of `b` (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_nothing_far_away() {
        let names = ["conv2d", "linear", "max_pool2d"];
        let hint = |wrong| hint(wrong, names.into_iter());
        assert_eq!(hint("conv2"), "; is \"conv2d\" meant?");
        assert_eq!(hint("maxpool2d"), "; is \"max_pool2d\" meant?");
        assert_eq!(hint("attention"), "");
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
