//! From a photo to sentences about it.

use crate::{Error, Features};
use cnn_data::{Picture, Vocabulary};
use cnn_nn::checkpoint::{self, Saved};
use cnn_nn::{Beam, Graph, Loaded, Model, ModelSpec};
use cnn_tensor::{Shape, Tensor};
use cnn_zoo::{ShowAndTell, Teller};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A network that describes photos: a trunk that gives features, a network that tells words ([`ShowAndTell`]), and the words. All
/// are in one file.
///
/// ```
/// use cnn::prelude::*;
/// use cnn::{Captioner, data::Vocabulary, zoo::ShowAndTell};
/// // A trunk and a network of random weights, which know three words.
/// let trunk = zoo::lenet5(Input::gray(32, 32, 0.5, 0.25), ["a", "b"].map(String::from).to_vec());
/// let vocabulary = Vocabulary::of([["a", "white", "square"].map(String::from)], 1);
/// let sizes = ShowAndTell { hidden: 8, ..ShowAndTell::new(84, vocabulary.words().len()) };
/// let captioner = Captioner::new(Model::build(trunk, 0)?, "act4", sizes, vocabulary, &sizes.build(0)?)?;
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let path = folder.path().join("captioner.safetensors");
/// captioner.save(&path)?;
///
/// let picture = Picture::filled([1, 32, 32], 7);
/// let captions = Captioner::load(&path)?.caption_picture(picture, &Captioner::beam(3))?;
/// assert_eq!(captions.len(), 3);
/// assert!(captions[0].text.split(' ').all(|word| ["", "a", "white", "square"].contains(&word)));
/// # Ok::<(), cnn::Error>(())
/// ```
#[derive(Debug)]
pub struct Captioner {
    trunk: Model,
    layer: String,
    sizes: ShowAndTell,
    vocabulary: Vocabulary,
    /// The tensors of the network that tells.
    tensors: Vec<(String, Tensor)>,
    teller: Teller,
}

/// A sentence about a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Caption {
    /// The words, with spaces between them.
    pub text: String,
    /// The numbers of the words.
    pub words: Vec<u32>,
    /// The natural logarithm of the probability of the sentence.
    pub log_probability: f64,
    /// The number that ranks it: `log_probability` over a power of the number of words, the end among them.
    pub score: f64,
}

impl Caption {
    /// The probability of the sentence, 0 to 1: the product of those of its words.
    pub fn probability(&self) -> f64 {
        self.log_probability.exp()
    }

    /// The geometric mean of the probabilities of its words, its end among them, 0 to 1.
    pub fn word_probability(&self) -> f64 {
        (self.log_probability / (self.words.len() + 1) as f64).exp()
    }
}

/// The description in a file's metadata.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    trunk: ModelSpec,
    /// The layer of the trunk whose outputs are the features.
    layer: String,
    sizes: ShowAndTell,
    words: Vec<String>,
}

const FORMAT: &str = "cnn-captioner";
const VERSION: u32 = 1;
/// The beginnings of the names of tensors.
const TRUNK: &str = "trunk.";
const TELLER: &str = "teller.";

impl Captioner {
    /// A captioner of the features that `layer` of `trunk` gives, and of the trained network `net`, which is
    /// [`ShowAndTell::network`] of `sizes`.
    ///
    /// # Errors
    /// There is no such layer, or the parts have other sizes.
    pub fn new(
        trunk: Model,
        layer: &str,
        sizes: ShowAndTell,
        vocabulary: Vocabulary,
        net: &Graph,
    ) -> Result<Self, Error> {
        let [c, h, w] = trunk.spec.input.shape;
        let features = Features::of_pixels(&trunk)?.layer(layer)?.of_batch(&Tensor::zeros([1, c, h, w]))?;
        let (given, known) = (features.shape().numel(), vocabulary.words().len());
        if (given, known) != (sizes.features, sizes.words) {
            return Err(Error::Description(format!(
                "a captioner: expected {} features and {} words, got {given} features of {layer} and {known} words",
                sizes.features, sizes.words
            )));
        }
        let teller = sizes.teller(net, "")?;
        Ok(Self { trunk, layer: layer.into(), sizes, vocabulary, tensors: net.tensors(), teller })
    }

    /// The usual power of the length by which a beam ranks sentences. With 1, sentences become longer than those of people, and BLEU on
    /// the dev photos of Flickr8k lower. Which of 0.5 and 0.8 is better there depends on the network.
    pub const LENGTH_POWER: f64 = 0.8;

    /// A beam of this width that tells known words only, and ranks by [`Captioner::LENGTH_POWER`].
    pub fn beam(width: usize) -> Beam {
        let never = vec![Vocabulary::BEGIN, Vocabulary::UNKNOWN];
        Beam { width, length_power: Self::LENGTH_POWER, never, ..Beam::new(Vocabulary::END) }
    }

    /// The network whose features are described.
    pub fn trunk(&self) -> &Model {
        &self.trunk
    }

    /// The words that it knows.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The features of photos that [`Captioner::tell`] takes.
    ///
    /// # Errors
    /// None for a captioner that was made.
    pub fn features(&self) -> Result<Features<'_>, Error> {
        Features::of_pixels(&self.trunk)?.layer(&self.layer)
    }

    /// The sentences about the image in a file that the beam finds, the best first: JPEG, PNG, WebP or BMP of any size.
    ///
    /// # Errors
    /// The file cannot be read or decoded, or an error of [`Captioner::tell`].
    pub fn caption(&self, image: impl AsRef<Path>, beam: &Beam) -> Result<Vec<Caption>, Error> {
        self.tell(&self.features()?.read(image)?, beam)
    }

    /// [`Captioner::caption`] for a picture in memory.
    ///
    /// # Errors
    /// The picture has other channels than the trunk takes and neither one nor three, or an error of [`Captioner::tell`].
    pub fn caption_picture(&self, picture: Picture<'_>, beam: &Beam) -> Result<Vec<Caption>, Error> {
        self.tell(&self.features()?.of_picture(picture)?, beam)
    }

    /// The sentences about a photo with these features, the best first.
    ///
    /// # Errors
    /// There is another number of features, or an error of [`Beam::search`].
    pub fn tell(&self, features: &[f32], beam: &Beam) -> Result<Vec<Caption>, Error> {
        let features = Tensor::from_vec([1, features.len()], features.to_vec())?;
        let found = self.teller.tell(&features, Vocabulary::BEGIN, beam)?;
        let caption = |sentence: cnn_nn::Sentence| Caption {
            text: self.vocabulary.sentence(&sentence.words),
            words: sentence.words,
            log_probability: sentence.log_probability,
            score: sentence.score,
        };
        Ok(found.into_iter().map(caption).collect())
    }

    /// Writes everything to a safetensors file. An existing file at `path` stays intact until the new one is complete.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let header = Header {
            format: FORMAT.into(),
            version: VERSION,
            trunk: self.trunk.spec.clone(),
            layer: self.layer.clone(),
            sizes: self.sizes,
            words: self.vocabulary.words().to_vec(),
        };
        let description = serde_json::to_string(&header).map_err(|fault| in_file(path, fault))?;
        let prefixed = |prefix: &'static str| move |(name, tensor)| (format!("{prefix}{name}"), tensor);
        let trunk = self.trunk.net.tensors().into_iter().map(prefixed(TRUNK));
        let teller = self.tensors.iter().cloned().map(prefixed(TELLER));
        Ok(checkpoint::save(path, &description, &trunk.chain(teller).collect::<Vec<_>>())?)
    }

    /// Loads a file that [`Captioner::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, does not describe a captioner, or lacks tensors or has surplus ones.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let Saved { description, tensors, .. } = checkpoint::load(path)?.whole(path)?;
        let Header { trunk, layer, sizes, words, .. } = header(description, path)?;
        let mut parts = [(TRUNK, BTreeMap::new()), (TELLER, BTreeMap::new())];
        for (name, tensor) in tensors {
            let part = parts.iter_mut().find_map(|(prefix, part)| Some((name.strip_prefix(*prefix)?, part)));
            let Some((short, part)) = part else {
                return Err(in_file(path, format!("expected tensors of {TRUNK} and {TELLER}, got {name}")));
            };
            part.insert(short.to_string(), tensor);
        }
        let [(_, of_trunk), (_, tensors)] = parts;
        let build = || -> Result<Self, Error> {
            let trunk = Model::from_tensors(trunk, of_trunk)?;
            let shapes = vec![Shape::new(&[1, sizes.features])?, [1, 1].into()];
            let mut source = Loaded { tensors };
            let net = Graph::build_from(&sizes.network(), shapes, &mut source)?;
            source.finish()?;
            let vocabulary = Vocabulary::from_words(words)?;
            Self::new(trunk, &layer, sizes, vocabulary, &net)
        };
        build().map_err(|fault| in_file(path, fault))
    }
}

/// The description, if the file is one of captioners.
fn header(description: Option<String>, path: &Path) -> Result<Header, Error> {
    #[derive(Deserialize)]
    struct Kind {
        format: String,
        version: u32,
    }
    let expected = format!("expected format {FORMAT:?} version {VERSION}, as cnn train-captions writes it");
    let Some(description) = description else {
        return Err(in_file(path, format!("{expected}, got weights without a description")));
    };
    let unreadable = |fault| in_file(path, format!("{expected}: {fault}"));
    let Kind { format, version } = serde_json::from_str(&description).map_err(unreadable)?;
    if (format.as_str(), version) != (FORMAT, VERSION) {
        return Err(in_file(path, format!("{expected}, got {format:?} version {version}")));
    }
    serde_json::from_str(&description).map_err(unreadable)
}

fn in_file(path: &Path, fault: impl std::fmt::Display) -> Error {
    let fault = cnn_tensor::text::one_line(fault);
    Error::Io(format!("{}: {fault}", cnn_tensor::text::one_line(path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_nn::Input;

    fn captioner() -> Captioner {
        let spec = cnn_zoo::lenet5(Input::gray(28, 28, 0.5, 0.25), ["a", "b"].map(String::from).to_vec());
        let vocabulary = Vocabulary::of([["a", "white", "square"].map(String::from)], 1);
        let sizes = ShowAndTell { hidden: 8, embedding: 5, ..ShowAndTell::new(84, 6) };
        let net = sizes.build(1).unwrap();
        Captioner::new(Model::build(spec, 0).unwrap(), "act4", sizes, vocabulary, &net).unwrap()
    }

    #[test]
    fn a_file_is_enough() {
        let (one, folder) = (captioner(), tempfile::tempdir().unwrap());
        let path = folder.path().join("captioner.safetensors");
        one.save(&path).unwrap();
        let other = Captioner::load(&path).unwrap();
        let picture =
            || Picture::new([1, 28, 28], (0..784).map(|i| (i % 250) as u8).collect::<Vec<_>>()).unwrap();
        let beam = Captioner::beam(4);
        let captions = one.caption_picture(picture(), &beam).unwrap();
        assert_eq!(other.caption_picture(picture(), &beam).unwrap(), captions);
        assert_eq!(captions.len(), 4);
        for caption in &captions {
            assert!(!caption.text.contains('<') && caption.probability() > 0.0);
            let steps = (caption.words.len() + 1) as f64;
            assert!((caption.word_probability().ln() * steps - caption.log_probability).abs() < 1e-9);
            assert!((caption.log_probability / steps.powf(0.8) - caption.score).abs() < 1e-9);
        }
        other.save(folder.path().join("again")).unwrap();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert!(read("again") == read("captioner.safetensors"));
    }

    #[test]
    fn other_files_and_parts_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let fault = || Captioner::load(&path).unwrap_err().to_string();
        let one = captioner();
        one.trunk().save(&path).unwrap();
        assert!(fault().ends_with(
            r#"expected format "cnn-captioner" version 1, as cnn train-captions writes it, got "cnn-model" version 1"#
        ));
        one.save(&path).unwrap();
        let saved = checkpoint::load(&path).unwrap();
        let description = saved.description.unwrap();
        let all: Vec<(String, Tensor)> = saved.tensors.into_iter().collect();
        let without: Vec<_> = all.iter().filter(|(name, _)| name != "teller.logits.bias").cloned().collect();
        checkpoint::save(&path, &description, &without).unwrap();
        assert!(fault().contains("parameter logits.bias: the model expects shape [6]"), "{}", fault());
        checkpoint::save(&path, &description, &[all, vec![("x".into(), Tensor::zeros([1]))]].concat())
            .unwrap();
        assert!(fault().ends_with("expected tensors of trunk. and teller., got x"), "{}", fault());
        let words = description.replace("\"square\"", "\"a\"");
        checkpoint::save(&path, &words, &[]).unwrap();
        assert!(Captioner::load(&path).is_err());

        let sizes = ShowAndTell { features: 83, ..one.sizes };
        let (spec, net) = (one.trunk.spec.clone(), sizes.build(0).unwrap());
        let trunk = Model::build(spec, 0).unwrap();
        let fault = Captioner::new(trunk, "act4", sizes, one.vocabulary.clone(), &net).unwrap_err();
        let want = "a captioner: expected 83 features and 6 words, got 84 features of act4 and 6 words";
        assert_eq!(fault.to_string(), want);
    }
}
