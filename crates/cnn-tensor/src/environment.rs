//! Choices made by environment variables.
//!
//! A word that means nothing is an error that names the choices. It is never replaced by a default: a run that silently took
//! other kernels than those asked for would measure or test the wrong ones.
//!
//! A command checks its variables at start, before it works, and reports the error as its own. Code that is too deep to return
//! an error panics with the same text; after the check it cannot happen.

use crate::TensorError;

/// The value that environment variable `variable` chooses from `choices`, pairs of a word and a value; `None` if the variable
/// is unset or empty. Words are compared exactly.
///
/// ```
/// use cnn_tensor::environment;
/// let switch = [("on", true), ("off", false)];
/// assert_eq!(environment::choice("CNN_EXAMPLE_THAT_IS_NOT_SET", &switch)?, None);
/// # Ok::<(), cnn_tensor::TensorError>(())
/// ```
///
/// # Errors
/// The variable holds another word.
pub fn choice<T: Copy>(variable: &'static str, choices: &[(&str, T)]) -> Result<Option<T>, TensorError> {
    // A value that is not Unicode contains U+FFFD afterwards, so it is not one of the words.
    let word = std::env::var_os(variable).unwrap_or_default();
    parse(variable, &word.to_string_lossy(), choices)
}

fn parse<T: Copy>(
    variable: &'static str,
    word: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, TensorError> {
    if word.is_empty() {
        return Ok(None);
    }
    if let Some(&(_, value)) = choices.iter().find(|(name, _)| *name == word) {
        return Ok(Some(value));
    }
    let words: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let expected = match words.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        words => words.concat(),
    };
    Err(TensorError::Choice { variable, expected, got: word.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_chooses_a_value_and_another_word_is_an_error() {
        let choices = [("one", 1), ("two", 2), ("three", 3)];
        assert_eq!(parse("V", "two", &choices), Ok(Some(2)));
        assert_eq!(parse("V", "", &choices), Ok(None));
        let error = |word, choices: &[_]| parse::<i32>("V", word, choices).unwrap_err().to_string();
        assert_eq!(error("Two", &choices), r#"V: expected one, two or three, got "Two""#);
        assert_eq!(error("two ", &choices[..2]), r#"V: expected one or two, got "two ""#);
        assert_eq!(error("two", &choices[..1]), r#"V: expected one, got "two""#);
    }
}
