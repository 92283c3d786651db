"""One reading of all inputs finds what repeats and what contradicts itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_mia.errors import PassageError
from llm_mia.passages import Passages, check_inputs, read_passages, shared_text


def jsonl(path: Path, rows: list[tuple[str, str, int | None]]) -> Path:
    path.write_text(
        "\n\n".join(
            json.dumps({"id": name, "text": text, "label": label, "book": text[0]}) for name, text, label in rows
        )
    )
    return path


def test_check_counts(tmp_path: Path) -> None:
    candidates = jsonl(
        tmp_path / "c.jsonl", [("1", "é one", None), ("2", "é two", None), ("3", "x", None), ("4", "é", None)]
    )
    known = jsonl(tmp_path / "k.jsonl", [("1", "m", 1), ("2", "n", 0), ("3", "o", 0)])
    first, second = check_inputs([read_passages(candidates), read_passages(known)]).sources
    assert (first.name, first.passages, first.documents, first.bytes, first.blank_lines) == (
        str(candidates),
        4,
        2,
        15,
        3,
    )
    assert (first.members, first.nonmembers) == (0, 0)
    assert (second.members, second.nonmembers, second.documents) == (1, 2, 3)
    assert check_inputs([]).sources == ()


def test_check_notes_what_repeats(tmp_path: Path) -> None:
    rows: list[tuple[str, str, int | None]] = [(f"c{n}", f"text {n % 5}", None) for n in range(9)]
    candidates = read_passages(jsonl(tmp_path / "c.jsonl", rows))
    known = read_passages(jsonl(tmp_path / "k.jsonl", [("m1", "text 4", 1), ("m2", "other", 1), ("m3", "other", 1)]))
    assert check_inputs([known]).notes == ()
    twice, both = check_inputs([known, candidates]).notes
    assert twice.startswith(
        "4 texts occur more than once among the candidates (ids 'c0' = 'c5', 'c1' = 'c6', 'c2' = 'c7', …)"
    )
    assert both.startswith("1 text occurs both among the candidates and in the known set (ids 'c4' = 'm1')")


def test_check_refuses_a_text_with_both_labels(tmp_path: Path) -> None:
    members = read_passages(jsonl(tmp_path / "m.jsonl", [(f"m{n}", f"t{n}", None) for n in range(9)]), label=1)
    others = read_passages(jsonl(tmp_path / "n.jsonl", [(f"n{n}", f"t{n}", None) for n in range(8, 3, -1)]), label=0)
    with pytest.raises(PassageError) as caught:
        check_inputs([members, others])
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/m.jsonl line 9 and {tmp_path}/n.jsonl line 9: ")
    assert "5 texts occur both among members and among non-members" in message
    assert "(ids 'm4' = 'n4', 'm5' = 'n5', 'm6' = 'n6', …)" in message


def test_the_check_says_where_texts_repeat(tmp_path: Path) -> None:
    files = [
        jsonl(tmp_path / f"{i}.jsonl", [(str(n), text, None) for n, text in enumerate(texts)])
        for i, texts in enumerate(["abcb", "dbe", "fa"])
    ]
    check = check_inputs([read_passages(file) for file in files])
    assert check.repeated.tolist() == [0, 1, 3, 5, 8]
    assert check_inputs([]).repeated.tolist() == []


def test_the_check_of_unchanged_sources_is_kept(tmp_path: Path) -> None:
    file, known = tmp_path / "candidates.jsonl", Passages.of(["A river."], label=0)
    file.write_text('{"text": "A bridge."}\n{"text": "A bridge."}\n', "utf-8")
    candidates = read_passages(file)
    first = check_inputs([candidates, known])
    assert check_inputs([candidates, known]) is first
    assert check_inputs([candidates]) is not first, "other sources"
    again = check_inputs([candidates, known])
    file.write_text('{"text": "A bridge."}\n', "utf-8")
    assert (len(again.notes), check_inputs([candidates, known]).notes) == (1, ()), "the file has changed"


def test_the_first_shared_text_is_named_with_both_places() -> None:
    sources = [Passages.of(["A river.", "A bridge."], name="a"), Passages.of(["A hill.", "A bridge."], name="b")]
    others = [Passages.of(["A mill."], name="c"), Passages.of(["A hill.", "A bridge.", "A bridge."], name="d")]
    shared = shared_text(sources, others)
    assert shared is not None
    assert [passage.where for passage in shared] == ["a row 2", "d row 2"]
    assert shared_text(sources, others[:1]) is None
    assert shared_text(sources, []) is None
