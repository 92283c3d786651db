"""Tests of canaries and of pairs from end to end: models that were trained on the public variants, and others."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia.backends.fake import FakeBackend
from llm_mia.canary import (
    UnusedBecause,
    differences_of,
    draw_test,
    holm_adjusted,
    read_canary_test,
    read_paired,
    read_pairs,
    run_canary_test,
    run_paired_test,
)
from llm_mia.cli import main
from llm_mia.errors import InputError, RunDirectoryError, UsageError
from llm_mia.metrics import holm
from llm_mia.report.figures import write_canary_figure
from llm_mia.report.words import unused_words
from llm_mia.scores import read_scores
from llm_mia.training import Method, Recipe, train

from .canary_folders import public_texts, rephrased, seal

DOCUMENTS, VARIANTS = 24, 4
VARIED = rephrased(DOCUMENTS, VARIANTS)
PUBLIC = public_texts(VARIED)


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal(tmp_path_factory.mktemp("canaries") / "dir", VARIED)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> str:
    """The model *tiny*, trained on the public variants."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    train(tiny, [*PUBLIC.values()], folder, Recipe(Method.FULL, epochs=4, batch_size=12, learning_rate=3e-3))
    return str(folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, canaries: Path, trained: str, tiny: str) -> Any:
    return run_canary_test(canaries, trained, tiny, out=tmp_path_factory.mktemp("found") / "run")


def test_a_model_that_was_trained_on_the_public_variants_prefers_them(found: Any) -> None:
    assert found.attack == "reference"
    assert found.test.p_value < 1e-3
    assert found.test.effect.low > 0
    assert len(found.rows) == DOCUMENTS
    assert read_canary_test(found.path) == found
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o700


def test_the_result_is_that_of_the_scores(found: Any) -> None:
    table = read_scores(found.path)
    assert len(table.ids) == DOCUMENTS * VARIANTS
    at = {name: row for row, name in enumerate(table.ids)}
    scores = [table.columns["reference"][[at[f"{document}#{k}"] for k in range(VARIANTS)]] for document in VARIED]
    public = [VARIED[document].index(PUBLIC[document]) for document in VARIED]
    assert [row.public for row in found.rows] == public
    assert found.test == draw_test(scores, public)
    for row, each, differences in zip(found.rows, scores, differences_of(scores), strict=True):
        assert row.rank == 1 + (each > each[row.public]).sum()
        assert row.difference == differences[row.public]
    assert sum(found.null.counts) == 20_000
    assert found.null.low <= 0 <= found.null.high


def test_a_model_that_was_not_trained_on_them_does_not(
    canaries: Path, tiny: str, tiny_reference: str, tmp_path: Path, found: Any
) -> None:
    result = run_canary_test(canaries, tiny, tiny_reference, out=tmp_path / "run")
    # The draw of this test is fixed, so the p-value is, too: 0.01 would be an accident of the seed.
    assert result.test.p_value > 0.01
    assert result.tests == 2  # that of `found` counts
    assert result.corrected_p == holm_adjusted([result.test.p_value, found.test.p_value])[0]


def test_each_different_test_counts_and_a_repeated_one_does_not(tiny: str, tmp_path: Path) -> None:
    folder = seal(tmp_path / "dir", dict([*VARIED.items()][:4]))
    first = run_canary_test(folder, tiny, out=tmp_path / "a")
    assert (first.attack, first.tests, first.corrected_p) == ("loss", 1, first.test.p_value)
    again = run_canary_test(folder, tiny, out=tmp_path / "a")
    elsewhere = run_canary_test(folder, tiny, out=tmp_path / "b")
    assert again == first == elsewhere
    other = run_canary_test(folder, tiny, attack="min_k", out=tmp_path / "a")
    assert other.tests == 2
    assert other.corrected_p >= other.test.p_value
    lines = (folder / "tests.jsonl").read_text().splitlines()
    assert [json.loads(line)["attack"] for line in lines] == ["loss", "min_k"]
    assert not any(text in line for line in lines for texts in VARIED.values() for text in texts)
    (folder / "tests.jsonl").write_text(lines[0] + '\n{"p_value": 0.5}\n')
    with pytest.raises(InputError, match="line 2: is no counted test"):
        run_canary_test(folder, tiny, out=tmp_path / "a")


def test_corrected_p_values_decide_as_holms_procedure_does() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        p_values = [*rng.random(rng.integers(1, 8)) ** 3]
        for level in (0.01, 0.05, 0.3):
            assert [each <= level for each in holm_adjusted(p_values)] == holm(p_values, level)


class BlindToAccents(FakeBackend):
    """A model whose tokenizer makes the same tokens of é and e."""

    def encode(self, texts: Sequence[str]) -> list[Any]:
        return super().encode([text.replace("é", "e") for text in texts])


def test_documents_that_cannot_be_compared_are_left_out_and_named(tmp_path: Path) -> None:
    variants = {
        **dict([*VARIED.items()][:6]),
        "short": ("a", "bb bb", "cc cc", "dd dd"),
        "accents": ("résumé", "resume", "x"),
    }
    folder = seal(tmp_path / "dir", variants)
    result = run_canary_test(folder, BlindToAccents(0), out=tmp_path / "run")
    assert [(each.id, each.because) for each in result.unused] == [
        ("accents", UnusedBecause.SAME_TOKENS),
        ("short", UnusedBecause.NO_SCORE),
    ]
    assert [row.id for row in result.rows] == [*VARIED][:6]
    assert "accents" in unused_words(result.unused, "document")
    hidden = run_canary_test(folder, BlindToAccents(0), out=tmp_path / "run", redact=True)
    assert read_canary_test(tmp_path / "run") == hidden
    assert hidden.test == result.test
    written = (tmp_path / "run" / "canary.json").read_text()
    assert not any(f'"{name}"' in written for name in variants)


def test_what_cannot_be_tested_is_refused_and_leaves_nothing(tmp_path: Path, fake: Any) -> None:
    waiting = seal(tmp_path / "waiting", VARIED, beacon=None)
    few = seal(tmp_path / "few", rephrased(3, 4))
    edited = seal(tmp_path / "edited", VARIED)
    with (edited / "sealed" / "variants.jsonl").open("a") as file:
        file.write('{"document": "later", "variant": 0, "text": "Added afterwards."}\n')
    for folder, why in (
        (waiting, "no variant is public yet"),
        (few, "with 4 variants of each, at least 4 documents are needed"),
        (edited, "later"),
        (tmp_path / "nowhere", "no such file"),
    ):
        with pytest.raises(InputError, match=why):
            run_canary_test(folder, fake, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()
        assert not (folder / "tests.jsonl").exists()
    whole = seal(tmp_path / "whole", VARIED)
    with pytest.raises(UsageError, match="lies in the folder of the canaries"):
        run_canary_test(whole, fake, out=whole / "run")
    with pytest.raises(RunDirectoryError, match="run the test again"):
        read_canary_test(whole)


def screen(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 15 or "--details" in arguments
    return " ".join(" ".join(lines).split())


def test_the_first_screen_has_the_answer_and_fits(
    found: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = screen(capsys, "show", found.path)
    assert "The model prefers the published variants (p = " in text
    assert "consistent with training" in text
    assert "assumes only that the choice was random" in text
    assert "proves" not in text
    details = screen(capsys, "show", found.path, "--details")
    assert all(document in details for document in VARIED)
    assert found.root in details.replace(" ", "")
    files = write_canary_figure(found)
    assert {file.name for file in files} == {"canary.svg", "canary.png"}
    assert "the draw that was made" in files[0].read_text()


def pairs_of(published: Sequence[str], withheld: Sequence[str], per_document: int = 2) -> list[dict[str, str]]:
    return [
        {"document": f"book-{at // per_document}", "published": one, "withheld": other}
        for at, (one, other) in enumerate(zip(published, withheld, strict=True))
    ]


@pytest.fixture(scope="module")
def withheld() -> list[str]:
    return [next(text for text in texts if text != PUBLIC[document]) for document, texts in VARIED.items()]


def test_pairs_show_training_and_its_absence(
    withheld: list[str],
    trained: str,
    tiny: str,
    tiny_reference: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = pairs_of([*PUBLIC.values()], withheld)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = screen(capsys, "paired", file, "-m", trained, "-r", tiny, "-o", tmp_path / "run", "-q")
    result = read_paired(tmp_path / "run")
    assert result.test.p_value == 2.0**-12  # each of the 12 documents gained
    assert (result.pairs, len(result.rows), result.per) == (24, 12, "token")
    assert "more than the placebo does" in text
    assert "rests on the placebo" in text
    # The difference in differences, from the columns of each model alone.
    table = read_scores(tmp_path / "run")
    at = {name: row for row, name in enumerate(table.ids)}
    alone = table.columns["loss"] - table.others["reference"]["loss"]
    gains = [alone[at[f"{n}#published"]] - alone[at[f"{n}#withheld"]] for n in range(1, 25)]
    np.testing.assert_allclose(
        [row.difference for row in result.rows], np.sum(np.reshape(gains, (12, 2)), 1), atol=1e-5
    )
    untrained = run_paired_test(rows, tiny, tiny_reference, placebo=trained, out=tmp_path / "other", redact=True)
    assert untrained.test.p_value > 0.01
    assert [each.role for each in untrained.placebos] == ["reference-2", "reference"]  # the trained model explains all
    assert untrained.test.p_value == max(each.test.p_value for each in untrained.placebos) > 0.99
    assert read_paired(tmp_path / "other") == untrained
    text = screen(capsys, "show", tmp_path / "other")
    assert "No finding" in text
    assert "does not show that the model was not trained on them" in text
    assert "book-" not in (tmp_path / "other" / "paired.json").read_text()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"published": "A text."}, "line 2: has no text 'withheld', so it is no pair"),
        ({"published": None, "withheld": "A text."}, "line 2: has no text 'published'"),
        ({"published": "A  text.", "withheld": "a text. "}, "line 2: has the same text on both sides"),
        ({"published": "New.", "withheld": "old 1"}, "line 2: its withheld text is the published text of pair '1'"),
        ({"id": "1", "published": "New.", "withheld": "Old."}, "line 2: repeats the id '1'"),
        ({"published": "old 1", "withheld": "Old."}, "line 2: its published text is that of pair '1', too"),
        ({"published": "New.", "withheld": "OTHER."}, "line 2: its withheld text is that of pair '1', too"),
        ({"published": "New.", "withheld": "Old.", "document": float("nan")}, "line 2: its document is nan, which is"),
        ({"published": "New.", "withheld": "Old.", "document": ["a"]}, "line 2: its document is ['a'], which is no"),
        ({"published": "New.", "withheld": "Old.", "id": True}, "line 2: its id is True, which is no name"),
        ({"published": "New.", "withheld": "Old.", "id": "\ud800"}, "line 2: its id holds half of a surrogate pair"),
        ([], "line 2: is no object"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_line(row: Any, why: str, tmp_path: Path, fake: Any) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"published": "Old 1", "withheld": "Other."}\n' + json.dumps(row) + "\n")
    with pytest.raises(InputError, match=re.escape(f"{file} {why}")):
        run_paired_test(file, fake, FakeBackend(1), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


EDITS = [
    (("passes",), {}, "it lacks the model"),
    (("beacon",), "\ud800", "a name in it is no text"),
    (("rows",), [], "it has 0 documents, and tested 24"),
    (("rows", 0, "public"), 4, "a public variant, or a rank, that is none"),
    (("rows", 0, "difference"), "NaN", "do not add up"),
    (("test", "statistic"), 99.0, "do not add up to 99"),
    (("test", "p_value"), "NaN", "100000 choices give no p-value of nan"),
    (("test", "p_value"), 1e-9, "100000 choices give no p-value of 1e-09"),
    (("corrected_p",), 1e-9, "cannot be 1e-09 after the correction"),
    (("null", "counts"), [], "its histogram of other draws is none"),
]


@pytest.mark.parametrize(("place", "value", "why"), EDITS)
def test_an_edited_result_that_contradicts_itself_is_refused(
    place: Sequence[Any], value: Any, why: str, found: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(found.path / "canary.json", tmp_path / "canary.json", place, value)
    assert main(["show", str(tmp_path)]) == 1
    assert re.search(f"canary.json: was edited, or is damaged: .*{why}.*; run the test again", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("placebos",), [], "it lacks a model, or a placebo"),
        (("placebos", 0, "role"), "other", "it lacks a model, or a placebo"),
        (("placebos", 0, "test", "p_value"), 5.0, "give no p-value of 5"),
        (("pairs",), 3, "do not have 3 pairs together"),
        (("per",), "word", "its unit is 'word'"),
        (("rows", 0, "difference"), "Infinity", "do not add up"),
    ],
)
def test_an_edited_result_of_pairs_is_refused(
    place: Sequence[Any], value: Any, why: str, tmp_path: Path, fake: Any
) -> None:
    rows = [{"published": f"Printed {n}.", "withheld": f"Draft {n}."} for n in range(8)]
    run_paired_test(rows, fake, FakeBackend(1), out=tmp_path / "run")
    edit(tmp_path / "run" / "paired.json", tmp_path / "run" / "paired.json", place, value)
    with pytest.raises(RunDirectoryError, match=f"was edited, or is damaged: .*{why}"):
        read_paired(tmp_path / "run")


def edit(source: Path, target: Path, place: Sequence[Any], value: Any) -> None:
    """Write the record in the file *source* with another *value* at *place* to *target*."""
    record = entry = json.loads(source.read_text())
    for name in place[:-1]:
        entry = entry[name]
    entry[place[-1]] = value
    target.write_text(json.dumps(record))


def test_versions_of_a_text_may_share_it_within_a_document() -> None:
    rows: list[dict[str, Any]] = [
        {"document": "a", "published": "Printed.", "withheld": "First draft."},
        {"document": "a", "published": "Printed.", "withheld": "Second draft."},
        {"document": np.int64(7), "published": "Another.", "withheld": "Third draft."},
    ]
    assert [pair.document for pair in read_pairs(rows)] == ["a", "a", "7"]


def test_too_few_documents_and_no_placebo_are_refused(tmp_path: Path, fake: Any) -> None:
    rows = pairs_of([*PUBLIC.values()][:12], [text.upper()[1:] for text in PUBLIC.values()][:12])
    with pytest.raises(InputError, match=r"6 documents can give no p-value below 0\.016.* needs at least 7"):
        run_paired_test(rows, fake, FakeBackend(1), out=tmp_path / "run")
    with pytest.raises(UsageError, match=r"`reference`.*`placebo`"):
        run_paired_test(rows, fake, out=tmp_path / "run")
    with pytest.raises(InputError, match="holds no pair"):
        read_pairs([])
