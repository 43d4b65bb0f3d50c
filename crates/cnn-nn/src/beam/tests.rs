use super::*;
use cnn_tensor::Random;
use proptest::prelude::*;

/// Logits that depend on all words so far, drawn by a seed.
fn logits(seed: u64, words: usize, sentence: &[u32]) -> Vec<f32> {
    let path = format!("{sentence:?}");
    let mut row = vec![0.0; words];
    Random::new(seed, &["beam", &path]).fill_normal(1.5, &mut row);
    row
}

/// The network of these logits. Its state is the sentence itself: the length and then the words.
fn network(
    seed: u64,
    words: usize,
    longest: usize,
) -> impl FnMut(&[u32], Tensors) -> Result<(Tensor, Tensors), NnError> {
    move |last, state| {
        let width = longest + 3;
        let mut state = state[0].clone();
        let mut all = Vec::new();
        for (row, &word) in state.data_mut().chunks_exact_mut(width).zip(last) {
            let length = row[0] as usize;
            row[1 + length] = word as f32;
            row[0] += 1.0;
            // Without the word that begins every sentence.
            let sentence: Vec<u32> = row[2..=1 + length].iter().map(|word| *word as u32).collect();
            all.extend(logits(seed, words, &sentence));
        }
        Ok((Tensor::from_vec([last.len(), words], all)?, state.into()))
    }
}

fn search(beam: &Beam, seed: u64, words: usize) -> Vec<Sentence> {
    let state = Tensor::zeros([1, beam.longest + 3]);
    beam.search(1, state.into(), network(seed, words, beam.longest)).unwrap()
}

/// The logarithms of the probabilities of all words after a sentence.
fn log_probabilities(seed: u64, words: usize, sentence: &[u32]) -> Vec<f64> {
    let row = Tensor::from_vec([1, words], logits(seed, words, sentence)).unwrap();
    log_softmax(&row).unwrap().data().iter().map(|v| f64::from(*v)).collect()
}

/// All sentences, by depth first.
fn all(
    beam: &Beam,
    seed: u64,
    words: usize,
    sentence: &mut Vec<u32>,
    before: f64,
    found: &mut Vec<Sentence>,
) {
    let row = log_probabilities(seed, words, sentence);
    let log_probability = before + row[beam.end as usize];
    let score = log_probability / ((sentence.len() + 1) as f64).powf(beam.length_power);
    found.push(Sentence { words: sentence.clone(), log_probability, score });
    if sentence.len() == beam.longest {
        return;
    }
    for word in (0..words as u32).filter(|word| *word != beam.end && !beam.never.contains(word)) {
        sentence.push(word);
        all(beam, seed, words, sentence, before + row[word as usize], found);
        sentence.pop();
    }
}

/// The definition: after each step all continuations are sorted, and as many are kept as there are places.
fn by_definition(beam: &Beam, seed: u64, words: usize) -> Vec<Vec<u32>> {
    let mut kept: Vec<(f64, Vec<u32>, bool)> = vec![(0.0, vec![], false)];
    for length in 0..=beam.longest {
        let (done, open): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(_, _, ended)| *ended);
        let mut next = Vec::new();
        for (before, sentence, _) in open {
            for (word, v) in (0..).zip(log_probabilities(seed, words, &sentence)) {
                let ends = word == beam.end;
                if !ends && (length == beam.longest || beam.never.contains(&word)) {
                    continue;
                }
                let longer = if ends { sentence.clone() } else { [&sentence[..], &[word]].concat() };
                next.push((before + v, longer, ends));
            }
        }
        next.sort_by(|a, b| b.0.total_cmp(&a.0));
        next.truncate(beam.width - done.len());
        kept = [done, next].concat();
    }
    let score =
        |(v, sentence, _): &(f64, Vec<u32>, bool)| v / ((sentence.len() + 1) as f64).powf(beam.length_power);
    kept.sort_by(|a, b| score(b).total_cmp(&score(a)));
    kept.into_iter().map(|(_, sentence, _)| sentence).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A beam that loses nothing finds all sentences, the best first.
    #[test]
    fn a_wide_beam_finds_what_trying_all_sentences_finds(
        seed: u64, words in 2..5usize, longest in 1..4usize, power in 0..3u8,
    ) {
        let beam = Beam { width: 100, longest, length_power: f64::from(power) / 2.0, never: vec![1], ..Beam::new(0) };
        let mut want = Vec::new();
        all(&beam, seed, words, &mut vec![], 0.0, &mut want);
        want.sort_by(|a, b| b.score.total_cmp(&a.score));
        prop_assert_eq!(search(&beam, seed, words), want);
    }

    #[test]
    fn a_narrow_beam_is_its_definition(seed: u64, width in 1..7usize, words in 2..9usize, longest in 1..8usize) {
        let beam = Beam { width, longest, never: vec![1], ..Beam::new(0) };
        let found: Vec<Vec<u32>> = search(&beam, seed, words).into_iter().map(|found| found.words).collect();
        prop_assert_eq!(found, by_definition(&beam, seed, words));
    }

    #[test]
    fn a_beam_of_one_takes_the_likeliest_word_each_time(seed: u64, words in 2..9usize) {
        let beam = Beam { width: 1, longest: 9, ..Beam::new(0) };
        let mut sentence = Vec::new();
        while sentence.len() < 9 {
            let row = log_probabilities(seed, words, &sentence);
            let best = (0..words).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            if best == 0 {
                break;
            }
            sentence.push(best as u32);
        }
        let found = search(&beam, seed, words);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&found[0].words, &sentence);
    }
}

#[test]
fn equal_words_are_taken_in_the_order_of_their_numbers() {
    let step = |last: &[u32], state| Ok((Tensor::zeros([last.len(), 4]), state));
    let beam = Beam { width: 3, longest: 2, length_power: 0.0, ..Beam::new(3) };
    let found = beam.search(0, Tensors::default(), step).unwrap();
    let words: Vec<&[u32]> = found.iter().map(|found| &found.words[..]).collect();
    assert_eq!(words, [&[0, 0][..], &[0, 1], &[0, 2]]);
    assert!((found[0].probability() - 1.0 / 64.0).abs() < 1e-7);
}

#[test]
fn what_does_not_fit_is_refused() {
    let fault = |beam: &Beam, logits: Tensor, state: Tensor| {
        let step = |_: &[u32], _| Ok((logits.clone(), state.clone().into()));
        beam.search(0, Tensors::default(), step).unwrap_err().to_string()
    };
    let (beam, state) = (Beam::new(0), || Tensor::zeros([1, 2]));
    let logits = || Tensor::zeros([1, 3]);
    let wide = Beam { width: 101, ..beam.clone() };
    assert_eq!(fault(&wide, logits(), state()), "the width of a beam must be 1 to 100, got 101");
    let power = Beam { length_power: f64::NAN, ..beam.clone() };
    assert_eq!(fault(&power, logits(), state()), "the power of the length must be 0 to 4, got NaN");
    let long = Beam { longest: 0, ..beam.clone() };
    assert!(fault(&long, logits(), state()).starts_with("the length of the longest sentence must be"));
    assert_eq!(
        fault(&Beam::new(3), logits(), state()),
        "the logits of the next word must be [beginnings, words], the end among them, got [1, 3] for 1 and end 3"
    );
    assert_eq!(
        fault(&beam, Tensor::full([1, 3], f32::NAN), state()),
        "the logits of a word must be numbers, got NaN"
    );
    assert_eq!(
        fault(&beam, logits(), Tensor::zeros([2, 2])),
        "the state of sentences must be a row for each, got [2, 2] for 1"
    );
}
