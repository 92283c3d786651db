"""What of an extraction is chance: the reference model, and known non-members of like length."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from rich.console import Console

from llm_mia import ModelSpec, Passages, extract
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import ModelError, UsageError
from llm_mia.extraction import (
    Band,
    Extraction,
    read_extraction,
    span_p_value,
    text_log_probabilities,
)
from llm_mia.report import extraction_screen, extraction_summary, extraction_table
from llm_mia.report.words import Outcome, extraction_answer
from llm_mia.signals import SharedPass, sharing
from llm_mia.store import read_signals

from .test_pieces import DEADLY, ByCrew, DyingCrew

pytestmark = pytest.mark.precision

N, P = 6, 0.1
"""Tokens of a stretch, and the least probability: less than 0.9⁶, and more than that of any unknown letter."""


def rendered(result: Any, width: int) -> str:
    """What a terminal of *width* columns shows."""
    screen = io.StringIO()
    Console(file=screen, width=width, highlight=False, emoji=False).print(result)
    return screen.getvalue()


class Letters(FakeBackend):
    """A bigram model of bytes that knows texts by heart: what follows a letter in them has the probability 0.9."""

    vocabulary = 257

    def __init__(self, name: str, *known: str) -> None:
        super().__init__(0)
        self.info = replace(self.info, id=name, weights_sha256=name)
        self.fingerprint = self.info.tokenizer
        self._logprob[:] = math.log(1e-3)
        self._rank[:] = 1
        for text in known:
            for before, after in pairwise(text.encode()):
                self._logprob[before, after] = math.log(0.9)
                self._rank[before, after] = 0

    def spans(self, text: str) -> NDArray[np.int64]:
        return np.array([(at, at + 1) for at in range(len(text))], dtype=np.int64).reshape(-1, 2)


class Pairs(Letters):
    """The same, but a token is a pair of letters; it is as probable as its second letter after its first."""

    vocabulary = 1 << 16

    def __init__(self, name: str, *known: str) -> None:
        super().__init__(name, *known)
        self.fingerprint = "pairs"
        self.info = replace(self.info, tokenizer="pairs")

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        def pairs(text: str) -> list[int]:
            return [int.from_bytes(text[at : at + 2].encode(), "big") for at in range(0, len(text), 2)]

        return [np.array(pairs(text), dtype=np.int32) for text in texts]

    def spans(self, text: str) -> NDArray[np.int64]:
        return np.array([(at, min(at + 2, len(text))) for at in range(0, len(text), 2)], dtype=np.int64)

    def _score_window(self, window: Any, prefix: Any) -> Any:
        scored = window.tokens[window.first_scored :]
        signals = super()._score_window(replace(window, tokens=window.tokens % 256), None)
        return replace(
            signals,
            token_ids=scored,
            logprob=self._logprob[scored // 256, scored % 256].astype(np.float32),
            tokenizer="pairs",
        )


LICENCE, BOOK, OTHER = "abcdefghijklmnop", "ABCDEFGHIJKLMNOP", "?.!/;:,-+*()&%$#"
TEXTS = [
    {"id": "licence", "text": LICENCE},
    {"id": "book", "text": BOOK},
    {"id": "both", "text": f"{LICENCE}{OTHER}{BOOK}"},
    {"id": "other", "text": OTHER},
]
TARGET = Letters("target", LICENCE, BOOK)
RULE: dict[str, Any] = {"stretch": N, "probability": P}


def of_texts(out: Path, reference: Any = None, **options: Any) -> Extraction:
    return extract(Passages.of(TEXTS), TARGET, reference=reference, out=out, **RULE, **options)


def test_what_the_reference_writes_too_does_not_count(tmp_path: Path) -> None:
    """By hand: the model writes both texts, 15 of 16 letters each; the reference knows the licence only."""
    result = of_texts(tmp_path / "run", Letters("reference", LICENCE))
    by_id = {(span.id, span.text): span for span in result.spans}
    assert set(by_id) == {("licence", LICENCE[1:]), ("book", BOOK[1:]), ("both", LICENCE[1:]), ("both", BOOK[1:])}
    for (_, text), span in by_id.items():
        assert span.reference is not None
        assert span.likeliest.log_probability == pytest.approx(N * math.log(0.9))
        known = text == LICENCE[1:]
        expected = N * math.log(0.9 if known else 1e-3)
        assert span.reference.log_probability == span.reference.log_probability_high == pytest.approx(expected)
        assert span.reference.ratio == pytest.approx(1.0 if known else 900.0**N)
        assert (span.reference.writes_too, span.counts, span.reference.bytes_shared) == (known, not known, 15 * known)
    totals, documents = result.totals, {document.document: document for document in result.documents}
    assert (totals.spans, totals.spans_shared, totals.documents_with_spans, totals.longest) == (2, 2, 2, 15)
    assert (totals.bytes, totals.bytes_covered, totals.bytes_counted) == (96, 60, 30)
    assert totals.share == 30 / 96
    assert (documents["both"].spans, documents["both"].spans_counted) == (2, 1)
    assert (documents["both"].bytes_covered, documents["both"].bytes_counted) == (30, 15)
    assert (documents["both"].share, documents["licence"].share, documents["licence"].longest_span) == (15 / 48, 0, 0)
    assert read_extraction(tmp_path / "run") == result
    assert result.reference is not None
    assert (result.reference.model.id, result.reference.same_tokens) == ("reference", True)


def test_a_part_of_a_span_that_the_reference_writes_too(tmp_path: Path) -> None:
    """It knows 7 letters of the 15: one stretch of 6. That is less than half, so the span counts, without it."""
    result = of_texts(tmp_path / "run", Letters("reference", BOOK[:7]))
    span = next(span for span in result.spans if span.id == "book")
    assert span.reference is not None
    assert (span.counts, span.bytes, span.reference.bytes_shared, span.bytes_counted) == (True, 15, 6, 9)
    more = of_texts(tmp_path / "more", Letters("reference", BOOK[:9]))
    span = next(span for span in more.spans if span.id == "book")
    assert span.reference is not None
    assert (span.counts, span.reference.bytes_shared, span.bytes_counted) == (False, 8, 0), "8 of 15 are at least half"


def test_a_span_of_a_known_nonmember_counts_for_no_text_in_question(tmp_path: Path) -> None:
    """A document that holds both kinds is in neither: its span lies in the passage that was not trained on."""
    rows = [
        {"id": "known", "text": BOOK, "document": "mixed", "label": 0},
        {"id": "new", "text": OTHER, "document": "mixed"},
    ]
    rows += [{"id": f"n{at}", "text": OTHER, "document": f"n{at}", "label": 0} for at in range(19)]
    result = extract(Passages.of([*rows, {"id": "alone", "text": OTHER}]), TARGET, out=tmp_path / "run", **RULE)
    assert (result.totals.documents, result.totals.documents_with_spans) == (2, 0)
    known = result.nonmembers
    assert known is not None
    assert (known.documents, known.with_spans) == (19, 0)
    assert known.like is not None
    assert (known.like.documents, known.like.with_spans, known.like.p_value) == (1, 0, 1.0)


def test_the_reference_joins_a_finished_run(tmp_path: Path) -> None:
    without = of_texts(tmp_path / "run")
    assert without.reference is None
    assert all(span.reference is None and span.counts for span in without.spans)
    target = {path: path.read_bytes() for path in (tmp_path / "run/signals/target").iterdir()}
    reference = Letters("reference", LICENCE)
    joined = of_texts(tmp_path / "run", reference)
    assert target == {path: path.read_bytes() for path in (tmp_path / "run/signals/target").iterdir()}
    assert len(list(read_signals(tmp_path / "run", "reference"))) == len(TEXTS)
    assert replace(joined, path=Path()) == replace(of_texts(tmp_path / "other", reference), path=Path())
    with pytest.raises(UsageError, match="the reference model is the target model itself"):
        of_texts(tmp_path / "run", TARGET)


def test_another_tokenizer_gives_bounds_on_the_same_text(tmp_path: Path) -> None:
    """By hand: the reference writes "ab", "cd", …: a stretch of 6 letters from an odd place covers 4 pairs, holds 2."""
    result = of_texts(tmp_path / "run", Pairs("reference", LICENCE))
    assert result.reference is not None
    assert not result.reference.same_tokens
    assert [note.kind for note in result.notes if note.kind == "other tokens"]
    span = next(span for span in result.spans if span.id == "book")
    assert span.likeliest.start_token == 1
    assert span.reference is not None
    assert span.reference.log_probability == -math.inf, (
        "its first token has no probability, because nothing precedes it"
    )
    assert span.reference.log_probability_high == pytest.approx(2 * math.log(1e-3))
    span = next(span for span in result.spans if (span.id, span.text) == ("both", BOOK[1:]))
    assert (span.likeliest.start_token, span.start_token) == (33, 33)
    assert span.reference is not None
    assert span.reference.log_probability == pytest.approx(4 * math.log(1e-3))
    assert span.reference.log_probability_high == pytest.approx(2 * math.log(1e-3))
    assert [span.text for span in result.spans if span.counts] == [BOOK[1:], BOOK[1:]]


@pytest.mark.parametrize("kind", [Letters, Pairs])
@pytest.mark.parametrize("role", ["target", "reference"])
def test_a_passage_that_a_pass_left_out_is_named_and_the_others_are_searched(
    kind: type[Letters], role: str, tmp_path: Path
) -> None:
    class OfRole(ByCrew):
        def complete(self, work: SharedPass) -> None:
            assert isinstance(work.source, Letters)
            self.crew = DyingCrew(work.source, deadly=BOOK if work.name == role else DEADLY)
            super().complete(work)

    with sharing(OfRole(DyingCrew(TARGET))):
        result = of_texts(tmp_path / "run", kind("reference"))
    spans = [(each.id, each.counts) for each in result.spans]
    others = [("licence", True), ("both", True), ("both", True)]
    # Whether the reference writes it is not known, so it does not count.
    assert spans == [*others[:1], *([("book", False)] if role == "reference" else []), *others[1:]]
    (note,) = (each for each in result.input_notes if "has no signals" in each)
    assert f"of the pass {role}" in note


def test_a_reference_without_places_is_refused(tmp_path: Path) -> None:
    class Other(FakeBackend):
        def __init__(self) -> None:
            super().__init__(0)
            self.info = replace(self.info, id="nameless", weights_sha256="o", tokenizer="o")

    with pytest.raises(ModelError, match="'nameless' does not report the position of each token"):
        of_texts(tmp_path / "run", Other())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.floats(-9, 0)), min_size=1, max_size=20), st.data())
def test_the_bounds_of_a_text_by_plain_loops(tokens: list[tuple[int, float]], data: st.DataObject) -> None:
    ends = np.cumsum([length for length, _ in tokens])
    logs = np.array([log for _, log in tokens])
    start = data.draw(st.integers(0, int(ends[-1]) - 1))
    stop = data.draw(st.integers(start + 1, int(ends[-1])))
    begins = [0, *ends[:-1]]
    covering = sum(log for log, a, b in zip(logs, begins, ends, strict=True) if b > start and a < stop)
    inside = sum(log for log, a, b in zip(logs, begins, ends, strict=True) if a >= start and b <= stop)
    low, high = text_log_probabilities(logs, logs, ends, np.array([start]), np.array([stop]))
    assert low[0] == pytest.approx(covering, abs=1e-9)
    assert high[0] == pytest.approx(inside, abs=1e-9)


@pytest.mark.parametrize("target", ["tiny", "tiny_bos"])
def test_real_tokenizers(target: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The bytes of a reference fit into any text, so both bounds are the sum over the bytes of the stretch."""
    text = "The old miller opens both gates at noon, and the river remembers."
    model = ModelSpec(request.getfixturevalue(target), dtype="float32")
    reference = Letters("reference", text)
    result = extract(
        Passages.of([text]), model, reference=reference, out=tmp_path / "run", stretch=3, probability=1e-30
    )
    assert result.spans
    ends = [0, *model.tokenizer().spans(text)[:, 1]]
    for span in result.spans:
        start = span.likeliest.start_token
        raw = text[: ends[start + 3]].encode()
        plain = sum(reference._logprob[a, b] for a, b in list(pairwise(raw))[ends[start] - 1 :])
        assert span.reference is not None
        assert span.reference.log_probability == pytest.approx(plain, abs=1e-4)
        assert span.reference.log_probability_high == pytest.approx(plain, abs=1e-4)


# -- known non-members ------------------------------------------------------------------------------------------------


def test_documents_are_compared_with_known_nonmembers_of_like_length(tmp_path: Path) -> None:
    """By hand: two documents of 16 letters, 10 stretches. Longer and shorter ones are left out."""
    known = [*(OTHER[at:] + OTHER[:at] for at in range(8)), BOOK + OTHER, OTHER * 2, OTHER[:8]]
    result = extract(Passages.of([BOOK, OTHER + "x"]), TARGET, nonmembers=known, out=tmp_path / "run", **RULE)
    assert result.nonmembers is not None
    assert (result.nonmembers.documents, result.nonmembers.with_spans) == (11, 1)
    assert (result.nonmembers.least, result.nonmembers.most) == (2, 26)
    like = result.nonmembers.like
    assert like is not None
    assert (like.documents, like.with_spans, like.nonmembers, like.nonmembers_with_spans) == (2, 1, 8, 0)
    assert like.bound == pytest.approx(1 - 0.05 ** (1 / 8))
    assert like.p_value == pytest.approx(2 / 10), "the document with a span is one of 10, and 2 are in question"
    assert not like.beyond_chance
    assert (result.totals.documents, result.totals.bytes) == (2, 33), "known non-members are not in question"
    short = extract(Passages.of([BOOK]), TARGET, nonmembers=[OTHER[:8]], out=tmp_path / "short", **RULE)
    assert short.nonmembers is not None
    assert short.nonmembers.like is None


def test_rows_of_two_files_that_have_the_same_number_are_two_documents(tmp_path: Path) -> None:
    member, known = ([{"id": "1", "text": text, "label": label}] for text, label in ((BOOK, 1), (OTHER, 0)))
    result = extract(member, TARGET, nonmembers=known, out=tmp_path / "run", **RULE)
    assert [(each.document, each.label) for each in result.documents] == [("1", 1), ("1 (non-member)", 0)]
    assert result.nonmembers is not None
    assert result.nonmembers.documents == 1


def test_a_p_value_by_enumeration() -> None:
    """Oracle: every way to choose which documents have spans."""
    from itertools import combinations

    bands = [Band(3, 2, 4, 1), Band(2, 1, 3, 1)]
    ways = [
        [sum(at < band.documents for at in chosen) for chosen in combinations(range(sum(band[::2])), sum(band[1::2]))]
        for band in bands
    ]
    sums = [a + b for a in ways[0] for b in ways[1]]
    assert span_p_value(bands) == pytest.approx(np.mean([total >= 3 for total in sums]))
    assert span_p_value([Band(1, 0, 5, 2)]) == pytest.approx(1)


# -- what people read -------------------------------------------------------------------------------------------------


def answers(tmp_path: Path) -> dict[str, Extraction]:
    reference, many = Letters("reference", LICENCE), [f"{OTHER[at:]}{OTHER[:at]}" for at in range(16)] * 2
    known = [text + str(at) for at, text in enumerate(many)]
    book = [{"id": "b", "text": BOOK}]

    def of(name: str, texts: Any = book, **options: Any) -> Extraction:
        return extract(Passages.of(texts), TARGET, out=tmp_path / name, **RULE, **options)

    return {
        "all": of("all", reference=reference, nonmembers=known),
        "no reference": of("no reference", nonmembers=known),
        "no non-members": of("no non-members", reference=reference),
        "neither": of("neither"),
        "few": of("few", reference=reference, nonmembers=known[:5]),
        "other length": of("other length", reference=reference, nonmembers=[OTHER[:9]]),
        "none": of("none", [{"id": "o", "text": OTHER}], reference=reference, nonmembers=known),
        "shared": of("shared", [{"id": "l", "text": LICENCE}], reference=reference),
        "known only": of("known only", [{"id": "l", "text": LICENCE, "label": 0}]),
    }


def test_the_answer_on_one_screen(tmp_path: Path) -> None:
    expected = {
        "all": (Outcome.FINDING, "It writes 94 % of the text word for word (longest span: 15 tokens)."),
        "no reference": (Outcome.DOUBTFUL, "but no reference model shows how much of it any model would write"),
        "no non-members": (Outcome.DOUBTFUL, "but no known non-member of like length shows"),
        "neither": (Outcome.DOUBTFUL, "but nothing shows how much of it any model would write"),
        "few": (Outcome.DOUBTFUL, "but known non-members do not show that this is more than chance"),
        "other length": (Outcome.DOUBTFUL, "but no known non-member of like length shows"),
        "none": (Outcome.NO_FINDING, "It writes none of them: no stretch of 6 tokens has probability 0.1 or more."),
        "shared": (Outcome.NO_FINDING, "nothing word for word that the reference model does not write too"),
        "known only": (Outcome.NO_FINDING, "Every text is known not to be in the training data"),
    }
    results = answers(tmp_path)
    assert results.keys() == expected.keys()
    for name, (outcome, sentence) in expected.items():
        answer = extraction_answer(results[name])
        assert (answer.outcome, sentence in answer.headline) == (outcome, True), name
        lines = rendered(extraction_screen(replace(results[name], path=Path("run"))), width=80).splitlines()
        assert len(lines) <= 15, name
        assert max(len(line.rstrip()) for line in lines) <= 80, name
        assert "llm-mia show run/ --details" in lines[-1]
        assert extraction_summary(results[name])["answer"]["headline"] == answer.headline
        assert "evidence that the model has memorised" not in answer.headline
    finding = extraction_answer(results["all"])
    assert finding.error_rate == "Of known non-members of like length, 0 of 32 have spans; here 1 of 1 (p = 0.03)."
    assert dict(finding.facts)["reference"] == "reference writes none of these spans"
    details = " ".join(rendered(extraction_table(results["shared"]), width=4000).split())
    assert "The reference model writes every span too, so no span is evidence" in details
    assert "under the reference 0.531 (the reference model writes it too, so it does not count)" in details
