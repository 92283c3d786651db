"""``llm-mia extract`` as a user types it: a planted text is reported at its place, and nothing else is reported."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import extract as run_extract
from llm_mia.backends import ModelSpec, load_model
from llm_mia.backends.fake import FakeBackend
from llm_mia.backends.local import continuations
from llm_mia.cli import main
from llm_mia.errors import InputError, ModelError, PassageError, RunDirectoryError, UsageError
from llm_mia.extraction import (
    ExtractionNote,
    Sampling,
    examine,
    prompt_before,
    read_extraction,
    stretch_sums,
    without_texts,
)
from llm_mia.metrics import clopper_pearson
from llm_mia.passages import read_passages
from llm_mia.records import SCHEMA_VERSION, Passage, WindowRule
from llm_mia.report import extraction_statement, extraction_summary, extraction_table
from llm_mia.scoring import score
from llm_mia.signals import cut, edges, join
from llm_mia.store import RunDirectory
from llm_mia.training import Method, Recipe, train

from .conftest import WORDS, build_model, build_tokenizer, save
from .leaks import leaks, runs_of, words_of
from .rounding import PRECISIONS, rounding_of
from .test_extraction_baseline import rendered

pytestmark = pytest.mark.precision


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: str | Path) -> Ran:
        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Scene:
    """A model that saw one text of 93 tokens in many surroundings, and a run over surroundings it never saw."""

    folder: Path
    planted: str
    document: str

    @property
    def typed(self) -> list[str]:
        model = ["-m", str(self.folder / "model"), "--dtype", "float32"]
        return ["extract", str(self.folder / "passages.jsonl"), *model, "-q"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder, rng = tmp_path_factory.mktemp("extract"), random.Random(5)
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    sizes: dict[str, Any] = {"context": 256, "hidden_size": 64, "intermediate_size": 128, "initializer_range": 0.05}
    base = save(folder / "base", build_model(tokenizer, seed=1, **sizes), tokenizer)
    planted = words(rng, 80)
    texts = [f"{words(rng, rng.randint(3, 20))} {planted} {words(rng, 8)}" for _ in range(30)]
    train(base, texts, folder / "model", Recipe(Method.FULL, 8, 4, 5e-3))
    document = f"{words(rng, 40)} {planted} {words(rng, 40)}"
    held_out = [{"id": f"held-{i}", "text": words(rng, 80), "label": 0} for i in range(200)]
    write(folder / "passages.jsonl", [{"id": "book", "text": document}, *held_out])
    run_extract(folder / "passages.jsonl", ModelSpec(folder / "model", dtype="float32"), out=folder / "run")
    return Scene(folder, planted, document)


def test_a_planted_text_is_found_within_two_tokens_and_none_elsewhere(
    scene: Scene, cli: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = cli(*scene.typed, "-o", tmp_path / "run", "--json")
    assert ran.code == 0, ran.err
    result = ran.json
    assert cli("show", tmp_path / "run", "--json").json == result, "read again, without a model"
    (span,) = result["spans"]
    tokenizer = ModelSpec(scene.folder / "model").tokenizer()
    before, with_it = tokenizer.encode(
        [text := scene.document[: scene.document.index(scene.planted)].rstrip(), f"{text} {scene.planted}"]
    )
    assert span["id"] == "book"
    assert abs(span["start_token"] - len(before)) <= 2
    assert abs(span["end_token"] - len(with_it)) <= 2
    known = result["nonmembers"]
    assert (known["documents"], known["with_spans"]) == (200, 0)
    assert known["bound"] == pytest.approx(1 - 0.05 ** (1 / 200))
    assert len(result["documents"]) == 201
    assert [document["document"] for document in result["documents"] if document["spans"]] == ["book"]
    assert not [
        document
        for document in result["documents"]
        if document["document"] != "book" and document["greedy_tokens"] > 10
    ]


def test_its_text_and_its_figures(scene: Scene) -> None:
    (row,) = csv.DictReader(io.StringIO((scene.folder / "run/spans.csv").read_text("utf-8"), newline=""))
    record = json.loads((scene.folder / "run/extraction.json").read_text("utf-8"))
    assert row["text"] == scene.document[int(row["start_char"]) : int(row["end_char"])]
    common = len(set(row["text"].split()) & set(scene.planted.split())) / len(set(scene.planted.split()))
    assert common > 0.9
    assert row["text"] not in json.dumps(record), "texts are in the table alone"
    assert (record["stretch"], record["probability"], record["prefix"]) == (50, 0.001, 1)
    assert record["schema_version"] == SCHEMA_VERSION
    document, stretch = record["documents"][0], record["documents"][0]["likeliest"]
    assert document["share"] == pytest.approx(len(row["text"].encode()) / len(scene.document.encode()))
    assert document["longest_span"] == int(row["end_token"]) - int(row["start_token"]) == record["spans"][0]["tokens"]
    assert stretch["probability"] == pytest.approx(math.exp(stretch["log_probability"])) == float(row["probability"])
    assert stretch["expected_queries"] == pytest.approx(1 / stretch["probability"])
    assert stretch["queries_for_95_percent"] == math.ceil(math.log(0.05) / math.log1p(-stretch["probability"]))


def test_the_probability_is_what_whole_logits_say(scene: Scene) -> None:
    """Oracle: the model fed with everything before the stretch and the stretch, in float64, for every stretch."""
    import torch

    likeliest = json.loads((scene.folder / "run/extraction.json").read_text("utf-8"))["documents"][0]["likeliest"]
    backend: Any = load_model(scene.folder / "model", dtype="float32", compiled=False)
    (ids,) = backend.encode([scene.document])
    with torch.inference_mode():
        logits = backend.model(input_ids=torch.from_numpy(ids).long()[None]).logits[0].double()
    logp = logits.log_softmax(-1)[:-1].gather(1, torch.from_numpy(ids).long()[1:, None])[:, 0].numpy()
    plain = [logp[i : i + 50].sum() for i in range(len(logp) - 49)]
    assert likeliest["start_token"] == int(np.argmax(plain)) + 1
    assert likeliest["log_probability"] == pytest.approx(max(plain), abs=1e-3)


def test_proof_by_generation(scene: Scene, cli: Callable[..., Ran]) -> None:
    """The model writes it, as often as was predicted."""
    ran = cli(*scene.typed, "-o", scene.folder / "run", "--proof", "--samples", "150", "--json")
    assert ran.code == 0, ran.err
    (proof,) = ran.json["proofs"]
    predicted = ran.json["spans"][0]["likeliest"]["probability"]
    assert proof["probability"] == pytest.approx(predicted, rel=1e-3)
    interval = clopper_pearson(proof["matched"], 150, 0.999)
    assert interval.low <= predicted <= interval.high
    assert proof["share"] == {**proof["share"], "value": proof["matched"] / 150, "confidence": 0.95}
    assert proof["matched_bytes"] >= proof["matched"] > 0
    assert (proof["greedy"], proof["greedy_tokens"], proof["prompt_tokens"]) == (True, 50, proof["start_token"])
    assert proof["greedy_bytes"] == proof["bytes"]
    assert (proof["prompt"], proof["output"], proof["original"]) == ("", "", ""), "texts are in the tables alone"
    (written,) = read_extraction(scene.folder / "run").proofs
    assert written.output == written.original, "greedy decoding wrote the stretch"
    assert written.prompt + written.original in scene.document
    assert scene.document.startswith(written.prompt)
    (row,) = csv.DictReader(io.StringIO((scene.folder / "run/proofs.csv").read_text("utf-8"), newline=""))
    assert (row["prompt"], row["output"], row["original"]) == (written.prompt, written.output, written.original)


def test_a_finished_run_loads_no_model(scene: Scene, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Ran]) -> None:
    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("llm_mia.backends.loading.load_model", loaded)
    monkeypatch.setattr(ModelSpec, "load", loaded)
    for rule in ([], ["--top-k", "40"], ["--temperature", "0"], ["--stretch", "20", "--prefix", "50"]):
        ran = cli(*scene.typed, "-o", scene.folder / "run", "--json", *rule)
        assert ran.code == 0, ran.err
        assert [span["id"] for span in ran.json["spans"]] == ["book"]


def test_top_k_brackets_what_the_model_does(scene: Scene, cli: Callable[..., Ran]) -> None:
    ran = cli(*scene.typed, "-o", scene.folder / "run", "--top-k", "5", "--proof", "--samples", "0", "--json")
    stretch, (proof,) = ran.json["spans"][0]["likeliest"], ran.json["proofs"]
    assert stretch["probability"] * (1 - 1e-3) <= proof["probability"] <= stretch["probability_high"] * (1 + 1e-3)
    assert stretch["probability"] < stretch["probability_high"]
    assert proof["share"] is None
    assert "lower bounds" in [note["kind"] for note in ran.json["notes"]]


def test_what_people_read(scene: Scene, cli: Callable[..., Ran]) -> None:
    ran = cli(*scene.typed, "-o", scene.folder / "run", "--proof", "--samples", "3")
    assert ran.code == 0, ran.err
    assert re.search(r"It writes \d\d % of the text word for word \(longest span: \d+ tokens\), but\s+no", ran.out)
    assert "proof      greedy decoding writes 1 of 1 stretch token for token" in ran.out
    assert len(ran.out.splitlines()) <= 15
    assert cli("show", scene.folder / "run").out == ran.out
    ran = cli("show", scene.folder / "run", "--details")
    shown = " ".join(ran.out.split())
    assert "1 span in 1 of 201 documents" in shown
    assert "of 200 documents of known non-members, 0 have such spans; their share among all such documents is" in shown
    assert "181 more documents, with at most this share" in ran.out
    assert "greedy decoding generates 1 of 1 stretch token for token" in ran.out
    assert "after all the text before it in the model's window" in shown
    assert not re.search(r"\bnan\b|\binf\b|None", ran.out)


def test_a_reference_and_known_nonmembers(scene: Scene, cli: Callable[..., Ran], tmp_path: Path, tiny_bos: str) -> None:
    """Its tokens are others, if only by name, and the non-members lie in another file."""
    every = [json.loads(line) for line in (scene.folder / "passages.jsonl").read_text("utf-8").splitlines()]
    book, known = write(tmp_path / "book.jsonl", every[:1]), write(tmp_path / "known.jsonl", every[1:31])
    model = ["-m", scene.folder / "model", "--dtype", "float32", "-q", "-r", tiny_bos]
    ran = cli("extract", book, *model, "--nonmembers", known, "-o", tmp_path / "run", "--redact", "--json")
    assert ran.code == 0, ran.err
    (span,) = ran.json["spans"]
    assert (ran.json["reference"]["same_tokens"], ran.json["redacted"]) == (False, True)
    assert [note["kind"] for note in ran.json["notes"]] == ["other tokens", "conditions"]
    assert span["reference"]["log_probability"] == pytest.approx(span["reference"]["log_probability_high"], abs=1e-9)
    assert span["reference"]["log_probability"] < math.log(1e-3)
    assert span["reference"]["ratio"] > 100
    assert (ran.json["nonmembers"]["documents"], ran.json["nonmembers"]["with_spans"]) == (30, 0)
    assert leaks(tmp_path / "run", words_of([scene.document])) == {}
    shown = " ".join(cli("show", tmp_path / "run", "--details").out.split())
    assert "under the reference" in shown
    assert "the reference too, %" in shown


def test_no_text_on_stderr(scene: Scene, cli: Callable[..., Ran], tmp_path: Path) -> None:
    typed = [argument for argument in scene.typed if argument != "-q"]
    ran = cli(*typed, "-o", scene.folder / "run", "--proof", "--samples", "0", "--json")
    assert "proof: 1 passage," in ran.err
    assert not set(scene.document.split()[:6]) & set(re.findall(r"\w{5,}", ran.err))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--probability", "0"], 2, "--probability is 0: it must be above 0"),
        (["--probability", "1.5"], 2, "at most 1"),
        (["--probability", "nan"], 2, "--probability is nan"),
        (["--top-k", "0"], 2, "--top-k is 0"),
        (["--temperature", "0.7"], 2, r"--temperature is 0.7: it must be 1, or 0 for greedy decoding"),
        (["--stretch", "0"], 2, "--stretch is 0"),
        (["--prefix", "-1"], 2, "--prefix is -1"),
        (["--samples", "-1"], 2, "samples"),
        (["--most-proofs", "0"], 2, "proofs"),
        (
            ["--stretch", "5000"],
            1,
            r"the longest passage has 1.. scored tokens: lower --stretch, or give longer passages .for txt"
            " files by a larger --passage-tokens",
        ),
        (["--prefix", "5000"], 1, "no passage holds a stretch of 50 tokens after a prefix of 5000"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    options: list[str], code: int, message: str, scene: Scene, cli: Callable[..., Ran]
) -> None:
    ran = cli(*scene.typed, "-o", scene.folder / "run", *options)
    assert ran.code == code
    assert re.search(message, ran.err)
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""


# From here on: a model in numpy whose every byte is a token, so that everything can be worked out.


class Bytes(FakeBackend):
    """The bigram model, with the tokenizer's side of it: a byte has all of its character."""

    vocabulary = 257

    def __init__(self, *, bos: bool = False, context: int = 1024) -> None:
        super().__init__(0, context=context, bos=bos)
        self.fingerprint = self.info.tokenizer

    def spans(self, text: str) -> NDArray[np.int64]:
        return np.array(
            [(at, at + 1) for at, character in enumerate(text) for _ in character.encode()], dtype=np.int64
        ).reshape(-1, 2)

    def likeliest(self, start: str, length: int) -> str:
        """Printable ASCII, each the likeliest after the one before that gives no pair twice."""
        letters = range(33, 127)
        text, seen = start, set[str]()
        for _ in range(length):
            order = sorted(letters, key=lambda byte: -self._logprob[ord(text[-1]), byte])
            text += chr(next((byte for byte in order if text[-1] + chr(byte) not in seen), order[0]))
            seen.add(text[-2:])
        return text


def rows(*texts: str, label: int | None = None) -> list[dict[str, object]]:
    return [{"id": f"p{at}", "text": text, "document": "d", "label": label} for at, text in enumerate(texts)]


TEXTS = ["Zoë said “naïve” twice, and 中文 once: quite enough.", "x", "yz", "The old miller opens both gates at noon."]


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("n", [1, 3, 7])
def test_positions_to_the_byte(bos: bool, n: int, tmp_path: Path) -> None:
    """Every stretch is probable enough, so spans begin and end where likelihood says; oracle: plain loops."""
    backend, p = Bytes(bos=bos), 1e-30
    result = run_extract(
        write(tmp_path / "p.jsonl", rows(*TEXTS)), backend, out=tmp_path / "run", stretch=n, probability=p, prefix=0
    )
    first = 0 if bos else 1
    for text, name in zip(TEXTS, ("p0", "p1", "p2", "p3"), strict=True):
        raw = text.encode()
        of_passage = [span for span in result.spans if span.id == name]
        assert bool(of_passage) == (len(raw) - first >= n)
        for span in of_passage:
            assert first <= span.start_token < span.end_token <= len(raw)
            whole = raw[span.start_token : span.end_token]
            assert span.text.encode().count(whole) == 1, "the bytes, and what completes a character at an edge"
            assert len(span.text.encode()) - len(whole) <= 6
            assert span.text == text[span.start_char : span.end_char]
            start = span.likeliest.start_token
            steps = [256, *raw][start : start + n + 1]
            plain = sum(backend._logprob[a, b] for a, b in pairwise(steps))
            assert span.likeliest.log_probability == pytest.approx(plain, abs=1e-4)
    (document,) = result.documents
    assert (document.passages, document.bytes) == (4, sum(len(text.encode()) for text in TEXTS))
    covered = {(span.id, at): text[at] for span in result.spans for text in [TEXTS[int(span.id[1])]]
               for at in range(span.start_char, span.end_char)}  # fmt: skip
    assert document.bytes_covered == len("".join(covered.values()).encode())
    assert document.spans == len(result.spans)
    assert result.too_short == sum(len(text.encode()) - first < n for text in TEXTS)


def test_documents_join_their_passages(tmp_path: Path) -> None:
    backend = Bytes()
    easy, hard = backend.likeliest("q", 12), "q7#K!2$Zx&0@"
    passages: list[dict[str, object]] = [
        {"id": "a", "text": hard, "document": "one", "label": 1},
        {"id": "b", "text": easy, "document": "one"},
        {"id": "c", "text": hard + "!", "document": "two", "label": 0},
        {"id": "e", "text": "?", "document": "two", "label": 0},
    ]
    path = write(tmp_path / "p.jsonl", passages)
    result = run_extract(path, backend, out=tmp_path / "run", stretch=5, probability=1e-9)
    first, second = result.documents
    assert (first.document, first.label, first.passages, second.label) == ("one", None, 2, 0)
    assert [span.id for span in result.spans] == ["b"]
    assert (first.spans, second.spans, second.longest_span, second.share) == (1, 0, 0, 0)
    assert 0 < first.share <= len(easy) / (len(easy) + len(hard))
    assert first.likeliest is not None
    assert (first.likeliest.id, first.greedy_id) == ("b", "b")
    assert result.nonmembers is not None
    assert (result.nonmembers.documents, result.nonmembers.with_spans) == (1, 0), "one byte can't show anything"
    assert result.nonmembers.bound == pytest.approx(0.95)


def test_nonmembers_with_spans_are_counted(tmp_path: Path) -> None:
    backend = Bytes()
    easy = [backend.likeliest(letter, 12) for letter in "abcd"]
    passages = rows(*easy, *["q7#K!2$Zx&0@" + str(i) for i in range(6)], label=0)
    path = write(tmp_path / "p.jsonl", [{**row, "document": row["id"]} for row in passages])
    result = run_extract(path, backend, out=tmp_path / "run", stretch=5, probability=1e-9)
    assert result.nonmembers is not None
    assert (result.nonmembers.documents, result.nonmembers.with_spans) == (10, 4)
    from scipy.stats import binom

    assert binom.cdf(4, 10, result.nonmembers.bound) == pytest.approx(0.05, abs=1e-9)


def test_no_label_no_calibration(tmp_path: Path) -> None:
    result = run_extract(write(tmp_path / "p.jsonl", rows(*TEXTS)), Bytes(), out=tmp_path / "run", stretch=5)
    assert result.nonmembers is None


def test_a_text_that_repeats_itself_is_left_out_and_said(tmp_path: Path) -> None:
    backend = Bytes()
    once = backend.likeliest("q", 60)
    path = write(tmp_path / "p.jsonl", rows(once, once + "!" + once))
    result = run_extract(path, backend, out=tmp_path / "run", stretch=20, probability=1e-35)
    first, second = ([span for span in result.spans if span.id == name] for name in ("p0", "p1"))
    assert len(first) == len(second) == 1
    assert second[0].end_token <= len(once) + 12
    assert ExtractionNote.COPIED in [note.kind for note in result.notes]


def test_impossible_stretches_are_numbers_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", rows("q7#K!2$Zx&0@q7#K!2$Zx&0@" * 20))
    run_extract(path, Bytes(), out=tmp_path / "run", stretch=400, sampling=Sampling(0.0))
    record = json.loads((tmp_path / "run/extraction.json").read_text())
    (document,) = record["documents"]
    assert document["spans"] == 0
    assert document["likeliest"] is None, "all of it repeats"
    path = write(tmp_path / "q.jsonl", rows("".join(map(chr, range(33, 127)))))
    run_extract(path, Bytes(), out=tmp_path / "other", stretch=90, sampling=Sampling(0.0))
    (document,) = json.loads((tmp_path / "other/extraction.json").read_text())["documents"]
    assert document["likeliest"]["probability"] == 0.0
    assert (document["likeliest"]["log_probability"], document["likeliest"]["expected_queries"]) == (
        "-Infinity",
        "Infinity",
    )


def test_scores_of_other_attacks_are_kept(tmp_path: Path) -> None:
    path, backend, out = write(tmp_path / "p.jsonl", rows(*TEXTS)), Bytes(), tmp_path / "run"
    score(read_passages(path), backend, attacks=["zlib", "min_k"], out=out)
    before = {name: (out / name).read_bytes() for name in ("scores.parquet", "run.json")}
    run_extract(path, backend, out=out, stretch=5)
    assert before == {name: (out / name).read_bytes() for name in before}
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": "new", "text": "One more."}\n')
    with pytest.raises(RunDirectoryError, match="holds scores of another input; score this input there first"):
        run_extract(path, backend, out=out, stretch=5)
    with pytest.raises(RunDirectoryError, match="belongs to another run"):
        run_extract(write(tmp_path / "q.jsonl", rows(*TEXTS)), Bytes(bos=True), out=out, stretch=5)
    score(read_passages(path), backend, attacks=["zlib", "min_k"], out=out)
    assert run_extract(path, backend, out=out, stretch=5).passages == 5


def test_what_is_read_back_is_equal(tmp_path: Path) -> None:
    """Every figure, and the texts from their table: line ends, quotes and all."""
    backend = Bytes()
    texts = [*TEXTS, backend.likeliest("q", 12) + '\r\n"quoted", and\rreturned\n']
    path = write(tmp_path / "p.jsonl", rows(*texts, label=0))
    rules: list[dict[str, Any]] = [{"probability": 1e-30}, {"probability": 1.0}, {"sampling": Sampling(0.0)}]
    for options in rules:
        extraction = run_extract(path, backend, out=tmp_path / "run", stretch=3, **options)
        assert read_extraction(tmp_path / "run") == extraction
    extraction = run_extract(path, backend, out=tmp_path / "run", stretch=3, probability=1e-30)
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    assert read_extraction(moved) == replace(extraction, path=moved)
    spans = moved / "spans.csv"
    spans.write_text(spans.read_text("utf-8").replace("p0,d", "p9,d", 1), "utf-8")
    with pytest.raises(InputError, match=r"spans\.csv: its rows are not those of extraction\.json"):
        read_extraction(moved)
    spans.unlink()
    assert {span.text for span in read_extraction(moved).spans} == {""}
    figures = moved / "extraction.json"
    figures.write_text(
        figures.read_text("utf-8").replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'), "utf-8"
    )
    with pytest.raises(
        InputError, match=f"has schema version 99, and this release reads {SCHEMA_VERSION}; extract again"
    ):
        read_extraction(moved)
    figures.unlink()
    with pytest.raises(InputError, match="no such file; extract again"):
        read_extraction(moved)


def test_a_long_text_is_read_back_too(tmp_path: Path) -> None:
    """The `csv` module refuses cells of more than 131,072 characters by default."""
    path = write(tmp_path / "p.jsonl", rows(*TEXTS))
    run_extract(path, Bytes(), out=tmp_path / "run", stretch=5, probability=1e-30)
    spans = tmp_path / "run/spans.csv"
    titles, *others = csv.reader(io.StringIO(spans.read_text("utf-8"), newline=""))
    with spans.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([titles, *([*row[:-1], "x" * 200_000] for row in others)])
    assert {len(span.text) for span in read_extraction(tmp_path / "run").spans} == {200_000}


def test_redacted(tmp_path: Path, tiny_bos: str) -> None:
    """No word of a passage is in what is handed on, whatever lay there before; every figure is."""
    texts = ["Zebras quietly juxtapose vexing riddles", "Gnomes fetch brown walnuts from Uxbridge"]
    path, model = write(tmp_path / "p.jsonl", rows(*texts)), load_model(tiny_bos, compiled=False)
    options: dict[str, Any] = {"stretch": 2, "probability": 1e-9, "prefix": 0, "proof": True, "samples": 0}
    shown = run_extract(path, model, out=tmp_path / "run", **options)
    assert {proof.original in texts[int(proof.id[1])] for proof in shown.proofs} == {True}
    assert all(proof.prompt + proof.original in texts[int(proof.id[1])] for proof in shown.proofs)
    words, runs = words_of(texts), runs_of(ids.tolist() for ids in model.encode(texts))
    assert leaks(tmp_path / "run", words, runs).keys() == {"spans.csv", "proofs.csv"}
    redacted = run_extract(path, model, out=tmp_path / "run", redact=True, **options)
    assert redacted == replace(without_texts(shown), redacted=True)
    assert read_extraction(tmp_path / "run") == redacted
    assert leaks(tmp_path / "run", words, runs) == {}


def test_another_model_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", rows(*TEXTS))
    run_extract(path, Bytes(), out=tmp_path / "run", stretch=5)
    with pytest.raises(RunDirectoryError, match="belongs to another run"):
        run_extract(path, Bytes(bos=True), out=tmp_path / "run", stretch=5)


def test_what_a_model_in_memory_must_be_able_to_say(tmp_path: Path, tiny_bos: str) -> None:
    path = write(tmp_path / "p.jsonl", rows(*TEXTS))
    with pytest.raises(ModelError, match="does not report the position of each token"):
        run_extract(path, FakeBackend(0), out=tmp_path / "run", stretch=5)
    with pytest.raises(ModelError, match="gives signals and writes no text"):
        run_extract(path, Bytes(), out=tmp_path / "other", stretch=2, probability=1e-9, proof=True)
    local = load_model(tiny_bos, compiled=False)
    result = run_extract(
        path, local, out=tmp_path / "local", stretch=2, probability=1e-9, prefix=0, proof=True, samples=2
    )
    assert len(result.proofs) == min(20, len(result.spans)) > 0
    assert {span.start_token for span in result.spans} >= {0}, "after BOS the first token is scored too"


def test_only_the_likeliest_spans_are_proved(tmp_path: Path, tiny: str) -> None:
    texts = [f"{word} bends under seven geese and {word}" for word in WORDS[:12]]
    path = write(tmp_path / "p.jsonl", rows(*dict.fromkeys(texts)))
    spec = ModelSpec(tiny, dtype="float32")
    result = run_extract(
        path, spec, out=tmp_path / "run", stretch=3, probability=1e-12, proof=True, samples=0, most_proofs=4
    )
    best = sorted((span.likeliest.log_probability for span in result.spans), reverse=True)[:4]
    np.testing.assert_allclose([math.log(span.probability) for span in result.proofs], best, atol=1e-3)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["tiny", "tiny_bos"])
def test_longer_than_a_window(name: str, dtype: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The prompt of a proof is what the window held, so that prediction and proof are of one thing."""
    text, model = words(random.Random(3), 120), ModelSpec(request.getfixturevalue(name), dtype=dtype)
    path, off = write(tmp_path / "p.jsonl", rows(text)), rounding_of(model.load(compiled=False)).of_sum(2)
    result = run_extract(
        path, model, out=tmp_path / "run", stretch=2, probability=1e-20, window_tokens=32, proof=True, samples=0
    )
    assert result.window == WindowRule(32, 8)
    stated = {span.likeliest.start_token: span.likeliest.log_probability for span in result.spans}
    assert len(result.proofs) == len(stated) > 3, "a span in each window"
    for proof in result.proofs:
        assert proof.prompt_tokens < 32
        assert math.log(proof.probability) == pytest.approx(stated[proof.start_token], abs=off)
    assert ExtractionNote.CROSSING in [note.kind for note in result.notes]
    with pytest.raises(UsageError, match=r"no room for a prompt in windows of 3[12] tokens"):
        run_extract(path, model, out=tmp_path / "run", stretch=40, probability=1e-300, window_tokens=32)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["tiny", "tiny_bos"])
def test_every_stated_probability_is_the_models_own_after_one_prompt(
    name: str, dtype: str, request: pytest.FixtureRequest
) -> None:
    """Of every stretch that counts, and none that counts goes over the edge of a window: there it would not be."""
    text, folder = words(random.Random(5), 60), request.getfixturevalue(name)
    model: Any = load_model(folder, dtype=dtype, compiled=False)
    rule, n, first = WindowRule(32, 8), 6, 0 if model.opening else 1
    ids = model.encode([text])[0]
    signals = join(model.score(cut(ids, rule, opening=model.opening)), model.info.tokenizer)
    inside = [edge - first for edge in edges(len(ids), rule, opening=len(model.opening))]
    result = examine(signals, n=n, edges=inside)
    sums = stretch_sums(signals.logprob.astype(np.float64), n)
    off = []
    for start, stated in enumerate(sums):
        prompt = prompt_before(ids, rule, model.opening, start + first, n)
        generated = continuations(model, prompt, ids[start + first : start + first + n]).log_probability
        off.append(abs(generated - stated))
    crossing = np.array([any(start < edge < start + n for edge in inside) for start in range(len(sums))])
    assert result.crossing == crossing.sum() == len(inside) * (n - 1)
    rounding = rounding_of(model).of_sum(n)
    assert np.max(np.array(off)[~crossing]) < rounding
    assert np.max(np.array(off)[crossing]) > max(0.1, rounding), "what is left out would have been wrong"
    assert not crossing[result.likeliest]


@pytest.mark.parametrize("opening", [(), (99,), (98, 99)])
@pytest.mark.parametrize("size", [5, 12, 40, 41])
def test_the_prompt_is_what_the_scoring_window_held(opening: tuple[int, ...], size: int) -> None:
    ids, rule = np.arange(size, dtype=np.int32), WindowRule(12, 3)
    for window in cut(ids, rule, opening=opening):
        for at in range(window.first_scored, len(window.tokens)):
            start = int(window.tokens[at])
            prompt = prompt_before(ids, rule, opening, start, 1)
            np.testing.assert_array_equal(prompt, window.tokens[:at])
            short = prompt_before(ids, rule, opening, start, 6)
            assert len(short) + 6 <= 12
            assert short[-1] == start - 1 or (opening and start == 0)


def test_a_damaged_pair_of_signals_and_tokenizer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "p.jsonl", rows(*TEXTS))
    backend = Bytes()
    run_extract(path, backend, out=tmp_path / "run", stretch=5)
    monkeypatch.setattr(Bytes, "spans", lambda self, text: np.zeros((3, 2), dtype=np.int64))
    with pytest.raises(ModelError, match="the tokenizer gives 3 tokens, but the signals have"):
        run_extract(path, backend, out=tmp_path / "run", stretch=5, probability=1e-30)
    backend.fingerprint = "another"
    with pytest.raises(ModelError, match="the tokenizer differs from that of the signals"):
        run_extract(path, backend, out=tmp_path / "run", stretch=5)


def test_only_one_token_passages(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", rows("x", "y"))
    with pytest.raises(PassageError, match="the longest passage has 0 scored tokens"):
        run_extract(path, Bytes(), out=tmp_path / "run", stretch=1)


def test_ids_that_look_like_markup_or_terminals_are_shown_as_they_are(tmp_path: Path, capsys: Any) -> None:
    from llm_mia.cli.output import show
    from llm_mia.report import extraction_table

    text = Bytes().likeliest("q", 12)
    path = write(tmp_path / "p.jsonl", [{"id": "[red]a\x1b[2J", "text": f"{text} [bold]b[/] \x1b[31m"}])
    result = run_extract(path, Bytes(), out=tmp_path / "run", stretch=3, probability=1e-30)
    show(extraction_table(result))
    out = capsys.readouterr().out
    assert "[red]a" in out
    assert "[bold]b[/]" in out
    assert "\x1b" not in out


def test_a_book_is_cut_as_little_as_may_be(cli: Callable[..., Ran], tmp_path: Path, tiny: str) -> None:
    book = tmp_path / "book.txt"
    book.write_text(words(random.Random(8), 900), encoding="utf-8")
    ran = cli("extract", book, "-m", tiny, "-o", tmp_path / "run", "-q", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["passages"], [entry["document"] for entry in ran.json["documents"]]) == (1, ["book.txt"])


def test_signals_lie_where_scoring_puts_them(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", rows(*TEXTS))
    run_extract(path, Bytes(), out=tmp_path / "run", stretch=5)
    with RunDirectory(tmp_path / "run") as run:
        assert [row.id for row in run.signals("target")] == ["p0", "p1", "p2", "p3"]
    assert {entry.name for entry in (tmp_path / "run").iterdir() if not entry.name.startswith(".")} == {
        "run.json", "signals", "extraction.json", "spans.csv",
    }  # fmt: skip
    assert isinstance(next(iter(read_passages(path))), Passage)


# -- what is stated where there is nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "probability", "says", "not_says"),
    [
        (None, 1.0, ["no spans in 1 document: given the text before it, the model writes no stretch of 3 tokens with p",
                     "there is no evidence that the model has memorised any of these texts; they may still have been"],
         ["This is evidence", "nobody can say"]),
        (0, 1.0, ["no spans in 1 document", "of 1 document of known non-members, 0 have such"], ["This is evidence"]),
        (None, 1e-30, ["This is evidence that the model has memorised the text of a span", "nobody can say how often"],
         ["no spans"]),
        (0, 1e-30, ["All spans lie in texts that are known not to be in the training data (label 0), so at this "
                    "probability a span is no evidence"], ["This is evidence"]),
    ],
)  # fmt: skip
def test_no_evidence_is_worded_where_there_is_none(
    label: int | None, probability: float, says: list[str], not_says: list[str], tmp_path: Path
) -> None:
    backend = Bytes()
    path = write(tmp_path / "p.jsonl", rows(*(backend.likeliest(start, 12) for start in "abc"), label=label))
    extraction = run_extract(path, backend, out=tmp_path / "run", stretch=3, probability=probability)
    shown = " ".join(rendered(extraction_table(extraction), width=4000).split())
    for part in says:
        assert part in shown
    for part in not_says:
        assert part not in shown
    assert extraction_summary(extraction)["statement"] in shown


def test_probable_stretches_that_do_not_count_are_not_denied(tmp_path: Path) -> None:
    """The model writes them, but can copy them from earlier in the passage."""
    text = Bytes().likeliest("q", 1) * 20
    path = write(tmp_path / "p.jsonl", rows(text))
    extraction = run_extract(path, Bytes(), out=tmp_path / "run", stretch=30, probability=1e-300)
    assert not extraction.spans
    assert next(note.kind for note in extraction.notes) == "stretches copied"
    assert "the model writes no stretch of 30 tokens that counts with probability" in extraction_statement(extraction)
