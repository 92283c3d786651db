"""The records of a set of shadow models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..records import SCHEMA_VERSION, Interval
from ..training import Recipe

__all__ = ["ShadowRecord", "ShadowsPlan", "ShadowsRecord"]


@dataclass(frozen=True, slots=True)
class ShadowsPlan:
    """What a set of shadow models is trained from: the contents of ``split.json``."""

    base: str
    """The base model, as the user named it."""
    base_revision: str | None
    """Branch, tag or commit of the base on the hub; None: the default."""
    base_sha256: str | None
    """Digest of the base model's files; None where they were not on this machine."""
    recipe: Recipe
    """Of each shadow, but for the seed: that of shadow j is 1 + j higher."""
    seed: int
    """Draws which shadow is trained on which documents."""
    pool: str
    """The pool, as the user named it."""
    pool_sha256: str
    """Digest of ids, documents and texts of the pool."""
    passages: int
    """Of the pool."""
    bytes: int
    """UTF-8 bytes of these."""
    joined: int
    """How many documents share a text with an earlier document, with which they go together."""
    inside: Mapping[str, str]
    """By document: a digit for each shadow, 1 where it is trained on the document and 0 where not."""
    trust_remote_code: bool = False
    """Whether the base needs Python code from its repository; whoever loads the models has to allow it again."""
    pre_tokenizer: str | None = None
    """Of a base that is a GGUF file: how its tokenizer cuts texts, where the user named it."""
    templated: bool = False
    """Whether the texts are in the template of the base, so special tokens that are written in them count as such."""
    schema_version: int = SCHEMA_VERSION

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the shadow models: ``shadow-00``, ``shadow-01`` and so on."""
        return tuple(f"shadow-{number:02d}" for number in range(len(next(iter(self.inside.values())))))


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """A shadow model."""

    role: str
    documents: int
    """Documents that it was trained on."""
    passages: int
    """Passages that it was trained on."""
    tokens: int
    """Tokens of these, each once."""
    cut: int
    """How many of them are longer than the model's context, where they were cut in the training."""
    loss_in: float
    """Mean loss of the documents that it was trained on, nats per token; of a document the mean over its passages, of a
    passage the mean over its tokens."""
    loss_out: float
    """The same of the other documents of the pool."""
    gap: Interval
    """`loss_out` less `loss_in`, which compares different documents. Without bounds where no spread is measured."""
    seconds: float
    """Time of its training."""


@dataclass(frozen=True, slots=True)
class ShadowsRecord:
    """A set of shadow models: the contents of ``shadows.json``."""

    plan: ShadowsPlan
    shadows: tuple[ShadowRecord, ...]
    gap: Interval
    """How much membership shows: the loss of a document under the shadows that were not trained on it, less that under
    the shadows that were, nats per token; the mean over the documents."""
    spread_in: float
    """Standard deviation of the mean log-likelihood of a passage between the shadows that were trained on it, pooled
    over the passages, nats per token."""
    spread_out: float
    """The same between the shadows that were not trained on it."""
    unscored: int
    """Passages without a token that can be scored."""
    dtype: str
    """Precision in which signals are computed."""
    schema_version: int = SCHEMA_VERSION
