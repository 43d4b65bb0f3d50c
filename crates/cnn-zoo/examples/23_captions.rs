//! 23. A network looks at a picture and tells what it shows, word by word: Show and Tell.
//!
//! The pictures are made up: one coloured shape above another. The captions have the form "a red square above a blue circle". A few
//! convolutions give features, a linear layer makes them the first word of an LSTM, and the LSTM learns to say the next word. It
//! never learns a list of all pictures: some pairs are kept out of training, and are described all the same.
//! Source: O. Vinyals, A. Toshev, S. Bengio and D. Erhan, "Show and Tell: A Neural Image Caption Generator", CVPR 2015.
//!
//! `cargo run --release -p cnn-zoo --example 23_captions [EPOCHS]`
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::{Vocabulary, words};
use cnn_nn::metrics::Bleu;
use cnn_nn::spec::{adaptive_max_pool2d, conv2d, flatten, graph, max_pool2d, relu, sequential};
use cnn_nn::{
    Adam, Batch, Batches, Beam, Graph, Init, Loaded, NnError, OptimizerSpec, Schedule, Sequence, Steps,
    TrainSettings, Trainer, layers,
};
use cnn_tensor::{Random, Tensor};
use cnn_zoo::{ShowAndTell, Teller};
use failure::Failure;
use std::error::Error;

const SIDE: usize = 16;
const COLORS: [(&str, [f32; 3]); 3] =
    [("red", [1.0, 0.1, 0.1]), ("green", [0.1, 0.9, 0.1]), ("blue", [0.1, 0.2, 1.0])];
const SHAPES: [&str; 2] = ["square", "cross"];

/// A shape: a color and a form, by their places in the lists.
type Shape = (usize, usize);

/// A picture of two shapes, its caption, and whether the pair is kept for the test.
struct Scene {
    pixels: Vec<f32>,
    caption: Vec<String>,
    is_new: bool,
}

/// A scene drawn at random.
fn scene(random: &mut Random) -> Scene {
    let mut shape = || (random.below(COLORS.len()), random.below(SHAPES.len()));
    let (above, below) = (shape(), shape());
    let mut pixels = vec![-0.5; 3 * SIDE * SIDE];
    for ((color, form), row) in [(above, 3.5), (below, 11.5)] {
        let column = random.uniform(3.5, 12.5);
        for (i, light) in COLORS[color].1.iter().enumerate() {
            for (y, line) in pixels[i * SIDE * SIDE..][..SIDE * SIDE].chunks_exact_mut(SIDE).enumerate() {
                for (x, pixel) in line.iter_mut().enumerate() {
                    let (dy, dx) = ((y as f32 - row).abs(), (x as f32 - column).abs());
                    let is_inside = match SHAPES[form] {
                        "square" => dy.max(dx) < 3.0,
                        _ => dy.max(dx) < 3.6 && dy.min(dx) < 1.1,
                    };
                    *pixel += if is_inside { 2.0 * light } else { random.uniform(0.0, 0.1) };
                }
            }
        }
    }
    let name = |(color, form): Shape| format!("a {} {}", COLORS[color].0, SHAPES[form]);
    let caption = words(&format!("{} above {} .", name(above), name(below)));
    // Red above blue is never seen in training.
    Scene { pixels, caption, is_new: (above.0, below.0) == (0, 2) }
}

/// Scenes as a network takes them: pictures, the words so far, and the words that follow.
struct Scenes {
    scenes: Vec<Scene>,
    vocabulary: Vocabulary,
}

const BATCH: usize = 16;

impl Scenes {
    fn pictures(&self, scenes: &[Scene]) -> Result<Tensor, NnError> {
        let pixels = scenes.iter().flat_map(|scene| &scene.pixels).copied().collect();
        Ok(Tensor::from_vec([scenes.len(), 3, SIDE, SIDE], pixels)?)
    }

    /// Teacher forcing: whatever the network would have said, it gets the right words so far.
    fn batch(&self, scenes: &[Scene]) -> Result<Batch<Steps>, NnError> {
        let (mut told, mut next) = (Vec::new(), Vec::new());
        for scene in scenes {
            let numbers = self.vocabulary.numbers(&scene.caption);
            told.push(Vocabulary::BEGIN as f32);
            told.extend(numbers.iter().map(|word| *word as f32));
            next.extend(numbers.iter().chain([&Vocabulary::END]));
        }
        // All captions have seven words, so none is padded; see `cnn_data::CaptionBatches` for those of any length.
        let steps = next.len() / scenes.len();
        let told = Tensor::from_vec([scenes.len(), steps], told)?;
        Ok(Batch::new([self.pictures(scenes)?, told], Steps::new(next, steps)?))
    }
}

impl Batches<Steps> for Scenes {
    fn examples(&self) -> usize {
        self.scenes.len()
    }

    fn batches(&self) -> usize {
        self.scenes.len().div_ceil(BATCH)
    }

    fn epoch(&self, _: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch<Steps>, NnError>> + '_> {
        Box::new(self.scenes.chunks(BATCH).skip(skip).map(|scenes| self.batch(scenes)))
    }
}

/// Convolutions that turn a picture into features.
fn trunk() -> cnn_nn::LayerSpec {
    sequential(layers![
        conv2d(16, 3).padding(1).init(Init::KaimingNormal).named("conv1"),
        relu().named("relu1"),
        max_pool2d(2).named("pool1"),
        conv2d(24, 3).padding(1).init(Init::KaimingNormal).named("conv2"),
        relu().named("relu2"),
        // The largest response in the upper and in the lower half, wherever the shape is from left to right.
        adaptive_max_pool2d([2, 1]).named("pool2"),
        flatten().named("flatten"),
    ])
}

/// The numbers that the trunk gives of a picture.
const FEATURES: usize = 24 * 2;

/// A trained network and how well it tells.
pub struct Told {
    /// BLEU-1 and BLEU-4 of the captions of scenes like those of training, and of pairs of colors that it has never seen.
    pub bleu: [[f64; 2]; 2],
    /// What it says about some scenes, and what is right.
    pub samples: Vec<(String, String)>,
}

/// Trains on `scenes` scenes for so many epochs, trunk and LSTM together.
pub fn train(epochs: usize, scenes: usize) -> Result<Told, Box<dyn Error>> {
    let mut random = Random::new(0, &["scenes"]);
    let all: Vec<Scene> = (0..scenes + 200).map(|_| scene(&mut random)).collect();
    let vocabulary = Vocabulary::of(all.iter().map(|scene| &scene.caption), 3);
    let (rest, mut seen): (Vec<Scene>, Vec<Scene>) = all.into_iter().partition(|scene| scene.is_new);
    let held_out = seen.split_off(seen.len() - 100);
    let sets = [seen, held_out, rest].map(|scenes| Scenes { scenes, vocabulary: vocabulary.clone() });
    let [train, test, new] = &sets;

    let sizes = ShowAndTell {
        embedding: 32,
        hidden: 64,
        dropout: 0.0,
        ..ShowAndTell::new(FEATURES, vocabulary.words().len())
    };
    let spec = graph(["picture", "words"])
        .node("trunk", trunk(), ["picture"])
        .node("teller", sizes.network(), ["trunk", "words"])
        .outputs(["teller"]);
    let net = Graph::of(&spec, [&[3, SIDE, SIDE][..], &[1]], 0)?;
    let settings = TrainSettings {
        epochs,
        learning_rate: 4e-3,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        optimizer: OptimizerSpec::Adam(Adam::default()),
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(net, Sequence, settings)?;
    trainer.fit(train, test, &mut ())?;

    let narrator = Narrator::of(&trainer.into_net(), &sizes, vocabulary)?;
    let samples =
        new.scenes[..4].iter().map(|scene| Ok((narrator.tell(new, scene)?, scene.caption.join(" "))));
    let samples = samples.collect::<Result<_, NnError>>()?;
    Ok(Told { bleu: [narrator.bleu(test)?, narrator.bleu(new)?], samples })
}

/// The trained network, one word at a time.
struct Narrator {
    trunk: Graph,
    teller: Teller,
    vocabulary: Vocabulary,
}

impl Narrator {
    /// The network of training says all words at once, since it is given them. To say one after the other, its parameters go into
    /// other graphs: the trunk, and the two graphs of a teller, which take the LSTM's state and return the next one.
    fn of(net: &Graph, sizes: &ShowAndTell, vocabulary: Vocabulary) -> Result<Self, NnError> {
        let spec = graph(["picture"]).node("trunk", trunk(), ["picture"]).outputs(["trunk"]);
        let mut parameters = Loaded { tensors: net.tensors().into_iter().collect() };
        let trunk = Graph::build_from(&spec, vec![[1, 3, SIDE, SIDE].into()], &mut parameters)?;
        Ok(Self { trunk, teller: sizes.teller(net, "teller")?, vocabulary })
    }

    /// The likeliest sentence about a scene that a beam of three finds.
    fn tell(&self, scenes: &Scenes, scene: &Scene) -> Result<String, NnError> {
        let features = self.trunk.infer(&scenes.pictures(std::slice::from_ref(scene))?)?;
        let beam = Beam { width: 3, longest: 10, ..Beam::new(Vocabulary::END) };
        let found = self.teller.tell(&features, Vocabulary::BEGIN, &beam)?;
        Ok(self.vocabulary.sentence(&found[0].words))
    }

    /// BLEU-1 and BLEU-4 over all scenes.
    fn bleu(&self, scenes: &Scenes) -> Result<[f64; 2], NnError> {
        let mut bleu = Bleu::default();
        for scene in &scenes.scenes {
            let told: Vec<String> = self.tell(scenes, scene)?.split(' ').map(String::from).collect();
            bleu.add(&told, &[&scene.caption])?;
        }
        let [one, .., four] = bleu.scores();
        Ok([one, four])
    }
}

fn main() -> Result<(), Failure> {
    let epochs = std::env::args_os().nth(1);
    let epochs =
        epochs.map_or(Some(30), |word| word.to_str()?.parse().ok()).ok_or("expected a number of EPOCHS")?;
    let Told { bleu: [test, new], samples } = train(epochs, 2_000)?;
    println!("                                 BLEU-1  BLEU-4");
    println!("scenes like those of training    {:6.3}  {:6.3}", test[0], test[1]);
    println!("pairs of colors never seen       {:6.3}  {:6.3}", new[0], new[1]);
    for (told, right) in samples {
        println!("{} {told}", if told == right { "right:" } else { "wrong:" });
    }
    Ok(())
}
