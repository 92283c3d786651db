"""What the user gives to attacks besides models and passages: shots, a population, token frequencies, shadows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import backends
from ..attacks import NONMEMBER, LoadedSupplies, SampleSettings, ShadowSet
from ..errors import PassageError, UsageError
from ..passages import Passages, read_passages
from ..records import TokenFrequencies
from ..store import read_frequencies

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
    neighbour_model: backends.ModelSpec | None = None
    """A masked language model that writes the neighbours; None: words are dropped and swapped."""
    seed: int = 0
    """Draws the rewritten versions, and the continuations."""
    samples: int | None = None
    """How many texts the target continues the beginning of each passage with; None: none. Each is a request."""
    sample_tokens: int = 64
    """Most tokens of a continuation; best about as many as the rest of a passage has."""
    prefix_share: float = 0.5
    """Share of the passage's words that the target continues."""
    sample_temperature: float = 1.0
    """Divides the logits of the target when it continues a passage."""
    shadows: ShadowSet | None = None
    """What the shadow models were trained on; the models themselves are given by role."""

    def load(self, roles: Iterable[str] = ("target",)) -> LoadedSupplies:
        """The supplies with their files read, for a run with models in these *roles*.

        Raises:
            PassageError: a file of passages cannot be read.
            UsageError: fewer than 1 neighbour or continuation, or no model for a role of *shadows*.
            InputError: the token frequencies cannot be read.
        """
        if self.neighbours < 1:
            raise UsageError(f"`neighbours` is {self.neighbours}: it must be at least 1")
        samples, roles = self._sample_settings(), tuple(roles)
        missing = [role for role in self.shadows.roles if role not in roles] if self.shadows else []
        if missing:
            raise UsageError(f"`shadows` are of models that `models` lacks: give {', '.join(missing)} there, too")
        shots = None if self.shots is None else _as_passages(self.shots)
        population = None if self.population is None else _as_passages(self.population)
        frequencies, model = self.frequencies, self.neighbour_model
        return LoadedSupplies(
            roles=roles,
            shots={} if shots is None else _shots(shots),
            population=population,
            frequencies=read_frequencies(frequencies) if isinstance(frequencies, str | Path) else frequencies,
            neighbours=self.neighbours,
            neighbour_writer=None if model is None else _MaskedNeighbourWriter(model, self.seed),
            seed=self.seed,
            samples=samples,
            shadows=self.shadows,
            not_scored=tuple(source for source in (shots, population) if source is not None),
        )

    def _sample_settings(self) -> SampleSettings | None:
        for name in ("samples", "sample_tokens"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise UsageError(f"`{name}` is {number}: it must be at least 1")
        if not 0 < self.prefix_share < 1:
            raise UsageError(f"`prefix_share` is {self.prefix_share:g}: it must be between 0 and 1")
        if not 0 < self.sample_temperature < math.inf:
            raise UsageError(f"`sample_temperature` is {self.sample_temperature:g}: it must be a number above 0")
        if self.samples is None:
            return None
        return SampleSettings(self.samples, self.sample_tokens, self.prefix_share, self.sample_temperature, self.seed)


def _as_passages(source: Passages | str | Path) -> Passages:
    return source if isinstance(source, Passages) else read_passages(source)


def _shots(source: Passages) -> Mapping[int, str]:
    """By label: the texts, a line for each, joined; where no passage has a label, all are non-members."""
    passages = list(source)
    if not passages:
        raise PassageError(source.name, "holds no passage: `shots` needs at least 1")
    labelled = any(passage.label is not None for passage in passages)
    texts: dict[int, list[str]] = {}
    for passage in passages:
        if labelled and passage.label is None:
            raise PassageError(
                passage.where, "has no label, but other shots have: give 1 to members and 0 to non-members"
            )
        texts.setdefault(passage.label or NONMEMBER, []).append(passage.text)
    return {label: "".join(f"{text}\n" for text in of_label) for label, of_label in texts.items()}


class _MaskedNeighbourWriter:
    """Neighbours by a masked language model, which is loaded when the first of them is needed."""

    def __init__(self, model: backends.ModelSpec, seed: int) -> None:
        self._model, self._seed = model, seed
        self._loaded: backends.Rewriter | None = None

    def __call__(self, number: int, texts: Sequence[str]) -> Sequence[str]:
        return self._rewriter().rewrite(texts, number)

    def sha256(self) -> str | None:
        """Digest of the model's files. A model that is not on this machine is fetched first.

        A later run would have the files, and so another record of the same pass, if this run recorded no digest.
        """
        digest = self._model.sha256()
        if digest is None:
            self._rewriter()
            digest = self._model.sha256()
        return digest

    def _rewriter(self) -> backends.Rewriter:
        if self._loaded is None:
            self._loaded = backends.load_rewriter(self._model, seed=self._seed)
        return self._loaded
