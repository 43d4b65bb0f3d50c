//! The name that was probably meant.

use crate::fault::Fault;
use cnn_data::DatasetName;
use cnn_tensor::text::hint;
use cnn_zoo::{NETWORKS, Network, NetworkName};

/// A network by its name, for a command line.
pub fn network(wanted: &str) -> Result<NetworkName, String> {
    wanted.parse().map_err(|_| {
        let names = NETWORKS.iter().flat_map(|network| network.aliases.iter().copied().chain([network.name]));
        let near = hint(wanted, names);
        format!("expected one of {}, got {wanted}{near}", Network::names())
    })
}

/// Refuses a data set that is neither a name nor a path but nearly a name: it is most likely mistyped.
pub fn check_dataset(dataset: &DatasetName) -> Result<(), Fault> {
    let DatasetName::Images(path) = dataset else { return Ok(()) };
    let Some(name) = path.to_str().filter(|name| !name.contains(['/', '\\'])) else { return Ok(()) };
    let near = hint(name, DatasetName::names().into_iter());
    if near.is_empty() || path.exists() {
        return Ok(());
    }
    let names = DatasetName::names().join(", ");
    Err(Fault::usage(format!(
        "--dataset: expected {names}, or a folder or archive of images, got {name}, which does not exist{near}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        assert_eq!(
            network("resnet81").unwrap_err().rsplit_once(", got ").unwrap().1,
            "resnet81; is \"resnet18\" meant?"
        );
        assert!(network("a-transformer-of-2017").unwrap_err().ends_with("got a-transformer-of-2017"));
        assert_eq!(network("LeNet5").unwrap().name, "lenet");
        let fault = check_dataset(&"mnits".into()).unwrap_err();
        assert!(
            fault.message.ends_with("got mnits, which does not exist; is \"mnist\" meant?"),
            "{}",
            fault.message
        );
        assert!(check_dataset(&"photos".into()).is_ok(), "the reader says that it is not there");
        assert!(check_dataset(&"src".into()).is_ok());
    }
}
