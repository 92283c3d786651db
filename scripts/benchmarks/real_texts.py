"""Real texts of two genres, with and without a scanner's slips, and their scores by models that are known."""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from llm_mia.backends import embedded
from llm_mia.passages import Passages
from llm_mia.records import Passage
from llm_mia.scores import read_scores
from llm_mia.scoring import score_to_disk

from .attack_corpora import library_docstrings
from .attack_models import SMOLLM, Recipe, scratch, smollm, trained
from .known_sets import WORDS, cut_words, topic_passages

Floats = NDArray[np.float64]

OF_GENRE = 500
"""Passages of each genre that are scored: topics of Python's help, and docstrings of its library."""
SLIPPED = 600
"""So many of them, drawn at random, are scored with slips too."""
SLIPS = (1, 2, 4)
SHORTEST = 200
"""Bytes: the last passage of a document may be a few words."""
TRAINED_ON = 250
"""Passages that the fine-tuned model was trained on."""
ATTACKS = (
    "loss", "zlib", "min_k", "min_k++", "gap_k", "surp", "confidence", "win_k", "camia", "min_k:k=0.1", "min_k:k=0.4",
    "min_k++:k=0.1",
)  # fmt: skip
"""Twelve columns that take the target's signals alone, so that any model can give them."""
EMBEDDED, TUNED, SMALL, SIBLING = "embedded", "tuned", "small", "sibling"
MODELS = (EMBEDDED, TUNED, SMALL, SIBLING)
SMALL_RECIPE = Recipe("scratch-2x64", (3,), 64, 5e-4)
TRAINING_TEXTS = 1_500
"""Of each small model."""


@dataclass(frozen=True, slots=True, eq=False)
class RealTexts:
    """The passages, and the scores that each model gives them; arrays have shape (passages,)."""

    passages: Sequence[Passage]
    slipped: NDArray[np.intp]
    """Rows of the passages of which versions with slips are scored."""
    with_slips: Mapping[int, Sequence[Passage]]
    """By number of slips, in the order of `slipped`."""
    trained_on: NDArray[np.bool_]
    """Which passages the fine-tuned model was trained on; the other models were trained on none."""
    work: Path

    def scores(self, model: str, slips: int = 0) -> Mapping[str, Floats]:
        """Scores by attack, of the passages or of their versions with *slips*; NaN where none are scored."""
        table = _scored(self.work, model, slips)
        if not slips:
            return table
        whole = {name: np.full(len(self.passages), np.nan) for name in table}
        for name, values in table.items():
            whole[name][self.slipped] = values
        return whole

    def texts(self, rows: Sequence[int], slips: int = 0) -> list[Passage]:
        """The passages of *rows*, or their versions with *slips*, without document: each is drawn by itself."""
        if not slips:
            return [replace(self.passages[row], document=self.passages[row].id) for row in rows]
        place = {row: at for at, row in enumerate(self.slipped.tolist())}
        versions = [self.with_slips[slips][place[row]] for row in rows]
        return [replace(version, document=version.id) for version in versions]


@functools.cache
def real_texts(work: Path) -> RealTexts:
    """The same passages, slips and draws in every call; scores are read from *work*, where `prepare` leaves them."""
    passages, _ = _drawn()
    slipped = np.sort(np.random.default_rng([0, 1]).permutation(len(passages))[:SLIPPED])
    trained_on = np.zeros(len(passages), dtype=bool)
    trained_on[np.random.default_rng([0, 2]).permutation(len(passages))[:TRAINED_ON]] = True
    with_slips = {
        slips: [replace(passages[row], text=slip(passages[row].text, slips, row)) for row in slipped.tolist()]
        for slips in SLIPS
    }
    return RealTexts(passages, slipped, with_slips, trained_on, work)


def slip(text: str, slips: int, seed: int) -> str:
    """*text* after *slips* exchanges of two neighbouring letters that differ, as a scanner or a typist may leave."""
    rng, letters = random.Random(f"{seed} {slips}"), list(text)  # noqa: S311 - reproducible, no secret
    places = [
        at
        for at in range(len(letters) - 1)
        if letters[at].isalpha() and letters[at + 1].isalpha() and letters[at] != letters[at + 1]
    ]
    rng.shuffle(places)
    used: set[int] = set()
    for at in places:
        if len(used) == 2 * slips:
            break
        if not {at, at + 1} & used:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
            used |= {at, at + 1}
    return "".join(letters)


def prepare(work: Path, model: str, slips: int) -> None:
    """Score the passages, or their versions with *slips*, by *model*; a call that was stopped is continued."""
    texts = real_texts(work)
    passages = texts.with_slips[slips] if slips else texts.passages
    folder = work / "runs" / f"{model}-{slips}"
    score_to_disk(Passages.of(passages), _model(texts, model), attacks=ATTACKS, out=folder)
    # Another version of the package reads this table too; it does not read the run directory.
    pq.write_table(pa.table(dict(read_scores(folder).columns)), _file(work, model, slips))


def missing(work: Path, model: str, slips: int) -> bool:
    """Whether `prepare` has not scored these yet."""
    return not _file(work, model, slips).exists()


def _file(work: Path, model: str, slips: int) -> Path:
    return work / f"{model}-{slips}.parquet"


@functools.cache
def _scored(work: Path, model: str, slips: int) -> Mapping[str, Floats]:
    if missing(work, model, slips):
        print(f"scoring by the {model} model, {slips} slips …", file=sys.stderr, flush=True)
        prepare(work, model, slips)
    table = pq.read_table(_file(work, model, slips))
    return {name: table[name].to_numpy() for name in table.column_names}


def _model(texts: RealTexts, model: str) -> str:
    if model == EMBEDDED:
        return embedded.NAME
    if model == TUNED:
        members = [p.text for p, member in zip(texts.passages, texts.trained_on, strict=True) if member]
        recipe = replace(SMOLLM, epochs=(1,))
        return str(trained(texts.work, recipe, smollm, members, 0)[1])
    _, others = _drawn()
    part = (SMALL, SIBLING).index(model)
    training = others[part * TRAINING_TEXTS : (part + 1) * TRAINING_TEXTS]
    folders = trained(texts.work, SMALL_RECIPE, lambda: scratch(training, part), training, part)
    return str(folders[SMALL_RECIPE.epochs[-1]])


@functools.cache
def _drawn() -> tuple[list[Passage], list[str]]:
    """The passages to score, half of each genre, in random order; and texts of neither, for training."""
    kept, others = list[Passage](), list[str]()
    for number, passages in enumerate((_different(topic_passages()), _different(docstring_passages()))):
        order = np.random.default_rng([0, 0, number]).permutation(len(passages)).tolist()
        kept += [passages[row] for row in order[:OF_GENRE]]
        others += [passages[row].text for row in order[OF_GENRE:]]
    shuffle = random.Random(0)  # noqa: S311 - reproducible, no secret
    shuffle.shuffle(kept)
    shuffle.shuffle(others)
    return kept, others


def docstring_passages() -> list[Passage]:
    """The docstrings of Python's library, 48 words a passage, a file a document."""
    return cut_words(library_docstrings(Path()).items(), WORDS)


def _different(passages: Sequence[Passage]) -> list[Passage]:
    """Those of `SHORTEST` bytes or more, each text once."""
    by_text = {passage.text: passage for passage in passages if passage.n_bytes >= SHORTEST}
    return list(by_text.values())


def genre(passage: Passage) -> str:
    """``docstrings`` or ``topics``."""
    return "docstrings" if ".py" in passage.document else "topics"


def pairs() -> Iterator[tuple[str, int]]:
    """What `prepare` can score: models and numbers of slips."""
    for model in MODELS:
        for slips in (0, *SLIPS):
            yield model, slips
