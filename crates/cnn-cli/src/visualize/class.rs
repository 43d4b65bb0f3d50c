//! Classes by name or number.

use crate::fault::Fault;
use cnn_data::imagenet;
use cnn_tensor::text::{hint, one_line};

/// The number of the class that the user means: a name in any case, one of an ImageNet class's several names, or a number from 0.
pub fn number(wanted: &str, classes: &[String]) -> Result<usize, Fault> {
    let lower = wanted.to_lowercase();
    let exact = |class: &String| class == wanted;
    let called = |class: &String| names(class).any(|name| name.to_lowercase() == lower);
    let all = |is: &dyn Fn(&String) -> bool| -> Vec<usize> {
        (0..classes.len()).filter(|&i| is(&classes[i])).collect()
    };
    let exactly = all(&exact);
    let same = if exactly.is_empty() { all(&called) } else { exactly };
    match (&same[..], wanted.parse::<usize>()) {
        ([one], _) => Ok(*one),
        ([], Ok(number)) if number < classes.len() => Ok(number),
        ([], _) => {
            let expected = match classes.len() {
                ..=20 => format!("one of {}", classes.iter().map(one_line).collect::<Vec<_>>().join(", ")),
                all => format!("one of {all} classes by name, or by number from 0 to {}", all - 1),
            };
            let near = hint(wanted, classes.iter().flat_map(|class| names(class)));
            Err(Fault::usage(format!("--class: expected {expected}, got {}{near}", one_line(wanted))))
        }
        (several, _) => {
            let numbers: Vec<String> = several.iter().map(ToString::to_string).collect();
            let numbers = numbers.join(" and ");
            Err(Fault::usage(format!(
                "--class: {} is the name of several classes; give its number: {numbers}",
                one_line(wanted)
            )))
        }
    }
}

/// The names of a class: of ImageNet's the parts between commas, of others the whole.
fn names(class: &str) -> impl Iterator<Item = &str> {
    let parts = imagenet::classes().contains(&class);
    let several = parts.then(|| class.split(", ")).into_iter().flatten();
    several.chain([class].into_iter().filter(move |_| !parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_name_and_by_number() {
        let digits: Vec<String> = (0..10).map(|digit| (9 - digit).to_string()).collect();
        assert_eq!(number("7", &digits).unwrap(), 2, "a name comes first");
        let pets = ["Dog", "cat"].map(String::from);
        assert_eq!((number("dog", &pets).unwrap(), number("1", &pets).unwrap()), (0, 1));
        assert_eq!(
            number("catt", &pets).unwrap_err().message,
            "--class: expected one of Dog, cat, got catt; is \"cat\" meant?"
        );
        assert_eq!(number("2", &pets).unwrap_err().status, 2);
        assert!(number("", &pets).is_err());

        let all: Vec<String> = imagenet::classes().iter().map(ToString::to_string).collect();
        assert_eq!(number("tabby", &all).unwrap(), 281);
        assert_eq!(number("Tabby cat", &all).unwrap(), 281);
        assert_eq!(number("281", &all).unwrap(), 281);
        let message = number("crane", &all).unwrap_err().message;
        assert_eq!(message, "--class: crane is the name of several classes; give its number: 134 and 517");
        let message = number("goldfsh", &all).unwrap_err().message;
        assert_eq!(
            message,
            "--class: expected one of 1000 classes by name, or by number from 0 to 999, got goldfsh; is \"goldfish\" meant?"
        );
    }
}
