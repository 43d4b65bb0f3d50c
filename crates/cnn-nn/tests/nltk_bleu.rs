//! BLEU equals that of NLTK.
#![forbid(unsafe_code)]

use cnn_nn::metrics::Bleu;
use serde::Deserialize;

/// The file that `xtask/peers/bleu.py` wrote.
const FIXTURE: &str = include_str!("fixtures/bleu.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    #[serde(rename = "made_by")]
    _made_by: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    pairs: Vec<Pair>,
    bleu: [f64; 4],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    candidate: Vec<u32>,
    references: Vec<Vec<u32>>,
}

#[test]
fn bleu_of_a_corpus_is_nltks() {
    let Fixture { cases, .. } = serde_json::from_str(FIXTURE).unwrap();
    assert_eq!(cases.len(), 60);
    for (i, Case { pairs, bleu }) in cases.iter().enumerate() {
        let mut own = Bleu::default();
        pairs.iter().for_each(|pair| own.add(&pair.candidate, &pair.references).unwrap());
        for (n, (got, want)) in own.scores().iter().zip(bleu).enumerate() {
            assert!((got - want).abs() <= 1e-12 * want.abs(), "case {i}, BLEU-{}: {got} {want}", n + 1);
        }
    }
}
