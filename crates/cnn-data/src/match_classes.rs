use crate::{DataError, Dataset, Picture, Stamp, imagenet};
use std::collections::HashMap;
use std::sync::Arc;

/// A data set with the labels of a model: see [`match_classes`].
pub struct Matched {
    /// The set; its classes are the model's.
    pub set: Arc<dyn Dataset>,
    /// What was done, for people to check; `None` if both had the same classes in the same order.
    pub note: Option<String>,
}

/// The examples of `set`, labelled by `classes`, those of a model: an evaluation of labels in another order would be wrong
/// without a word.
///
/// Classes are matched by name; a synset of ImageNet and its words are one name. The set may have them in another order, and
/// need not have all of them. If either side has numbers for names (`0`, `1` and so on) that do not match, both are taken to
/// have the same order, and must be as many.
///
/// ```
/// use cnn_data::{Dataset, InMemoryDataset, match_classes};
/// use std::sync::Arc;
/// let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
/// let set = InMemoryDataset::new([2, 1, 1, 1], vec![0; 2], vec![0, 1], names(&["cat", "ant"]))?;
/// let matched = match_classes(Arc::new(set.clone()), &names(&["ant", "bee", "cat"]))?;
/// assert_eq!((matched.set.label(0), matched.set.label(1)), (2, 0));
/// assert_eq!(matched.note.unwrap(), "classes are matched by name: 2 of the model's 3, in another order");
///
/// let error = match_classes(Arc::new(set), &names(&["ant", "bee"])).err().unwrap();
/// assert_eq!(error.to_string(), "a class must be one that the model knows (ant, bee), got cat");
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// The set has a class that the model does not know; it is named.
pub fn match_classes(set: Arc<dyn Dataset>, classes: &[String]) -> Result<Matched, DataError> {
    if set.classes() == classes {
        return Ok(Matched { set, note: None });
    }
    let known: HashMap<(&str, usize), u32> = identities(classes).into_iter().zip(0..).collect();
    let labels: Vec<Option<u32>> =
        identities(set.classes()).iter().map(|identity| known.get(identity).copied()).collect();
    let unknown = labels.iter().position(Option::is_none);
    let same_number = set.classes().len() == classes.len();
    let (labels, note) = match unknown {
        None => {
            let labels: Vec<u32> = labels.into_iter().flatten().collect();
            let order = if labels.is_sorted() { "" } else { ", in another order" };
            let note = match (same_number, order) {
                // Synsets on one side, words on the other.
                (true, "") => None,
                (true, _) => Some("classes are matched by name: they are in another order".to_string()),
                (false, order) => Some(format!(
                    "classes are matched by name: {} of the model's {}{order}",
                    labels.len(),
                    classes.len()
                )),
            };
            (labels, note)
        }
        Some(_) if same_number && (is_numbering(classes) || is_numbering(set.classes())) => {
            let note = "classes are matched by number: not both sides have names".to_string();
            ((0..classes.len() as u32).collect(), Some(note))
        }
        Some(unknown) => {
            let got = set.classes()[unknown].clone();
            let rule = format!("one that the model knows ({})", some_of(classes));
            return Err(DataError::Setting { what: "a class", rule, got });
        }
    };
    let set = Arc::new(Relabelled { set, classes: classes.to_vec(), labels });
    Ok(Matched { set, note })
}

/// The names, or the first few of many.
fn some_of(classes: &[String]) -> String {
    const MOST: usize = 10;
    match classes.get(..MOST) {
        Some(first) if classes.len() > MOST => format!("{}, ... {} in all", first.join(", "), classes.len()),
        _ => classes.join(", "),
    }
}

fn is_numbering(classes: &[String]) -> bool {
    classes.iter().enumerate().all(|(i, class)| *class == i.to_string())
}

/// What each name stands for, and which of several of the same name it is: two of ImageNet's classes are called `crane`.
fn identities(classes: &[String]) -> Vec<(&str, usize)> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut identities: Vec<(&str, usize)> = Vec::with_capacity(classes.len());
    for class in classes {
        let (words, number) = of_list(class);
        if words == class {
            let earlier = seen.entry(words).or_default();
            identities.push((words, *earlier));
            *earlier += 1;
        } else {
            identities.push((words, number));
        }
    }
    identities
}

/// The words of a synset, and which of its equals it is; any other name is itself.
fn of_list(class: &str) -> (&str, usize) {
    let words = imagenet::classes();
    match imagenet::synsets().binary_search(&class) {
        Ok(number) => {
            (words[number], words[..number].iter().filter(|other| **other == words[number]).count())
        }
        Err(_) => (class, 0),
    }
}

/// A set under other labels.
struct Relabelled {
    set: Arc<dyn Dataset>,
    classes: Vec<String>,
    /// The new label of each old one.
    labels: Vec<u32>,
}

impl Dataset for Relabelled {
    fn len(&self) -> usize {
        self.set.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[self.set.label(i) as usize]
    }

    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        self.set.picture(i)
    }

    fn prefetch(&self, i: usize) {
        self.set.prefetch(i);
    }

    fn name(&self, i: usize) -> String {
        self.set.name(i)
    }

    fn pixels(&self, i: usize) -> Option<&[u8]> {
        self.set.pixels(i)
    }

    fn stamp(&self, i: usize) -> Stamp {
        self.set.stamp(i)
    }

    fn encoded(&self, i: usize) -> Result<Option<Vec<u8>>, DataError> {
        self.set.encoded(i)
    }

    fn shape(&self) -> Option<[usize; 3]> {
        self.set.shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InMemoryDataset;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    /// A set with one image of each class: the labels after matching, and the note.
    fn matched(data: &[&str], model: &[&str]) -> Result<(Vec<u32>, Option<String>), String> {
        let n = data.len();
        let set =
            InMemoryDataset::new([n, 1, 1, 1], vec![0; n], (0..n as u32).collect(), names(data)).unwrap();
        let Matched { set, note } = match_classes(Arc::new(set), &names(model)).map_err(|e| e.to_string())?;
        assert_eq!(set.classes(), names(model));
        Ok(((0..n).map(|i| set.label(i)).collect(), note))
    }

    #[test]
    fn names_decide_and_not_their_order() {
        assert_eq!(matched(&["a", "b"], &["a", "b"]), Ok((vec![0, 1], None)));
        let order = "classes are matched by name: they are in another order".to_string();
        assert_eq!(matched(&["b", "a"], &["a", "b"]), Ok((vec![1, 0], Some(order))));
        let some = "classes are matched by name: 2 of the model's 3".to_string();
        assert_eq!(matched(&["a", "c"], &["a", "b", "c"]), Ok((vec![0, 2], Some(some))));
        // Some digits, by their names.
        let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        let digits: Vec<&str> = digits.iter().map(String::as_str).collect();
        assert_eq!(matched(&["3", "7"], &digits).unwrap().0, [3, 7]);
        let unknown = "a class must be one that the model knows (a, b), got d";
        assert_eq!(matched(&["a", "d"], &["a", "b"]), Err(unknown.into()));
        assert_eq!(
            matched(&["a", "d", "e"], &["0", "1"]),
            Err(unknown.replace("a, b", "0, 1").replace("got d", "got a"))
        );
    }

    #[test]
    fn numbers_for_names_are_matched_in_order() {
        let note = "classes are matched by number: not both sides have names".to_string();
        assert_eq!(matched(&["ant", "bee"], &["0", "1"]), Ok((vec![0, 1], Some(note.clone()))));
        assert_eq!(matched(&["0", "1"], &["ant", "bee"]), Ok((vec![0, 1], Some(note))));
    }

    #[test]
    fn synsets_are_their_words() {
        let (synsets, words) = (imagenet::synsets(), imagenet::classes());
        let (all, _) = matched(synsets, words).unwrap();
        assert!(all.iter().copied().eq(0..1000));
        let (all, note) = matched(words, synsets).unwrap();
        assert!(all.iter().copied().eq(0..1000) && note.is_none());
        // The second crane is the machine, whichever way it is written.
        let cranes: Vec<usize> = (0..1000).filter(|&class| words[class] == "crane").collect();
        assert_eq!(cranes.len(), 2);
        assert_eq!(
            matched(&[synsets[cranes[1]], "tench, Tinca tinca"], words).unwrap().0,
            [cranes[1] as u32, 0]
        );
    }
}
