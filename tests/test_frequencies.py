"""Token frequencies: counted as numpy would count them at once, and read back as they were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from llm_mia import read_passages
from llm_mia.attacks import parse_attack
from llm_mia.backends import ModelSpec, Tokenizer
from llm_mia.errors import InputError, PassageError, RunDirectoryError
from llm_mia.records import SCHEMA_VERSION, IntArray, TokenFrequencies, TokenSignals
from llm_mia.signals import count_frequencies
from llm_mia.store import read_frequencies, write_frequencies

from .conftest import sentences


@dataclass
class Letters:
    """Each character is a token: its code point."""

    fingerprint: str = "letters"
    opening: tuple[int, ...] = ()
    vocabulary: int = 128

    def __post_init__(self) -> None:
        self.calls: list[int] = []

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        self.calls.append(len(texts))
        return [np.array([ord(letter) for letter in text], dtype=np.int32) for text in texts]

    def spans(self, text: str) -> NDArray[np.int64]:
        starts = np.arange(len(text))
        return np.stack([starts, starts + 1], axis=1)


def test_by_hand(write_jsonl: Callable[..., str]) -> None:
    corpus = write_jsonl("corpus.jsonl", [{"text": "abba"}, {"text": "a b"}])
    frequencies = count_frequencies(read_passages(corpus), Letters())
    assert frequencies.counts.dtype == np.int64
    assert {chr(token): int(frequencies.counts[token]) for token in frequencies.counts.nonzero()[0]} == {
        " ": 1,
        "a": 3,
        "b": 3,
    }
    assert (len(frequencies.counts), frequencies.tokenizer, frequencies.corpus) == (128, "letters", corpus)


@pytest.mark.parametrize("characters", [1, 40, 1 << 20])
def test_it_counts_the_same_in_chunks_of_any_size(characters: int, write_jsonl: Callable[..., str]) -> None:
    texts = [text.encode("ascii", "replace").decode() for text in sentences(30, seed=2)]
    tokenizer = Letters()
    corpus = read_passages(write_jsonl("c.jsonl", [{"text": text} for text in texts]))
    frequencies = count_frequencies(corpus, tokenizer, chunk_characters=characters)
    expected = Counter("".join(texts))
    assert {chr(token): int(count) for token, count in enumerate(frequencies.counts) if count} == expected
    assert sum(tokenizer.calls) == 30
    assert (len(tokenizer.calls) == 30, len(tokenizer.calls) == 1) == (characters == 1, characters == 1 << 20)


def test_of_a_real_tokenizer(tiny_bos: str, write_jsonl: Callable[..., str], tmp_path: Path) -> None:
    texts = sentences(50, seed=4)
    tokenizer: Tokenizer = ModelSpec(tiny_bos).tokenizer()
    frequencies = count_frequencies(
        read_passages(write_jsonl("c.jsonl", [{"text": text} for text in texts])), tokenizer
    )
    assert frequencies.counts.sum() == sum(map(len, tokenizer.encode(texts)))
    assert len(frequencies.counts) == tokenizer.vocabulary
    assert frequencies.tokenizer == tokenizer.fingerprint
    assert tokenizer.opening == (0,)
    assert frequencies.counts[0] == 0, "BOS is no token of the corpus"
    path = tmp_path / "freq.parquet"
    write_frequencies(path, frequencies)
    ids = tokenizer.encode(["the river"])[0]
    ones = np.full(len(ids), -1, dtype=np.float32)
    target = TokenSignals(ids, ones, ones, -ones, ones, ids, tokenizer=tokenizer.fingerprint)
    assert parse_attack("dc_pdd").score({"target": target, "frequencies": read_frequencies(path)}) == 0.01


def test_a_corpus_without_passages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(PassageError, match="the file is empty"):
        count_frequencies(read_passages(tmp_path / "empty.jsonl"), Letters())


# On disk


def frequencies(*counts: int) -> TokenFrequencies:
    return TokenFrequencies(np.array(counts or (3, 0, 1 << 40), dtype=np.int64), "tok en", "Kürzel ☂.jsonl")


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "freq.parquet"
    write_frequencies(str(path), frequencies())
    read = read_frequencies(str(path))
    assert read.counts.tolist() == [3, 0, 1 << 40]
    assert read.counts.dtype == np.int64
    assert (read.tokenizer, read.corpus) == ("tok en", "Kürzel ☂.jsonl")
    assert [file.name for file in path.parent.iterdir()] == ["freq.parquet"]
    table = pa.parquet.read_table(path)
    assert table.column_names == ["count"]
    first = path.read_bytes()
    write_frequencies(path, frequencies())
    assert path.read_bytes() == first


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "freq.parquet"
    write_frequencies(path, frequencies(1, 2))

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa.parquet, "write_table", fail)
    with pytest.raises(RunDirectoryError, match="No space left on device"):
        write_frequencies(path, frequencies(5, 6))
    assert read_frequencies(path).counts.tolist() == [1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["freq.parquet"]


def write_table(path: Path, table: pa.Table, **metadata: str) -> None:
    about = {"schema_version": str(SCHEMA_VERSION), "tokenizer": "a", "corpus": "c", **metadata}
    pa.parquet.write_table(table.replace_schema_metadata(about), path)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_frequencies(path)
    opening, ending = f"{path}: ", "; count them with `count_frequencies`, and name that file"
    message = str(caught.value)
    assert message.startswith(opening)
    assert message.endswith(ending)
    assert "\n" not in message
    return message.removeprefix(opening).removesuffix(ending)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "freq.parquet"
    assert refusal(path) == "no such file"
    assert refusal(tmp_path).startswith("cannot be read, or is no Parquet file (")
    path.write_text("token,count\n0,3\n")
    assert refusal(path).startswith("cannot be read, or is no Parquet file (")
    pa.parquet.write_table(pa.table({"count": [1, 2]}), path)  # somebody else's
    assert refusal(path) == "holds no token frequencies"
    for table in (
        pa.table({"id": ["a"], "loss": [1.0]}),
        pa.table({"count": [1.0, 2.0]}),
        pa.table({"count": [1, 2], "token": [0, 1]}),
        pa.table({"count": pa.array([1, None])}),
        pa.table({"count": pa.array([], pa.int64())}),
    ):
        write_table(path, table)
        assert refusal(path) == "holds no token frequencies"
    write_table(path, pa.table({"count": [1, -2]}))
    assert refusal(path) == "holds a negative count"
    write_table(path, pa.table({"count": [1, 2]}), schema_version="99")
    assert refusal(path) == f"has schema version 99, and this release reads {SCHEMA_VERSION}"


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "freq.parquet"
    write_frequencies(path, TokenFrequencies(np.arange(1000), "a", "c"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert refusal(path).startswith("cannot be read, or is no Parquet file (")
    flipped = bytearray(whole)
    flipped[200] ^= 1
    path.write_bytes(flipped)
    assert refusal(path).startswith("cannot be read, or is no Parquet file (")
