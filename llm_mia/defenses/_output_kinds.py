"""Every defence of the outputs: what it shows of a model's next-token distribution, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..records import FIELDS, TokenSignals
from ._masking import add_noise, hide_all, hide_outside_top, keep_all, round_to_digits
from ._results import Setting

__all__ = ["OUTPUT_DEFENSES", "TEMPERATURE", "OutputDefenseKind", "Settings"]

PLAIN = frozenset({"logprob", "top", "rank"})
"""What an API gives that names the likeliest tokens: `rank` as far as it follows from them."""
NOTHING: frozenset[str] = frozenset()
TEXT = frozenset({"rank"})
"""What text shows that a model writes at temperature 0, a token for each query: whether a token is its first choice."""
EACH, ONE = "each", "one"
QUERIES = (EACH, ONE)
Settings: TypeAlias = Mapping[str, Setting]
Masking: TypeAlias = Callable[..., TokenSignals]
"""Signals → what is shown of their log-probabilities; takes the settings and ``text_seed`` by keyword."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers that a setting may have."""

    default: int | float
    low: float
    high: float

    def parse(self, value: str) -> Setting | None:
        """The number that *value* writes; None where it is out of range, or no number of this kind."""
        try:
            number: int | float = type(self.default)(value)
        except ValueError:
            return None
        return number if self.low <= number <= self.high else None

    def __str__(self) -> str:
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Words:
    """The words that a setting may have, the default first."""

    choices: tuple[str, ...]

    @property
    def default(self) -> str:
        """The first of them."""
        return self.choices[0]

    def parse(self, value: str) -> Setting | None:
        """*value* where it is among them, else None."""
        return value if value in self.choices else None

    def __str__(self) -> str:
        return " or ".join(self.choices)


@dataclass(frozen=True, slots=True)
class OutputDefenseKind:
    """A defence of the outputs, whatever its settings."""

    name: str
    summary: str
    """A sentence for people."""
    mask: Masking
    offers: Callable[[Settings], frozenset[str]]
    """Returns the fields of the signals that remain."""
    settings: Mapping[str, Numbers | Words] = field(default_factory=dict)
    listed: Callable[[Settings], int] | None = None
    """Returns how many of the likeliest tokens are named at each position; None: the whole distribution is shown."""
    hides: bool = False
    """Whether single tokens may lack a log-probability where others have one."""
    reads: frozenset[str] = frozenset({"logprob"})
    """The fields of the signals that the mask reads."""


def _offers(fields: frozenset[str]) -> Callable[[Settings], frozenset[str]]:
    return lambda _: fields


def _offers_to_patience(fields: frozenset[str]) -> Callable[[Settings], frozenset[str]]:
    """*fields* where the attacker may send a query for each token; nothing about a given text where not."""
    return lambda settings: fields if settings["queries"] == EACH else NOTHING


def _one_listed(_: Settings) -> int:
    return 1


def _k_listed(settings: Settings) -> int:
    return int(settings["k"])


TEMPERATURE = "temperature"
RANKED = frozenset({"logprob", "rank"})
OUTPUT_DEFENSES: Mapping[str, OutputDefenseKind] = {
    kind.name: kind
    for kind in (
        OutputDefenseKind("none", "The whole next-token distribution is shown.", keep_all, _offers(frozenset(FIELDS))),
        OutputDefenseKind(
            "logprobs_only",
            "The log-probabilities of the token and of the likeliest token are shown.",
            keep_all,
            _offers(PLAIN),
            listed=_one_listed,
        ),
        OutputDefenseKind(
            "top_k",
            "The log-probabilities of the k likeliest tokens are shown.",
            hide_outside_top,
            _offers(PLAIN),
            {"k": Numbers(5, 1, 1_000_000)},
            listed=_k_listed,
            hides=True,
            reads=RANKED | {"top"},
        ),
        OutputDefenseKind(
            "rounding",
            "The log-probabilities of the token and of the likeliest token are shown, rounded to d digits.",
            round_to_digits,
            _offers(PLAIN),
            {"d": Numbers(2, 0, 6)},
            listed=_one_listed,
        ),
        OutputDefenseKind(
            "noise",
            "The log-probabilities of the token and of the likeliest token are shown with noise, which is the same "
            "whenever the same text is sent.",
            add_noise,
            _offers(PLAIN),
            {"sd": Numbers(0.5, 0.0, 100.0), "kind": Words(("gaussian", "laplace")), "seed": Numbers(0, 0, 2**32 - 1)},
            listed=_one_listed,
            reads=RANKED,
        ),
        OutputDefenseKind(
            TEMPERATURE,
            "The whole next-token distribution is shown, at temperature t.",
            keep_all,
            _offers(frozenset(FIELDS)),
            {"t": Numbers(2.0, 0.01, 100.0)},
        ),
        OutputDefenseKind(
            "no_prompt_logprobs",
            "Log-probabilities are shown of the tokens that the model writes, with the k likeliest, and none of the "
            "tokens that are sent to it; a query for each token shows as much as top_k.",
            hide_outside_top,
            _offers_to_patience(PLAIN),
            {"k": Numbers(1, 1, 1_000_000), "queries": Words(QUERIES)},
            listed=_k_listed,
            hides=True,
            reads=RANKED | {"top"},
        ),
        OutputDefenseKind(
            "sampled_text",
            "Only text is shown; a query for each token, at temperature 0, shows whether the token is the model's "
            "first choice.",
            hide_all,
            _offers_to_patience(TEXT),
            {"queries": Words(QUERIES)},
            listed=_one_listed,
            reads=RANKED,
        ),
    )
}
"""Every defence of the outputs by name."""
