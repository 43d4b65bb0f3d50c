//! Show and Tell: a sentence about a photo, told word by word.
//!
//! | node | layer | output |
//! |---|---|---|
//! | `image` | linear, the features of the photo to an embedding | `[n, embedding]` |
//! | `embedding` | the words so far, from the one that begins a sentence | `[n, t, embedding]` |
//! | `sequence` | the image as the first word, then the words | `[n, 1 + t, embedding]` |
//! | `lstm` | LSTM, between two dropouts | `[n, 1 + t, hidden]` |
//! | `steps` | all steps but that of the image | `[n, t, hidden]` |
//! | `logits` | linear, to the word that follows each | `[n, t, words]` |
//!
//! Source: O. Vinyals, A. Toshev, S. Bengio and D. Erhan, "Show and Tell: A Neural Image Caption Generator", CVPR 2015. There
//! both sizes are 512, and the features are those of GoogLeNet.

use cnn_nn::spec::{cat, dropout, embedding, graph, linear, lstm, reshape, slice};
use cnn_nn::{Beam, Graph, GraphSpec, Init, Layer, Loaded, NnError, Sentence, Tensors};
use cnn_tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The sizes of the network, which is trained as one graph ([`ShowAndTell::network`]) and then tells by a [`Teller`].
///
/// ```
/// use cnn_nn::{Beam, Layer};
/// use cnn_tensor::Tensor;
/// use cnn_zoo::ShowAndTell;
/// let sizes = ShowAndTell { hidden: 16, embedding: 8, ..ShowAndTell::new(5, 10) };
/// let net = sizes.build(0)?;
/// // Two photos of 5 features, and the first three words about each.
/// let y = Layer::infer(&net, [Tensor::zeros([2, 5]), Tensor::full([2, 3], 7.0)].into())?;
/// assert_eq!(y[0].shape().dims(), [2, 3, 10]);
///
/// // Word 0 ends a sentence, word 1 begins it.
/// let sentences = sizes.teller(&net, "")?.tell(&Tensor::zeros([1, 5]), 1, &Beam::new(0))?;
/// assert!(sentences[0].probability() > 0.0 && sentences[0].words.len() <= 20);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowAndTell {
    /// The number of features of a photo.
    pub features: usize,
    /// The number of words, the one that begins a sentence and the one that ends it among them.
    pub words: usize,
    /// The size of the embedding of a photo and of a word.
    pub embedding: usize,
    /// The size of the LSTM's state.
    pub hidden: usize,
    /// The probability of both dropouts: of the embeddings, and of the LSTM's outputs.
    pub dropout: f64,
}

impl ShowAndTell {
    /// The sizes of the paper, for so many features and words: embeddings and state of 512, dropout of a half.
    pub fn new(features: usize, words: usize) -> Self {
        Self { features, words, embedding: 512, hidden: 512, dropout: 0.5 }
    }

    /// The network in training: inputs `features [n, features]` and `words [n, t]`, each sentence beginning with the word that
    /// begins it; output the logits of the words that follow, `[n, t, words]`.
    pub fn network(&self) -> GraphSpec {
        self.shown(graph(["features", "words"]))
            .node("embedding", self.embedded(), ["words"])
            .node("sequence", cat(1), ["first", "embedding"])
            .node("dropout", dropout(self.dropout), ["sequence"])
            .node("lstm", lstm(self.hidden), ["dropout"])
            .node("steps", slice(1, 1, None), ["lstm"])
            .node("dropout2", dropout(self.dropout), ["steps"])
            .node("logits", linear(self.words).steps(true), ["dropout2"])
            .outputs(["logits"])
    }

    /// The first step of telling: input `features [n, features]`, outputs the state `h` and `c`, `[n, hidden]` each.
    pub fn first_step(&self) -> GraphSpec {
        self.shown(graph(["features"]))
            .node("lstm", lstm(self.hidden), ["first"])
            .outputs(["lstm:1", "lstm:2"])
    }

    /// Every other step: inputs `words [n, 1]`, `h` and `c`; outputs the logits of the next word, `[n, words]`, and the next `h`
    /// and `c`.
    pub fn next_step(&self) -> GraphSpec {
        graph(["words", "h", "c"])
            .node("embedding", self.embedded(), ["words"])
            .node("lstm", lstm(self.hidden).initial(true), ["embedding", "h", "c"])
            .node("logits", linear(self.words), ["lstm:1"])
            .outputs(["logits", "lstm:1", "lstm:2"])
    }

    /// The photo as a word.
    fn shown(&self, graph: GraphSpec) -> GraphSpec {
        graph.node("image", linear(self.embedding), ["features"]).node(
            "first",
            reshape([1, self.embedding]),
            ["image"],
        )
    }

    fn embedded(&self) -> cnn_nn::spec::EmbeddingSpec {
        // As large as the embedding of a photo is at first.
        embedding(self.words, self.embedding).init(Init::Normal(0.1))
    }

    /// [`ShowAndTell::network`] with random parameters.
    ///
    /// # Errors
    /// A size is 0 or too large.
    pub fn build(&self, seed: u64) -> Result<Graph, NnError> {
        // The number of words of a sentence is free.
        Graph::of(&self.network(), [[self.features], [1]], seed)
    }

    /// The two graphs that tell, with the parameters of the trained network: of `net` itself if `path` is empty, or of the node at
    /// that dotted path of a larger network.
    ///
    /// # Errors
    /// There is no [`ShowAndTell::network`] of these sizes.
    pub fn teller(&self, net: &Graph, path: &str) -> Result<Teller, NnError> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let own = |(name, tensor): (String, Tensor)| Some((name.strip_prefix(&prefix)?.to_string(), tensor));
        let tensors: BTreeMap<String, Tensor> = net.tensors().into_iter().filter_map(own).collect();
        let build = |spec: &GraphSpec, inputs: &[usize]| {
            let shapes = inputs.iter().map(|extent| Shape::from([1, *extent])).collect();
            Graph::build_from(spec, shapes, &mut Loaded { tensors: tensors.clone() })
        };
        Ok(Teller {
            first: build(&self.first_step(), &[self.features])?,
            next: build(&self.next_step(), &[1, self.hidden, self.hidden])?,
        })
    }
}

/// The trained network, one step at a time.
#[derive(Debug)]
pub struct Teller {
    first: Graph,
    next: Graph,
}

impl Teller {
    /// The sentences about a photo with these `features [1, features]` that the beam finds, the best first. `begin` is the word
    /// that begins a sentence.
    ///
    /// # Errors
    /// The features are not of that shape, or an error of [`Beam::search`].
    pub fn tell(&self, features: &Tensor, begin: u32, beam: &Beam) -> Result<Vec<Sentence>, NnError> {
        let state = Layer::infer(&self.first, features.into())?;
        beam.search(begin, state, |words, state| self.step(words, state))
    }

    /// The logits after one more word of each sentence, and the state `h` and `c`.
    fn step(&self, words: &[u32], state: Tensors) -> Result<(Tensor, Tensors), NnError> {
        let words = Tensor::from_vec([words.len(), 1], words.iter().map(|word| *word as f32).collect())?;
        let mut outputs = Layer::infer(&self.next, [words].into_iter().chain(state).collect())?.into_iter();
        let logits = outputs.next().expect("three outputs");
        Ok((logits, outputs.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnn_nn::gradcheck;
    use cnn_tensor::testing::{assert_close, distinct, to_f64};

    fn small() -> ShowAndTell {
        ShowAndTell { features: 6, words: 11, embedding: 5, hidden: 7, dropout: 0.5 }
    }

    #[test]
    fn one_step_at_a_time_gives_what_the_whole_network_gives() {
        let (sizes, sentence) = (small(), [1.0, 4.0, 9.0, 9.0, 3.0]);
        let net = sizes.build(3).unwrap();
        let features = distinct([1, 6], 5);
        let words = Tensor::from_vec([1, 5], sentence.to_vec()).unwrap();
        let whole = Layer::infer(&net, [features.clone(), words].into()).unwrap();

        let teller = sizes.teller(&net, "").unwrap();
        let mut state = Layer::infer(&teller.first, features.into()).unwrap();
        for (step, want) in whole[0].data().chunks_exact(11).enumerate() {
            let (logits, next) = teller.step(&[sentence[step] as u32], state).unwrap();
            let want = Tensor::from_vec([1, 11], want.to_vec()).unwrap();
            assert_close(&logits, &to_f64(&want));
            state = next;
        }
    }

    #[test]
    fn a_sentence_has_the_probability_that_the_network_gives_its_words() {
        let sizes = small();
        let net = sizes.build(8).unwrap();
        let features = distinct([1, 6], 2);
        let beam = Beam { width: 4, longest: 6, never: vec![1], ..Beam::new(0) };
        let found = sizes.teller(&net, "").unwrap().tell(&features, 1, &beam).unwrap();
        assert_eq!(found.len(), 4);
        for sentence in found {
            let words: Vec<f32> = [1].iter().chain(&sentence.words).map(|word| *word as f32).collect();
            let n = words.len();
            let inputs = [features.clone(), Tensor::from_vec([1, n], words).unwrap()].into();
            let logits = Layer::infer(&net, inputs).unwrap()[0].clone().reshape([n, 11]).unwrap();
            let all = cnn_ops::softmax::log_softmax(&logits).unwrap();
            let told = sentence.words.iter().chain(&[0]).enumerate();
            let sum: f64 = told.map(|(step, word)| f64::from(all.data()[11 * step + *word as usize])).sum();
            assert!((sum - sentence.log_probability).abs() < 1e-4, "{sum} {sentence:?}");
        }
    }

    #[test]
    fn gradients_reach_the_photo_through_all_steps() {
        for dropout in [0.0, 0.5] {
            let mut net = ShowAndTell { dropout, ..small() }.build(4).unwrap();
            let words = Tensor::from_vec([2, 3], vec![1.0, 5.0, 6.0, 1.0, 9.0, 0.0]).unwrap();
            let mut features = distinct([2, 6], 1);
            features.data_mut().iter_mut().for_each(|v| *v /= 10.0);
            gradcheck::check_at(&mut net, [features, words].into(), &[true, false], 0).unwrap();
        }
    }

    #[test]
    fn the_paper_has_so_many_parameters() {
        let net = ShowAndTell::new(1280, 2000).build(0).unwrap();
        let lstm = 4 * 512 * (512 + 512 + 2);
        assert_eq!(net.parameter_count(), 1281 * 512 + 2000 * 512 + lstm + 2000 * 513);
        let other = ShowAndTell { hidden: 100, ..ShowAndTell::new(1280, 2000) };
        let message = other.teller(&net, "").unwrap_err().to_string();
        assert!(message.contains("lstm.weight_ih_l0"), "{message}");
    }
}
