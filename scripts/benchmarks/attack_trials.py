"""Trials: draw passages, train a model on some of them, and score all by every attack into run directories."""

from __future__ import annotations

import functools
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_mia.attacks import Attack, all_attacks
from llm_mia.backends import Backend, ModelSpec, Report
from llm_mia.passages import read_passages
from llm_mia.records import IntArray, ModelRecord, TokenSignals, Window
from llm_mia.scores import ScoreTable
from llm_mia.scoring import score
from llm_mia.signals import Supplies, count_frequencies
from llm_mia.store import write_text

from . import attack_models as models
from .attack_corpora import Read, passages_of

NEIGHBOURS = 5
ELSEWHERE = 2000
"""The largest number of passages whose tokens are counted."""
MANY = {"neighbours", "swapped"}
"""Evidence that takes a pass for each rewritten text."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many passages of a corpus a trial uses for each purpose, and how long they are."""

    side: int
    """Members, and as many held out."""
    shots: int
    """Of each label."""
    population: int
    tokens: int
    """Of a passage, by the estimate of `read_passages`."""
    more: int = 0
    """Trained on besides the members, and not scored."""

    @property
    def a_seed(self) -> int:
        """Passages that one trial uses, and no other does."""
        return 2 * (self.side + self.shots) + self.population + self.more


SMOLLM = Sizes(side=100, shots=10, population=100, tokens=72)
# A model trained on single passages alone has never seen a longer text: two shots are as much as it can follow.
SCRATCH = Sizes(side=400, shots=2, population=100, tokens=72, more=400)


@dataclass(frozen=True, slots=True)
class Draw:
    """The passages of one trial. No text occurs twice in it, nor in two trials of a corpus."""

    folder: Path
    """Where its files and run directories are."""
    members: Sequence[str]
    """Trained on, and scored."""
    heldout: Sequence[str]
    """Scored, and not trained on."""
    member_shots: Sequence[str]
    """Trained on, and not scored."""
    shots: Sequence[str]
    population: Sequence[str]
    more: Sequence[str]
    """Trained on, and in none of the files."""
    elsewhere: Sequence[str]
    """Passages that no trial of the corpus uses: their tokens are counted."""
    many: bool
    """Whether attacks that need many rewritten texts run too."""

    @property
    def trained_on(self) -> list[str]:
        """The texts that the model of this trial is trained on."""
        return [*self.members, *self.member_shots, *self.more]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run directory whose labels are known."""

    setting: str
    corpus: str
    seed: int
    table: ScoreTable
    run: Path
    """The run directory."""
    target: Path
    """The target's folder."""
    draw: Draw
    reference_served: bool = False
    """Whether the reference's signals come from another run on the same passages."""


def draws(corpus: str, passages: Sequence[str], sizes: Sizes, seeds: int, work: Path) -> tuple[list[Draw], list[str]]:
    """The draw of each seed, and the passages that a sibling of the target is trained on: as many as one side has."""
    sibling = sizes.side + sizes.more
    needed = seeds * sizes.a_seed + sibling
    if len(passages) <= needed:
        raise SystemExit(
            f"corpus {corpus!r} has {len(passages)} passages, and {seeds} seeds take more than {needed}: name a larger "
            "one with --corpus NAME=FOLDER, or fewer --seeds"
        )
    drawn = []
    for seed in range(seeds):
        unused = iter(passages[seed * sizes.a_seed : (seed + 1) * sizes.a_seed])
        draw = Draw(
            folder=work / f"{corpus}-{seed}",
            members=[next(unused) for _ in range(sizes.side)],
            heldout=[next(unused) for _ in range(sizes.side)],
            member_shots=[next(unused) for _ in range(sizes.shots)],
            shots=[next(unused) for _ in range(sizes.shots)],
            population=[next(unused) for _ in range(sizes.population)],
            more=[next(unused) for _ in range(sizes.more)],
            elsewhere=passages[needed : needed + ELSEWHERE],
            many=seed == 0,
        )
        _write(draw)
        drawn.append(draw)
    return drawn, list(passages[needed - sibling : needed])


def _write(draw: Draw) -> None:
    """The files that `score` reads; each passage is its own document, for labels were drawn by passage."""
    scored = [(text, 1) for text in draw.members] + [(text, 0) for text in draw.heldout]
    random.Random(0).shuffle(scored)  # noqa: S311 - a reproducible order, no secret
    shots = [(text, 1) for text in draw.member_shots] + [(text, 0) for text in draw.shots]
    for name, rows in (("passages", scored), ("shots", shots)):
        lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows]
        write_text(draw.folder / f"{name}.jsonl", "\n".join(lines) + "\n")
    for name, texts in (("population", draw.population), ("elsewhere", draw.elsewhere)):
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
        write_text(draw.folder / f"{name}.jsonl", "\n".join(lines) + "\n")


def attacks_of(*, many: bool, shots: bool = True) -> list[Attack]:
    """Every attack without shadow models, in each of its forms; with *many*, also on many rewritten texts."""
    left_out = {"shadows"} | (set() if many else MANY) | (set() if shots else {"prefixed"})
    chosen = [attack for attack in all_attacks().values() if not left_out & set(attack.evidence)]
    return [variant for attack in chosen for variant in attack.variants()]


def scored(
    draw: Draw, name: str, target: Path, reference: Path | Backend, *, many: bool, shots: bool = True
) -> tuple[ScoreTable, Path]:
    """The table of all attacks and its run directory, *name* in the folder of the draw."""
    began = time.monotonic()
    run = draw.folder / name
    supplies = Supplies(
        shots=draw.folder / "shots.jsonl",
        population=draw.folder / "population.jsonl",
        frequencies=count_frequencies(read_passages(draw.folder / "elsewhere.jsonl"), ModelSpec(target).tokenizer()),
        neighbours=NEIGHBOURS,
    )
    table = score(
        read_passages(draw.folder / "passages.jsonl"),
        ModelSpec(target, dtype="float32"),
        ModelSpec(reference, dtype="float32") if isinstance(reference, Path) else reference,
        attacks=[attack.name for attack in attacks_of(many=many, shots=shots)],
        supplies=supplies,
        out=run,
    )
    print(f"{run}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return table, run


class Remembered:
    """A backend that scores no window twice: several targets are compared with one reference on the same passages."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[tuple[bytes, int], TokenSignals] = {}

    @property
    def info(self) -> ModelRecord:
        """The record of the backend."""
        return self._backend.info

    @property
    def offers(self) -> frozenset[str]:
        """See `Backend`."""
        return self._backend.offers

    @property
    def opening(self) -> tuple[int, ...]:
        """See `Backend`."""
        return self._backend.opening

    @property
    def tokens_per_batch(self) -> int:
        """See `Backend`."""
        return self._backend.tokens_per_batch

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """See `Backend`."""
        return self._backend.encode(texts)

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """See `Backend`."""
        if prefix is not None:
            raise ValueError("a reference model scores passages without a prefix")
        keys = [(window.tokens.tobytes(), window.first_scored) for window in windows]
        new = {key: window for key, window in zip(keys, windows, strict=True) if key not in self._known}
        if new:
            self._known.update(zip(new, self._backend.score(list(new.values()), report), strict=True))
        return [self._known[key] for key in keys]


def smollm_trials(corpora: dict[str, Read], sizes: Sizes, seeds: int, work: Path) -> Iterator[Trial]:
    """SmolLM2-135M after one and two epochs, the untouched model as reference, and a placebo: another seed's model.

    To save hours, the placebo and the attacks with many passes run on the first corpus only.
    """
    folder = work / "smollm"
    drawn = {
        name: draws(name, passages_of(name, read, sizes.tokens, work), sizes, seeds, folder)[0]
        for name, read in corpora.items()
    }
    base, first = functools.cache(lambda: Remembered(models.smollm())), next(iter(corpora))
    for seed in range(seeds):
        for corpus, draws_of_corpus in drawn.items():
            draw, other = draws_of_corpus[seed], draws_of_corpus[(seed + 1) % seeds]
            target_by_epoch = models.trained(work, models.SMOLLM, models.smollm, draw.trained_on, seed)
            for epoch, target in target_by_epoch.items():
                many = draw.many and epoch == 1 and corpus == first
                table, run = scored(draw, f"epochs-{epoch}", target, base(), many=many, shots=epoch == 1)
                yield Trial(
                    f"SmolLM2, {epoch} epoch{'s' if epoch > 1 else ''}",
                    corpus,
                    seed,
                    table,
                    run,
                    target,
                    draw,
                    epoch > 1,
                )
            if other is not draw and corpus == first:
                never = models.trained(work, models.SMOLLM, models.smollm, other.trained_on, (seed + 1) % seeds)[1]
                table, run = scored(draw, "placebo", never, base(), many=False)
                yield Trial("SmolLM2, placebo", corpus, seed, table, run, never, draw, True)


def scratch_trials(corpora: dict[str, Read], sizes: Sizes, seeds: int, work: Path) -> Iterator[Trial]:
    """A small model trained from nothing, with a sibling of as many epochs as reference, and a placebo."""
    folder, recipe = work / "scratch", models.SCRATCH
    texts = {name: passages_of(name, read, sizes.tokens, work) for name, read in corpora.items()}
    drawn = {name: draws(name, texts[name], sizes, seeds, folder) for name in corpora}

    def train(corpus: str, on: Sequence[str], seed: int) -> dict[int, Path]:
        return models.trained(work, recipe, lambda: models.scratch(texts[corpus], seed), on, seed)

    for seed in range(seeds):
        for corpus, (draws_of_corpus, sibling) in drawn.items():
            draw, other = draws_of_corpus[seed], draws_of_corpus[(seed + 1) % seeds]
            target, reference = train(corpus, draw.trained_on, seed), train(corpus, sibling, seeds)
            for epoch in recipe.epochs:
                many = draw.many and epoch == recipe.epochs[0]
                table, run = scored(draw, f"epochs-{epoch}", target[epoch], reference[epoch], many=many)
                yield Trial(f"scratch, {epoch} epochs", corpus, seed, table, run, target[epoch], draw)
            if other is not draw:
                never, epoch = train(corpus, other.trained_on, (seed + 1) % seeds), recipe.epochs[0]
                table, run = scored(draw, "placebo", never[epoch], reference[epoch], many=False)
                yield Trial("scratch, placebo", corpus, seed, table, run, never[epoch], draw)
