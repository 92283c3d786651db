"""The fifth section: every candidate with its figures and, token by token, what the models make of its text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ...auditing import Audit
from ...decision import Flag, calibration_part
from ...extraction import greedy_runs
from ...metrics import percentiles
from ...perplexities import perplexity_of
from ...records import TokenSignals, target_pass
from ...scores import ScoreTable
from ...store import StoredText
from .._results import Results
from ..extractable import ExtractableSpan, window_edges
from ..words import passages as words
from ._documents import document_index
from ._templates import render
from .block import PER_CHUNK, Steps, Tokens, encode_tokens, packed, utf16_lengths

__all__ = ["MOST_PASSAGES", "passages_section"]

MOST_PASSAGES = 10_000
MOST_SCORES = 60_000
"""Scores that the page holds of all passages together."""
FEWEST_ATTACKS = 8
"""Whose scores the page holds, however many passages there are."""
LEAST_RUN = 5
"""Tokens of a run of first choices that is marked."""

Floats = NDArray[np.float64]


def passages_section(results: Results, *, most: int = MOST_PASSAGES) -> Markup:
    """The section in HTML, with the block of data that ``page.js`` reads; every text in it is escaped.

    Args:
        results: of the audit.
        most: candidates that the page lists: those that are flagged, and then those with the highest scores.
    """
    audit, shown = results.audit, _shown(results, most)
    attacks = _attacks(audit, results.scores, len(shown))
    return render(
        "passages.html",
        notes=words.passages_words(len(shown), len(audit.flags.rows), len(attacks), len(results.scores.columns)),
        no_texts="" if results.texts else words.no_texts_words(redacted=results.redact),
        no_signals="" if results.keeps_signals else words.no_signals_words(results.run.kept_signals),
        rounded=words.rounded_words(_steps(results).logprob) if results.texts else "",
        figures=words.figures_words(audit.flags),
        placed=words.placed_words(audit.calibration.split, shadows=audit.shadows is not None),
        count=len(shown),
        run=LEAST_RUN,
        # The alphabet of base64 has no character that HTML reads as markup.
        block=Markup("\n").join(_lines(results, shown)),
    )


def _lines(results: Results, shown: Sequence[_Row]) -> Iterator[str]:
    """The lines of the block, see `block`; a line is written when it is wanted, so memory does not grow."""
    audit, table = results.audit, results.scores
    attacks = _attacks(audit, table, len(shown))
    yield packed(_json(_index(results, shown, attacks)))
    placed = _Placed.of(audit, table, attacks, shown)
    models = _Models.of(results)
    ids, steps = {row.flag.id for row in shown}, _steps(results)
    texts = (each for each in _texts_with_signals(results, models) if each[0].id in ids)
    following = next(texts, None)
    for first in range(0, len(shown), PER_CHUNK):
        written, tokens = list[str | None](), list[Tokens]()
        for place, row in enumerate(shown[first : first + PER_CHUNK], start=first):
            facts: dict[str, Any] = placed.facts(place)
            if following is not None and following[0].id == row.flag.id:
                text, signals = following
                written.append(text.text)
                tokens.append(_tokens(text, signals, models, results.extractable.spans.get(text.id, ()), facts))
                following = next(texts, None)
            else:
                written.append(None)
                tokens.append(_no_tokens(facts, models))
        yield packed(_json(written))
        yield packed(encode_tokens(tokens, steps))


@dataclass(frozen=True, slots=True)
class _Row:
    """A candidate that is listed."""

    flag: Flag
    table_row: int


def _shown(results: Results, most: int) -> list[_Row]:
    """The candidates that the page lists, in the order of the input, in which texts and signals are stored."""
    places = results.flags.most_member_like(most)  # the audit keeps texts by the same rule
    rows = results.scores.rows(None)[places].tolist()
    return [_Row(flag, row) for flag, row in zip(results.flags.at(places), rows, strict=True)]


def _index(results: Results, shown: Sequence[_Row], attacks: Sequence[str]) -> dict[str, Any]:
    """What the page lists, by column."""
    table, models = results.scores, _Models.of(results)
    groups = table.groups()
    of_documents = document_index(results, {groups[row.table_row] for row in shown})
    numbers = {name: number for number, name in enumerate(of_documents["name"])}
    return {
        "steps": _steps(results),
        "chunk": PER_CHUNK,
        "texts": bool(results.texts),
        "difference": models.no_difference,
        "other": models.other_name,
        "attacks": attacks,
        "documents": of_documents,
        "passages": {
            "id": [row.flag.id for row in shown],
            "document": [numbers[groups[row.table_row]] for row in shown],
            "flagged": [int(row.flag.flagged) for row in shown],
            "score": [_rounded(row.flag.score) for row in shown],
            "p": [_rounded(row.flag.p_value) for row in shown],
            "q": [_rounded(row.flag.q_value) for row in shown],
        },
    }


def _steps(results: Results) -> Steps:
    return Steps.of(sum(len(text.ends) for text in results.texts if text.ends is not None))


def _attacks(audit: Audit, table: ScoreTable, shown: int) -> list[str]:
    """The attacks whose scores the page holds: the deciding one, and then those that separate the known set best."""
    aurocs = {evaluation.attack: evaluation.auroc.value for evaluation in audit.evaluations}
    others = sorted((name for name in table.columns if name != audit.decider), key=lambda name: -aurocs.get(name, 0.0))
    return [audit.decider, *others][: max(FEWEST_ATTACKS, MOST_SCORES // max(shown, 1))]


@dataclass(frozen=True, slots=True)
class _Placed:
    """The scores of the listed candidates, and where each falls among those of the known sets.

    All of shape (attacks, candidates).
    """

    scores: Floats
    members: Floats
    nonmembers: Floats

    @classmethod
    def of(cls, audit: Audit, table: ScoreTable, attacks: Sequence[str], shown: Sequence[_Row]) -> _Placed:
        known, rows = calibration_part(table, audit.calibration), [row.table_row for row in shown]
        columns = [table.column(attack)[rows] for attack in attacks]
        members, nonmembers = (
            np.stack([percentiles(column, known.column(attack)[known.rows(label)]) for attack, column in pairs])
            for label, pairs in ((label, list(zip(attacks, columns, strict=True))) for label in (1, 0))
        )
        return cls(np.stack(columns), members, nonmembers)

    def facts(self, row: int) -> dict[str, Any]:
        """Of a listed candidate, in JSON."""
        return {
            "scores": [_rounded(score) for score in self.scores[:, row].tolist()],
            "members": [_rounded(value, 3) for value in self.members[:, row].tolist()],
            "nonmembers": [_rounded(value, 3) for value in self.nonmembers[:, row].tolist()],
        }


@dataclass(frozen=True, slots=True)
class _Models:
    """The target, and the model that it is compared with."""

    other: str | None
    """The role of the other model; None where there is none."""
    other_name: str
    no_difference: str
    """Why there is no difference token by token; empty where there is."""
    results: Results

    @classmethod
    def of(cls, results: Results) -> _Models:
        passes = results.audit.passes
        other = next((role for role in ("reference", "stand-in") if role in passes), None)
        records = [target_pass(passes), *([passes[other]] if other else [])]
        name = words.role_words(other) if other else ""
        return cls(other, name, words.no_difference_words(records, other), results)

    @property
    def first(self) -> int:
        """The first token that the target scores: 1 where nothing precedes a text."""
        return 0 if target_pass(self.results.audit.passes).model.opening else 1


def _texts_with_signals(
    results: Results, models: _Models
) -> Iterator[tuple[StoredText, tuple[TokenSignals, TokenSignals | None]]]:
    """Each kept text with its signals under the target and under the other model."""
    others: Iterable[tuple[StoredText, TokenSignals] | None]
    others = results.kept_signals(models.other) if models.other else iter(lambda: None, 0)
    for (text, target), other in zip(results.kept_signals("target"), others, strict=False):
        yield text, (target, other[1] if other else None)


def _tokens(
    text: StoredText,
    signals: tuple[TokenSignals, TokenSignals | None],
    models: _Models,
    spans: Sequence[ExtractableSpan],
    facts: Mapping[str, Any],
) -> Tokens:
    """The tokens of *text*; none where their places in the text are not known."""
    target, other = signals
    n_bytes = len(text.text.encode())
    facts = {
        **facts,
        "perplexity": [_rounded(perplexity_of(each)) if each else None for each in signals],
        "per_byte": [_per_byte(each, n_bytes) for each in signals],
    }
    if text.ends is None or len(text.ends) != len(target) + models.first * bool(len(text.ends)):
        return _no_tokens(facts, models)
    first = len(text.ends) - len(target)
    runs = greedy_runs(
        target.rank, window_edges(len(target), target_pass(models.results.audit.passes)), least=LEAST_RUN
    )
    before = np.full(first, np.nan)
    comparable = other is not None and not models.no_difference
    return Tokens(
        lengths=utf16_lengths(text.text, text.ends),
        logprob=np.concatenate([before, target.logprob]),
        entropy=np.concatenate([before, -target.mean]),
        rank=np.concatenate([np.full(first, -1), target.rank]),
        reference=np.concatenate([before, other.logprob]) if other is not None and comparable else None,
        facts={
            **facts,
            "runs": [[first + run.start, first + run.start + run.length] for run in runs],
            "spans": [[span.start, span.end, _rounded(span.probability, 3)] for span in spans],
        },
    )


def _no_tokens(facts: Mapping[str, Any], models: _Models) -> Tokens:
    nothing = np.empty(0)
    reference = None if models.no_difference else nothing
    return Tokens(nothing.astype(np.int64), nothing, nothing, nothing.astype(np.int64), reference, facts)


def _per_byte(signals: TokenSignals | None, n_bytes: int) -> float | None:
    if not signals or not n_bytes:
        return None
    return _rounded(-float(signals.logprob.sum(dtype=np.float64)) / n_bytes)


def _rounded(value: float | None, digits: int = 6) -> float | None:
    """*value* with *digits* significant digits; None where it is not finite, because JSON has no such number."""
    return float(f"{value:.{digits}g}") if value is not None and math.isfinite(value) else None


def _json(data: object) -> bytes:
    # A name of a file may hold bytes that are no text; JSON writes a lone surrogate with a backslash, as Python does.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace")
