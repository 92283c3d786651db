"""The tests of published texts in an exhibit: a page, and a table of documents for each test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...records import PassRecord
from ...store import read_run
from .._digests import code_sha256
from .._published import PublishedResults
from ..words import Outcome, Section, Side, counted, side_words
from ..words.published import PublishedTest
from ._pages import page, short_name
from ._tables import csv_table

__all__ = ["passes_of", "published_page", "published_tables"]

GLOSSARY = (
    ("root", "the digest of all variants, which fixes them without showing any"),
    (
        "beacon",
        "a public number that nobody could choose or foresee; together with a secret it fixes what is published",
    ),
    ("spread", "the standard deviation of the scores of the variants of a document"),
    ("placebo", "a model that was trained on neither version of the texts"),
    (
        "control pair",
        "two versions of a text that was edited as the published texts were, and of which neither appeared",
    ),
    ("nats", "natural logarithms of probability"),
    (
        "p",
        "the probability, at most, of so strong a preference or a stronger, if the assumptions hold, by chance alone",
    ),
)
"""What a reader needs who has never seen such a page."""


def published_page(results: PublishedResults, run: Path, side: Side) -> bytes:
    """The bytes of the page of the tests in the run directory *run*."""
    tests = results.shown
    several = len(tests) > 1
    sections = [section for test in tests for section in _sections(test, side, f"{test.short}: " if several else "")]
    return page(
        "finding.html",
        "Was the model trained on the published texts? The finding",
        withheld="",
        worded=side_words(side),
        headline=tests[0].answer.headline,
        sections=sections,
        record=list(_record(results, tests, run)),
        glossary=GLOSSARY,
    )


def published_tables(results: PublishedResults) -> dict[str, bytes]:
    """A table for each test, by the name of its file: a row for each document, and for each that was left out."""
    return {
        f"{test.name}.csv": csv_table(
            [*test.columns, "Left out"],
            [
                *([*row, ""] for row in test.figures),
                *([name, *("" for _ in test.columns[1:]), reason] for name, reason in test.unused),
            ],
        )
        for test in results.shown
    }


def passes_of(results: PublishedResults) -> Mapping[str, PassRecord]:
    """The models of the tests, by the name of the pass."""
    tests = [test for test in (results.canary, results.paired) if test is not None]
    return {name: record for test in tests for name, record in test.passes.items()}


def _sections(test: PublishedTest, side: Side, prefix: str) -> list[Section]:
    """The sections, from the question to the check; both sides get the same sentences, and where there is no finding,
    the defence gets them in another order.
    """
    defends, answer = side is Side.DEFENCE, test.answer
    change = answer.change and f"What would change this: {answer.change}."
    given = Section(
        "What the search gave" if defends else "The answer",
        tuple(filter(None, (answer.headline, answer.error_rate, change))),
        tuple(test.numbers),
    )
    question = Section("What was looked for" if defends else "What was asked", (answer.question,))
    absent = Section("What was not found" if defends else "What this does not show", points=tuple(test.not_shown))
    rests = Section("What it rests on", points=tuple(test.assumed))
    overturn = Section("What would overturn it", points=tuple(test.overturn))
    left_out = Section("Left out", facts=tuple(test.unused))
    check = Section("How the other side checks it", (test.handed_over,), (*test.record, *test.checks))
    first = [absent, given] if defends and answer.outcome is Outcome.NO_FINDING else [given, absent]
    ordered = [question, *first, rests, overturn, left_out, check]
    return [
        Section(f"{prefix}{each.title}", each.paragraphs, each.facts, each.points)
        for each in ordered
        if each.paragraphs or each.facts or each.points
    ]


def _record(results: PublishedResults, tests: Sequence[PublishedTest], run: Path) -> Iterator[tuple[str, str, str]]:
    """Who, what and when: a name, a sentence, and the SHA-256 that identifies it."""
    for role, record in passes_of(results).items():
        yield f"{role} model", f"{short_name(record.model.id)}, weights", record.model.weights_sha256
    recorded = read_run(run)
    for source in recorded.inputs:
        yield "texts", f"{short_name(source.name)}, {counted(source.passages, 'passage')}", source.sha256
    yield "documents", f"listed in {' and '.join(f'{test.name}.csv' for test in tests)}", ""
    yield "computed by", ", ".join(f"{name} {version}" for name, version in recorded.versions.items()), ""
    yield "written by", "the code of llm_mia with the digest", code_sha256()
