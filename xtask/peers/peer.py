"""What peers written in Python have in common: the line to `cargo xtask bench`, whose protocol src/bench/peer.rs has.

Import it before the library that is measured, and call refuse() if that cannot be imported, or else serve().
"""

import json
import pathlib
import sys
import time

# Whatever libraries print must not get between the answers.
_answers, sys.stdout = sys.stdout, sys.stderr

# For how many threads this process was started.
THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1

# The question being answered, for work that needs more of it than the size of a batch.
QUESTION = {}

OPERATIONS = json.loads((pathlib.Path(__file__).parent / "operations.json").read_text())


def operations(kinds):
    """The works of operations.json of which `kinds` has the kind: a function from its fields and a part to modes."""
    works = {}
    for operation in OPERATIONS:
        about = {key: value for key, value in operation.items() if key not in ("name", "op", "batch", "parts")}
        for part in operation.get("parts", [None]):
            if operation["op"] in kinds:
                name = operation["name"] if part is None else f"{operation['name']} {part}"
                works[name] = kinds[operation["op"]](part, **about)
    return works


def _answer(**fields):
    print(json.dumps(fields), file=_answers, flush=True)


def refuse(error):
    _answer(error=str(error))
    sys.exit()


class _Contestant:
    """One mode of a piece of work, with the number of repetitions that makes a round."""

    def __init__(self, mode, run, round_seconds):
        self.mode, self.run, self.repetitions = mode, run, 1
        # Compilers that watch what runs need more than one run before they are done.
        for _ in range(3):
            if self.seconds() > round_seconds:
                break
        while (seconds := self.seconds()) < round_seconds / 2:
            self.repetitions *= 2
        self.repetitions = max(1, round(self.repetitions * round_seconds / seconds))

    def seconds(self):
        start = time.perf_counter()
        for _ in range(self.repetitions):
            self.run()
        return time.perf_counter() - start

    def round(self):
        return self.seconds() / self.repetitions / getattr(self.run, "repeats", 1)


def _fastest(modes, batch, round_seconds):
    """The mode whose best of three rounds, taken in turns, is the best."""
    contestants, faults = [], []
    for mode, prepare in modes.items():
        try:
            contestants.append(_Contestant(mode, prepare(batch), round_seconds))
        except Exception as error:
            # An older PyTorch has no fused SGD on the CPU, for one; some mode must work.
            faults.append(error)
    if not contestants:
        raise faults[0]
    if len(contestants) == 1:
        return contestants[0]
    rounds = [[contestant.round() for contestant in contestants]]
    # Those that are far behind cannot win any more.
    near = [c for c, seconds in zip(contestants, rounds[0]) if seconds < 1.5 * min(rounds[0])]
    best = {id(c): seconds for c, seconds in zip(contestants, rounds[0])}
    for _ in range(2 if len(near) > 1 else 0):
        for contestant in near:
            best[id(contestant)] = min(best[id(contestant)], contestant.round())
    return min(near, key=lambda contestant: best[id(contestant)])


def serve(version, works, lacks=None):
    """Answers questions until there are no more. `works` has, for each name, a function for each mode, from the size of a
    batch to one repetition of the work."""
    _answer(version=version, works=list(works), lacks=lacks or {})
    chosen = {}
    try:
        for line in sys.stdin:
            try:
                question = json.loads(line)
                work, batch = question["work"], question["batch"]
                QUESTION.update(question)
                if (work, batch) not in chosen:
                    # One at a time: what is not being measured must not hold memory.
                    chosen.clear()
                    chosen[work, batch] = _fastest(works[work], batch, question["seconds"])
                contestant = chosen[work, batch]
                _answer(seconds=contestant.round(), mode=contestant.mode)
            except Exception as error:
                _answer(error=f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        pass
