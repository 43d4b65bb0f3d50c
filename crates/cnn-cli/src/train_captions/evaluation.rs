//! How good captions are: BLEU of the network and of baselines that do not look, or do not talk.

use super::material::{Material, Part};
use crate::fault::Fault;
use crate::progress::{self, Lines};
use cnn::{Caption, Captioner};
use cnn_data::Vocabulary;
use cnn_nn::Beam;
use cnn_nn::metrics::{Bleu, References};
use cnn_search::Metric;
use cnn_tensor::{Random, parallel};
use serde::Serialize;
use std::collections::BTreeSet;

/// BLEU-1 to BLEU-4 of the captions of the test list, in per cent.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub captions: String,
    pub bleu: [f64; 4],
}

/// The test.
pub struct Evaluation {
    pub rows: Vec<Row>,
    /// The network's sentences for each photo, the best first.
    pub told: Vec<Vec<Caption>>,
    /// BLEU-1 to BLEU-4 of the best sentence of each photo by itself, 0 to 1.
    pub own: Vec<[f64; 4]>,
}

/// Photos that are described between two movements of the bar.
const AT_ONCE: usize = 32;

/// The network's captions of the test list by this beam, and word by word, beside the baselines:
///
/// - one sentence for all photos, that caption of training which has the highest BLEU-N on the dev list, for N of 1 and of 4;
/// - a caption of the nearest photo of training, by the cosine of the features: of its captions the one nearest to the others;
/// - the network itself with the features of other photos.
pub fn evaluate(
    material: &Material,
    captioner: &Captioner,
    beam: &Beam,
    seed: u64,
) -> Result<Evaluation, Fault> {
    let Material { train, dev, test, .. } = material;
    // Numbers for all words, not only for those that the network knows.
    let all = [train, dev, test].into_iter().flat_map(|part| part.captions.iter().flatten());
    let lexicon = Vocabulary::of(all, 1);
    let numbers = |part: &Part| -> Vec<Vec<Vec<u32>>> {
        let of_photo =
            |captions: &Vec<Vec<String>>| captions.iter().map(|words| lexicon.numbers(words)).collect();
        part.captions.iter().map(of_photo).collect()
    };
    let [of_train, of_dev, of_test] = [train, dev, test].map(numbers);
    let references =
        of_test.iter().map(|captions| References::new(captions)).collect::<Result<Vec<_>, _>>()?;
    let of_corpus = |captions: &[Vec<u32>]| -> [f64; 4] {
        let mut bleu = Bleu::default();
        captions.iter().zip(&references).for_each(|(caption, known)| bleu.add_counted(caption, known));
        bleu.scores().map(|score| 100.0 * score)
    };
    let as_numbers = |told: &[Vec<Caption>]| -> Vec<Vec<u32>> {
        let best = told.iter().map(|captions| captions.first().map_or("", |caption| &caption.text));
        best.map(|text| lexicon.numbers(&cnn_data::words(text))).collect()
    };

    let order: Vec<usize> = (0..test.len()).collect();
    let told = tell(captioner, test, &order, beam)?;
    let greedy = tell(captioner, test, &order, &Beam { width: 1, ..beam.clone() })?;
    let shuffled = tell(captioner, test, &others(test.len(), seed), beam)?;
    let best = as_numbers(&told);
    let own = best.iter().zip(&references).map(|(caption, known)| {
        let mut bleu = Bleu::default();
        bleu.add_counted(caption, known);
        bleu.scores()
    });
    let own = own.collect();

    let constant = |n: usize, sentence: &Vec<u32>| Row {
        captions: format!(
            "one sentence for all, the best by BLEU-{n} on dev: {}",
            lexicon.sentence(sentence)
        ),
        bleu: of_corpus(&vec![sentence.clone(); test.len()]),
    };
    let [by_one, by_four] = constants(&of_train, &of_dev)?;
    let nearest = nearest(train, test, &of_train)?;
    let row = |captions: String, bleu| Row { captions, bleu };
    let rows = vec![
        row(format!("Show and Tell, beam of {}", beam.width), of_corpus(&best)),
        row("Show and Tell, the likeliest word each time".into(), of_corpus(&as_numbers(&greedy))),
        row("the same network, features of other photos".into(), of_corpus(&as_numbers(&shuffled))),
        row("a caption of the nearest training photo".into(), of_corpus(&nearest)),
        constant(1, &by_one),
        constant(4, &by_four),
    ];
    Ok(Evaluation { rows, told, own })
}

/// The sentences about each photo of a part, told of the features of the photo of that number in `order`.
fn tell(
    captioner: &Captioner,
    part: &Part,
    order: &[usize],
    beam: &Beam,
) -> Result<Vec<Vec<Caption>>, Fault> {
    let bar = progress::bar(Some(order.len() as u64), "{pos}/{len} photos  [{bar:30}]  {remaining} left");
    let mut lines = Lines::new();
    let mut all = Vec::with_capacity(order.len());
    for some in order.chunks(AT_ONCE) {
        let told = parallel::map(some.len(), |i| captioner.tell(part.features.vector(some[i]), beam));
        for captions in told {
            all.push(captions?);
        }
        bar.inc(some.len() as u64);
        lines.note(&bar, || format!("{}/{} photos described", all.len(), order.len()));
    }
    bar.finish_and_clear();
    Ok(all)
}

/// An order in which no photo keeps its place, if there are two.
fn others(photos: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..photos).collect();
    Random::new(seed, &["captions", "shuffled features"]).shuffle(&mut order);
    let mut next = vec![0; photos];
    for (i, &photo) in order.iter().enumerate() {
        next[photo] = order[(i + 1) % photos];
    }
    next
}

/// The captions of training that have the highest BLEU-1 and BLEU-4 as the captions of all photos of the dev list; of equal ones
/// the first in the order of the words' numbers.
fn constants(train: &[Vec<Vec<u32>>], dev: &[Vec<Vec<u32>>]) -> Result<[Vec<u32>; 2], Fault> {
    let references = dev.iter().map(|captions| References::new(captions)).collect::<Result<Vec<_>, _>>()?;
    let candidates: BTreeSet<&Vec<u32>> = train.iter().flatten().collect();
    let candidates: Vec<&Vec<u32>> = candidates.into_iter().collect();
    let scores = parallel::map(candidates.len(), |i| {
        let mut bleu = Bleu::default();
        references.iter().for_each(|known| bleu.add_counted(candidates[i], known));
        bleu.scores()
    });
    Ok([0, 3].map(|n| {
        let better = |best: usize, i: usize| if scores[i][n] > scores[best][n] { i } else { best };
        (0..candidates.len()).reduce(better).map(|best| candidates[best].clone()).unwrap_or_default()
    }))
}

/// For each photo of the test a caption of the training photo that is nearest to it.
fn nearest(train: &Part, test: &Part, captions: &[Vec<Vec<u32>>]) -> Result<Vec<Vec<u32>>, Fault> {
    let found = train.features.search(test.features.vectors(), 1, Metric::Cosine)?;
    found.iter().map(|hits| central(&captions[hits[0].number])).collect()
}

/// The caption of a photo that has the highest mean of BLEU-1 to BLEU-4 with the others as references; the first of equal ones.
fn central(captions: &[Vec<u32>]) -> Result<Vec<u32>, Fault> {
    let mut best: Option<(f64, usize)> = None;
    for (i, caption) in captions.iter().enumerate() {
        let others: Vec<&Vec<u32>> =
            captions.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other).collect();
        let score = if others.is_empty() { 0.0 } else { Bleu::of(caption, &others)?.iter().sum() };
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, i));
        }
    }
    Ok(best.map(|(_, i)| captions[i].clone()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_photo_keeps_its_features() {
        for photos in 2..40 {
            let order = others(photos, 3);
            assert!(order.iter().enumerate().all(|(i, other)| i != *other), "{order:?}");
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), photos);
        }
        assert!(others(0, 3).is_empty() && others(1, 3) == [0]);
    }

    #[test]
    fn the_best_constant_is_found_on_the_dev_list() {
        let train = vec![vec![vec![1, 2, 3], vec![4, 5]], vec![vec![6, 7, 8, 9]]];
        let dev = vec![vec![vec![4, 5]], vec![vec![6, 7, 8, 9, 4]], vec![vec![4, 1]]];
        let [one, four] = constants(&train, &dev).unwrap();
        assert_eq!((one, four), (vec![4, 5], vec![6, 7, 8, 9]));
    }

    #[test]
    fn the_caption_nearest_to_the_others_speaks_for_a_photo() {
        assert_eq!(central(&[vec![9], vec![1, 2, 3], vec![1, 2, 4]]).unwrap(), [1, 2, 3]);
        assert_eq!(central(&[vec![7]]).unwrap(), [7]);
    }
}
