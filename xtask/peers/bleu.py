"""Writes what NLTK's corpus_bleu says, for crates/cnn-nn/tests/nltk_bleu.rs to compare with.

    pip install nltk numpy
    python xtask/peers/bleu.py crates/cnn-nn/tests/fixtures/bleu.json

Sentences are lists of whole numbers, drawn from few words so that runs of four words are found, too. Among them are empty
candidates, candidates shorter than four words, and references of equally close lengths.
"""

import json
import platform
import random
import sys
import warnings

import nltk
from nltk.translate.bleu_score import corpus_bleu

WEIGHTS = [(1,), (1 / 2,) * 2, (1 / 3,) * 3, (1 / 4,) * 4]


def sentence(source, words, longest):
    return [source.randrange(words) for _ in range(source.randrange(longest + 1))]


def near(source, words, of):
    """A sentence with some of the words of another changed, left out or doubled."""
    out = []
    for word in of:
        kind = source.randrange(8)
        out += [[], [source.randrange(words)], [word, word]][kind] if kind < 3 else [word]
    return out


def case(source):
    words, longest = source.choice([3, 8, 30]), source.choice([4, 12, 20])
    pairs = []
    for _ in range(source.choice([1, 1, 3, 20])):
        references = [sentence(source, words, longest) for _ in range(source.randrange(1, 6))]
        kind = source.randrange(4)
        candidate = sentence(source, words, longest) if kind == 0 else near(source, words, source.choice(references))
        pairs.append({"candidate": candidate, "references": references})
    warnings.simplefilter("ignore")
    references, candidates = [p["references"] for p in pairs], [p["candidate"] for p in pairs]
    return {"pairs": pairs, "bleu": [corpus_bleu(references, candidates, weights) for weights in WEIGHTS]}


def main(out):
    source = random.Random(17)
    cases = [case(source) for _ in range(60)]
    made = f"xtask/peers/bleu.py, Python {platform.python_version()}, nltk {nltk.__version__}"
    with open(out, "w") as file:
        file.write('{"made_by": ' + json.dumps(made) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]}\n")
    full = sum(case["bleu"][3] > 1e-9 for case in cases)
    print(f"{out}: {len(cases)} cases, {full} of them with runs of four words, {made}")


main(*sys.argv[1:])
