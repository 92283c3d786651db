"""What attacks may use besides models and passages: shots, a population, token frequencies, rewritten texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..attacks import NONMEMBER, Provided
from ..backends import ModelSpec, load_rewriter
from ..errors import PassageError, UsageError
from ..passages import Passages, read_passages
from ..records import TokenFrequencies
from ..store import read_frequencies
from ._inputs import Inputs

if TYPE_CHECKING:
    from ..backends import Rewriter

__all__ = ["Supplies"]


@dataclass(frozen=True, slots=True)
class Supplies:
    """What the user gives for attacks that need more than models; each may be left out."""

    shots: Passages | str | Path | None = None
    """Known non-members (label 0, or no label) and members (label 1) to put before passages; none of them is scored."""
    population: Passages | str | Path | None = None
    """Passages from the same source as those scored; none of them is scored."""
    frequencies: TokenFrequencies | str | Path | None = None
    """Token frequencies of a corpus, counted with the target's tokenizer."""
    neighbours: int = 10
    """How many rewritten versions each passage is compared with; every version costs a pass."""
    neighbour_model: ModelSpec | None = None
    """A masked language model that writes the neighbours; None: words are dropped and swapped."""
    seed: int = 0
    """Draws the rewritten versions."""

    def read(self, roles: Iterable[str] = ("target",)) -> Provided:
        """Read the files, for a run with models in these *roles*.

        Raises:
            PassageError: a file of passages cannot be read.
            UsageError: fewer than one neighbour.
            InputError: the token frequencies cannot be read.
        """
        if self.neighbours < 1:
            raise UsageError(f"`neighbours` is {self.neighbours}: a passage needs 1 or more")
        frequencies = self.frequencies
        if isinstance(frequencies, str | Path):
            frequencies = read_frequencies(frequencies)
        return Provided(
            roles=tuple(roles),
            shots={} if self.shots is None else _shots(_passages(self.shots)),
            population=None if self.population is None else _passages(self.population),
            frequencies=frequencies,
            neighbours=self.neighbours,
            writer=None if self.neighbour_model is None else _MaskedWriter(self.neighbour_model, self.seed),
            seed=self.seed,
        )

    def refuse_scored(self, inputs: Inputs) -> None:
        """Raises `PassageError` where a passage that is scored also helps to score: its score would know its label."""
        sources = [_passages(source) for source in (self.shots, self.population) if source is not None]
        helping = {hashlib.sha256(passage.text.encode()).digest(): passage for source in sources for passage in source}
        for passage in inputs if helping else ():
            twin = helping.get(hashlib.sha256(passage.text.encode()).digest())
            if twin is not None:
                raise PassageError(twin.where, f"is scored too ({passage.where}): remove one of the two")


def _passages(source: Passages | str | Path) -> Passages:
    return source if isinstance(source, Passages) else read_passages(source)


def _shots(source: Passages) -> Mapping[int, str]:
    """The texts of each label, end to end, a line each; without labels all are non-members."""
    passages = list(source)
    if not passages:
        raise PassageError(source.name, "holds no passage to put before others")
    labelled = any(passage.label is not None for passage in passages)
    texts: dict[int, list[str]] = {}
    for passage in passages:
        if labelled and passage.label is None:
            raise PassageError(passage.where, "has no label, others have: give 1 to members and 0 to non-members")
        texts.setdefault(passage.label or NONMEMBER, []).append(passage.text)
    return {label: "".join(f"{text}\n" for text in of_label) for label, of_label in texts.items()}


class _MaskedWriter:
    """Versions of texts by a masked language model, which is loaded when the first version is needed."""

    def __init__(self, model: ModelSpec, seed: int) -> None:
        self._model, self._seed = model, seed
        self._loaded: Rewriter | None = None

    def __call__(self, number: int, texts: Sequence[str]) -> Sequence[str]:
        return self._rewriter().rewrite(texts, number)

    def sha256(self) -> str | None:
        """Digest of the model's files. A model that is not on this machine is fetched: a later run would find it."""
        digest = self._model.sha256()
        if digest is None:
            self._rewriter()
            digest = self._model.sha256()
        return digest

    def _rewriter(self) -> Rewriter:
        if self._loaded is None:
            self._loaded = load_rewriter(self._model, seed=self._seed)
        return self._loaded
