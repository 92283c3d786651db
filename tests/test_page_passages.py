"""Documents and passages of report.html: what the page holds is what the run directory holds, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm_mia import ScoreTable
from llm_mia.backends.fake import FakeBackend
from llm_mia.decision import NoPValue, calibrate, flag_documents, rank_documents
from llm_mia.metrics import percentiles
from llm_mia.perplexities import perplexity_of
from llm_mia.records import TokenSignals
from llm_mia.report import Results, read_results
from llm_mia.report.extractable import extractable_of
from llm_mia.report.html import documents_section, passages_section
from llm_mia.report.html.block import Steps, Tokens, decode_tokens, unpacked
from llm_mia.report.words import answer_of
from llm_mia.store import StoredText, remove_texts, write_texts
from tests.conftest import sentences
from tests.pages import HOSTILE, audited_run

SECRET = re.compile(r"\d+secret\d+")
"""A word of a text that nothing else holds."""


def numbers(values: Sequence[float | None]) -> list[float]:
    """NaN in place of None."""
    return [np.nan if value is None else value for value in values]


class Block:
    """The block of a section, decoded."""

    def __init__(self, section: str) -> None:
        (self.data,) = re.findall(
            r"<script id=\"passages-data\" type=\"application/octet-stream\">([^<]*)</script>", section
        )
        index, *chunks = self.data.split("\n")
        self.index: dict[str, Any] = json.loads(unpacked(index))
        self.texts: list[str | None] = [text for line in chunks[::2] for text in json.loads(unpacked(line))]
        self.tokens: list[Tokens] = [
            tokens for line in chunks[1::2] for tokens in decode_tokens(unpacked(line), Steps(*self.index["steps"]))
        ]


class Tags(HTMLParser):
    """The tags of a section, and its text."""

    def __init__(self, section: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: list[str] = []
        self.text = ""
        self.feed(str(section))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names += [name for name, _ in attributes]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of hostile and of harmless passages, more than a chunk holds; each document has two passages."""
    harmless = enumerate(sentences(73, seed=60))
    texts = dict(HOSTILE) | {f"p{number}": f"{text} {number}secret{number} word." for number, text in harmless}
    documents = [f"document {number // 2} </script><i>" for number in range(len(texts))]
    sources = [f"site{number // 20}.example" for number in range(len(texts))]
    return audited_run(tmp_path_factory.mktemp("page") / "run", texts, documents=documents, sources=sources)


@pytest.fixture(scope="module")
def results(run: Path) -> Results:
    return read_results(run)


@pytest.fixture(scope="module")
def block(results: Results) -> Block:
    return Block(passages_section(results))


def test_texts_figures_and_signals_of_the_run_are_in_the_block(results: Results, block: Block) -> None:
    passages, table = block.index["passages"], results.scores
    assert passages["id"] == [text.id for text in results.texts] == list(results.flags.ids)
    assert block.texts == [text.text for text in results.texts]
    for at, flag in enumerate(results.flags):
        assert passages["flagged"][at] == flag.flagged
        assert block.index["documents"]["name"][passages["document"][at]] == flag.document
        # Six significant digits are kept.
        kept = numbers([passages[key][at] for key in ("score", "p", "q")])
        assert kept == pytest.approx(numbers([flag.score, flag.p_value, flag.q_value]), rel=1e-5, nan_ok=True)
    known = [table.column("reference")[table.rows(label)] for label in (1, 0)]
    for at, row in enumerate(table.rows(None).tolist()):
        facts, scores = block.tokens[at].facts, [table.column(name)[row] for name in block.index["attacks"]]
        assert numbers(facts["scores"]) == pytest.approx(scores, rel=1e-5, nan_ok=True)
        placed = [percentiles([scores[0]], each)[0] for each in known]
        # Three significant digits of at most 100 are kept.
        kept = numbers([facts["members"][0], facts["nonmembers"][0]])
        assert kept == pytest.approx(placed, abs=0.05 + 1e-9, nan_ok=True)
    assert block.index["attacks"][0] == results.audit.decider == "reference"


def test_tokens_are_those_of_both_models(results: Results, block: Block) -> None:
    target, reference = (list(results.signals(role)) for role in ("target", "reference"))
    half = 0.5 * Steps().logprob + 1e-6  # and the rounding of float32
    for tokens, (text, signals), (_, other) in zip(block.tokens, target, reference, strict=True):
        assert len(tokens) == len(text.text.encode()) == len(signals) + 1
        assert np.isnan(tokens.logprob[0]), "nothing precedes the first token"
        assert tokens.rank[0] == -1
        np.testing.assert_allclose(tokens.logprob[1:], signals.logprob, rtol=0, atol=half)
        np.testing.assert_allclose(np.asarray(tokens.reference)[1:], other.logprob, rtol=0, atol=half)
        np.testing.assert_array_equal(tokens.rank[1:], signals.rank)
        if len(signals):
            assert tokens.facts["perplexity"] == pytest.approx([perplexity_of(signals), perplexity_of(other)], rel=1e-5)
        for start, end in tokens.facts["runs"]:
            assert end - start >= 5
            assert (tokens.rank[start:end] == 0).all()


def test_every_name_is_text_and_the_same_run_gives_the_same_bytes(results: Results, block: Block) -> None:
    for section in (documents_section(results), passages_section(results)):
        tags = Tags(section)
        assert not {"img", "b", "i"} & set(tags.tags), tags.tags
        assert not {name for name in tags.names if name.startswith("on") or name == "style"}
    documents = Tags(documents_section(results)).text
    assert "document 0 </script><i>" in documents
    assert not set(block.data) & set("<>&\"'")
    again = read_results(results.audit.path)
    assert documents_section(again) == documents_section(results)
    assert passages_section(again) == passages_section(results)


def test_nothing_that_is_redacted_is_on_the_page(run: Path) -> None:
    redacted = read_results(run, redact=True)
    section = passages_section(redacted)
    block = Block(section)
    assert set(block.texts) == {None}
    assert not block.index["texts"]
    assert all(
        not len(tokens) and tokens.facts.keys() == {"scores", "members", "nonmembers"} for tokens in block.tokens
    )
    assert "redact" in section
    assert len(SECRET.findall(str(Block(passages_section(read_results(run))).texts))) == 73
    decoded = section.replace(block.data, "") + documents_section(redacted)
    decoded += "".join(unpacked(line).decode("utf-8", "replace") for line in block.data.split("\n"))
    assert not re.findall(SECRET, decoded)
    for fragment in ("onerror", "danger", "שלום", "before\\u0000after"):
        assert fragment not in decoded


def test_without_texts_the_page_shows_figures_and_the_reason(run: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(run, tmp_path / "copy")
    remove_texts(copy)
    section = passages_section(read_results(copy))
    assert "holds no texts" in section
    block = Block(section)
    assert set(block.texts) == {None}
    assert block.index["passages"]["score"][0] is not None


def test_unknown_places_of_tokens_leave_the_text_without_colours(run: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(run, tmp_path / "copy")
    kept = read_results(run).texts
    write_texts(copy, [StoredText(kept[0].id, kept[0].position, kept[0].text, None)])
    block = Block(passages_section(read_results(copy)))
    assert block.texts[0] == kept[0].text
    assert set(block.texts[1:]) == {None}
    assert not any(map(len, block.tokens))
    assert block.tokens[0].facts["perplexity"][0] > 1


def test_beyond_the_limit_the_page_says_what_it_leaves_out(results: Results) -> None:
    section = passages_section(results, most=10)
    assert "shows 10 of 80 candidates" in section
    block = Block(section)
    shown = set(block.index["passages"]["id"])
    assert block.texts == [text.text for text in results.texts if text.id in shown]
    best = sorted(results.flags, key=lambda flag: (not flag.flagged, -(flag.score or -9e9)))[:10]
    assert shown == {flag.id for flag in best}


@pytest.mark.parametrize(("bos", "reference"), [(True, None), (False, FakeBackend(1, bos=True))])
def test_other_openings_and_other_tokens(tmp_path: Path, bos: bool, reference: FakeBackend | None) -> None:
    texts = dict(zip("abcd", sentences(4, seed=61), strict=True))
    block = Block(passages_section(read_results(audited_run(tmp_path / "run", texts, bos=bos, reference=reference))))
    assert np.isnan(block.tokens[0].logprob[0]) == (not bos)
    same = reference is None
    assert (block.index["difference"] == "") == same
    assert (block.tokens[0].reference is not None) == same
    assert block.tokens[0].facts["perplexity"][1] > 1


def test_documents_and_sources_are_ranked_by_the_evidence(results: Results, block: Block) -> None:
    table, calibration = results.scores, results.audit.calibration
    decided = {row.id: row for row in flag_documents(table, calibration).rows}
    documents, sources = block.index["documents"], block.index["documents"]["sources"]
    for name, p, q in zip(documents["name"], documents["p"], documents["q"], strict=True):
        assert [p, q] == pytest.approx([decided[name].p_value, decided[name].q_value], rel=1e-5)
    assert documents["p"] == sorted(documents["p"])
    assert sum(sources["passages"]) == sum(documents["passages"]) == len(results.flags)
    assert sum(sources["flagged"]) == sum(documents["flagged"]) == results.audit.flags.flagged
    assert sources["source"] == [f"site{k}.example" for k in range(4)] or len(set(sources["source"])) == 4
    assert "decides nothing" in documents_section(results)


def test_a_document_on_both_sides_has_no_p_value_and_the_others_keep_theirs() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=130), [0] * 100 + [None] * 30
    documents = [f"k{row // 2}" for row in range(100)] + [f"c{row // 2}" for row in range(30)]
    clean = ScoreTable.of(scores, labels, documents=documents)
    calibration = calibrate(clean, "score", fpr=0.05)
    both = [*documents[:128], "k3", "k3"]
    mixed = ScoreTable.of(scores, labels, documents=both)
    before, after = (rank_documents(each, calibration).documents for each in (clean, mixed))
    assert after[-1].reason is NoPValue.ON_BOTH_SIDES
    assert after[-1].p_value is None
    assert after[-1].passages == 2
    assert [each.p_value for each in before[:14]] == [each.p_value for each in after[:14]]
    assert {each.reason for each in after[:14]} == {None}
    few = ScoreTable.of(scores[80:], labels[80:], documents=documents[80:])
    (reason,) = {each.reason for each in rank_documents(few, calibrate(few, "score", fpr=0.25)).documents}
    assert reason is None, "10 documents suffice for an FPR of 0.25"
    reasons = {each.reason for each in rank_documents(few, calibration).documents}
    assert reasons == {NoPValue.OTHER_NONMEMBERS}


def test_an_extraction_takes_the_place_of_the_signals(results: Results) -> None:
    likeliest = SimpleNamespace(probability=0.25)
    spans = [
        SimpleNamespace(id="a", start_token=3, end_token=60, likeliest=likeliest),
        SimpleNamespace(id="elsewhere", start_token=0, end_token=50, likeliest=likeliest),
    ]
    extraction: Any = SimpleNamespace(spans=spans, documents=[SimpleNamespace(document="book", share=0.5)])
    extractable = extractable_of(results.audit.passes["target"], iter(()), {"a": "book"}, extraction)
    assert extractable.spans == {"a": [(3, 60, 0.25)]}
    assert extractable.shares == {"book": 0.5}
    assert extractable.extracted


def test_what_the_model_writes_word_for_word_is_framed_and_shared_out(tmp_path: Path) -> None:
    sure = np.full(120, -0.01)
    sure[:30] = -3.0
    signals = TokenSignals.of(sure, token_ids=np.arange(120), rank=np.zeros(120))
    text = StoredText("a", 0, "x" * 121, np.arange(1, 122, dtype=np.int32))
    short = StoredText("b", 1, "y" * 20, np.arange(1, 21, dtype=np.int32))
    record = read_results(audited_run(tmp_path / "run", {"a": "some words"})).audit.passes["target"]
    given = [(text, signals), (short, signals.take(slice(0, 19)))]
    extractable = extractable_of(record, given, {"a": "book", "b": "note"}, None)
    ((start, end, probability),) = extractable.spans["a"]
    assert (start, end) == (31, 121), "the first token of the passage has no signals"
    assert probability == pytest.approx(np.exp(50 * -0.01))
    assert extractable.shares == {"book": pytest.approx(90 / 120)}, "a passage of less than 50 tokens shows nothing"


def test_a_single_passage_is_not_counted(tmp_path: Path) -> None:
    run = audited_run(tmp_path / "run", {"only": "The single text in question has a dozen words, and none is rare."})
    assert answer_of(read_results(run).audit).headline == (
        "No finding: the passage does not look as if the model was trained on it."
    )
