"""Every defence of the outputs: what it shows of a model's next-token distribution, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..records import FIELDS, TokenSignals
from ..settings import Numbers, Words
from ._masking import add_noise, hide_all, hide_outside_top, keep_all, round_to_digits
from ._settings import Given, Setting

__all__ = ["OUTPUT_DEFENSES", "TEMPERATURE", "OutputDefenseKind"]

PLAIN = frozenset({"logprob", "top", "rank"})
"""What an API gives that names the likeliest tokens: `rank` as far as it follows from them."""
NOTHING: frozenset[str] = frozenset()
TEXT = frozenset({"rank"})
"""What text shows that a model writes at temperature 0, a token for each query: whether a token is its first choice."""
EACH, ONE = "each", "one"
COUNT = Numbers(1, 1_000_000, whole=True)
Masking: TypeAlias = Callable[..., TokenSignals]
"""Signals → what is shown of their log-probabilities; takes the settings and ``text_seed`` by keyword."""


@dataclass(frozen=True, slots=True)
class OutputDefenseKind:
    """A defence of the outputs, whatever its settings."""

    name: str
    mask: Masking
    offers: Callable[[Given], frozenset[str]]
    """Returns the fields of the signals that remain."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    listed: Callable[[Given], int] | None = None
    """Returns how many of the likeliest tokens are named at each position; None: the whole distribution is shown."""
    hides: bool = False
    """Whether single tokens may lack a log-probability where others have one."""
    wears_off: bool = False
    """Whether more queries about the same text than are measured show more: an attacker averages over them."""
    reads: frozenset[str] = frozenset({"logprob"})
    """The fields of the signals that the mask reads."""


def _offers(fields: frozenset[str]) -> Callable[[Given], frozenset[str]]:
    return lambda _: fields


def _offers_to_patience(fields: frozenset[str]) -> Callable[[Given], frozenset[str]]:
    """*fields* where the attacker may send a query for each token; nothing about a given text where not."""
    return lambda settings: fields if settings["queries"] == EACH else NOTHING


def _one_listed(_: Given) -> int:
    return 1


def _k_listed(settings: Given) -> int:
    return int(settings["k"] or 0)


TEMPERATURE = "temperature"
RANKED = frozenset({"logprob", "rank"})
OUTPUT_DEFENSES: Mapping[str, OutputDefenseKind] = {
    kind.name: kind
    for kind in (
        OutputDefenseKind("none", keep_all, _offers(frozenset(FIELDS))),
        OutputDefenseKind(
            "logprobs_only",
            keep_all,
            _offers(PLAIN),
            listed=_one_listed,
        ),
        OutputDefenseKind(
            "top_k",
            hide_outside_top,
            _offers(PLAIN),
            {"k": Setting(5, COUNT)},
            listed=_k_listed,
            hides=True,
            reads=RANKED | {"top"},
        ),
        OutputDefenseKind(
            "rounding",
            round_to_digits,
            _offers(PLAIN),
            {"d": Setting(2, Numbers(0, 6, whole=True))},
            listed=_one_listed,
        ),
        OutputDefenseKind(
            "noise",
            add_noise,
            _offers(PLAIN),
            {
                "sd": Setting(0.5, Numbers(0, 100)),
                "kind": Setting("gaussian", Words(("gaussian", "laplace"))),
                "seed": Setting(0, Numbers(0, 2**32 - 1, whole=True)),
            },
            listed=_one_listed,
            wears_off=True,
            reads=RANKED,
        ),
        OutputDefenseKind(
            TEMPERATURE,
            keep_all,
            _offers(frozenset(FIELDS)),
            {"t": Setting(2.0, Numbers(0.01, 100))},
        ),
        OutputDefenseKind(
            "no_prompt_logprobs",
            hide_outside_top,
            _offers_to_patience(PLAIN),
            {"k": Setting(1, COUNT), "queries": Setting(EACH, Words((EACH, ONE)))},
            listed=_k_listed,
            hides=True,
            reads=RANKED | {"top"},
        ),
        OutputDefenseKind(
            "sampled_text",
            hide_all,
            _offers_to_patience(TEXT),
            {"queries": Setting(EACH, Words((EACH, ONE)))},
            listed=_one_listed,
            wears_off=True,
            reads=RANKED,
        ),
    )
}
"""Every defence of the outputs by name."""
