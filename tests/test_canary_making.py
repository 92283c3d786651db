"""Making, drawing and verifying canaries: what is sealed, what becomes public, and how it can be wrong."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.backends.ngram import NgramBackend
from llm_mia.canary import (
    SentenceRule,
    draw_canaries,
    drawn_variant,
    make_canaries,
    read_sealed,
    verify_canaries,
)
from llm_mia.cli import main
from llm_mia.errors import InputError, LlmMiaError, RunDirectoryError, UsageError
from llm_mia.perplexities import perplexity
from llm_mia.records import IntArray
from llm_mia.store import locked

SECRET = bytes(range(32))
Row = dict[str, object]


def words(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice([*"abcdefghiklmnoprstu"], rng.integers(4, 9))) for _ in range(count)]


def documents(count: int = 6, seed: int = 0) -> list[Row]:
    """Documents of three paragraphs each, of 400 different words."""
    rng, known = np.random.default_rng(seed), words(400)
    paragraphs = [" ".join(rng.choice(known, 30)) + "." for _ in range(3 * count)]
    return [{"id": f"letters/{at}", "text": "\n\n".join(paragraphs[3 * at : 3 * at + 3])} for at in range(count)]


def rephrased(rows: Sequence[Row], each: int = 3) -> list[Row]:
    rng = np.random.default_rng(9)
    return [
        {"id": f"{row['id']}-{at}", "document": row["id"], "text": " ".join(rng.permutation(str(row["text"]).split()))}
        for row in rows
        for at in range(each)
    ]


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """Canaries that are not drawn."""
    rows = documents()
    more = rephrased(rows)
    return make_canaries(rows, out=tmp_path / "dir", kind="rephrase", rephrased=more, beacon_source="round 5").folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is made


def test_the_draw_is_that_of_the_beacon_and_nothing_is_public_before(sealed: Path) -> None:
    before = read_sealed(sealed)
    assert before.public is None
    assert not (sealed / "public").exists()
    assert verify_canaries(sealed).notes == ("nothing was drawn yet",)
    written = draw_canaries(sealed, "ffee\n")
    after = read_sealed(sealed)
    assert written.manifest.root == before.manifest.root
    assert (after.manifest.beacon, after.manifest.beacon_source) == ("ffee", "round 5")
    chosen = [drawn_variant(before.secret, document, "ffee", 4) for document in before.variants]
    assert after.public == tuple(chosen)
    assert contents(sealed / "public") == {
        f"letters_{at}.txt": texts[chosen[at]].encode() for at, texts in enumerate(before.variants.values())
    }
    assert verify_canaries(sealed).faults == ()
    assert [texts[0] for texts in before.variants.values()] == [row["text"] for row in documents()]


def test_no_second_draw_but_the_same_completes_a_stopped_one(sealed: Path) -> None:
    draw_canaries(sealed, "ffee")
    whole = contents(sealed)
    with pytest.raises(InputError, match="was drawn with the beacon 'ffee', and a second draw would be a choice"):
        draw_canaries(sealed, "ffef")
    for path in (sealed / "public").iterdir():
        path.unlink()
    (sealed / "public").rmdir()
    draw_canaries(sealed, "ffee")
    assert contents(sealed) == whole


def test_of_two_draws_at_the_same_time_the_second_waits_and_is_refused(sealed: Path) -> None:
    """Each process says which value it has drawn; without the lock both might draw, and each publish its own."""
    code = (
        "import sys\n"
        "from llm_mia.canary import draw_canaries\n"
        "from llm_mia.errors import InputError\n"
        "sys.stdin.read(1)\n"
        "try:\n    print(draw_canaries(sys.argv[1], sys.argv[2]).manifest.beacon)\n"
        "except InputError:\n    print('refused')\n"
    )
    drawing = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(sealed), beacon], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for beacon in ("ffee", "eeff")
    ]
    with locked(sealed / ".manifest.json.drawing"):
        for each in drawing:
            assert each.stdin is not None
            each.stdin.write("go")
            each.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            drawing[0].wait(1)
        assert not (sealed / "public").exists()
    said = [each.communicate()[0].strip() for each in drawing]
    drawn = str(read_sealed(sealed).manifest.beacon)
    assert sorted(said) == sorted([drawn, "refused"])
    assert verify_canaries(sealed).faults == ()


def test_nothing_is_left_where_nothing_can_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        draw_canaries(tmp_path / "nowhere", "ffee")
    assert [*tmp_path.iterdir()] == []


def test_without_a_beacon_the_draw_rests_on_the_secret(tmp_path: Path) -> None:
    written = make_canaries(documents(), out=tmp_path / "dir", kind="token", variants=3, secret=SECRET)
    assert written.drawn
    assert read_sealed(tmp_path / "dir").public == tuple(
        drawn_variant(SECRET, f"letters/{at}", "", 3) for at in range(6)
    )
    assert "rests on the secret alone" in verify_canaries(tmp_path / "dir").notes[0]
    with pytest.raises(InputError, match="was drawn without a beacon"):
        draw_canaries(tmp_path / "dir", "ffee")


def test_what_is_sealed_is_for_its_owner_alone(sealed: Path) -> None:
    modes = {path: stat.S_IMODE((sealed / path).stat().st_mode) for path in ("", "sealed", *contents(sealed))}
    assert modes[""] == modes["sealed"] == 0o700
    assert modes["sealed/secret"] == modes["sealed/variants.jsonl"] == 0o600
    manifest = (sealed / "manifest.json").read_text()
    assert read_sealed(sealed).secret.hex() not in manifest
    assert not [texts for texts in read_sealed(sealed).variants.values() if texts[0][:20] in manifest]


def added(texts: Sequence[str], document: str) -> tuple[int, list[str]]:
    """Where *texts* differ from *document*, and what each has there, with the blank before it."""
    place = next(
        at
        for at in range(len(document) + 1)
        if all(text.startswith(document[:at]) and text.endswith(document[at:]) for text in texts)
        and (at == len(document) or document[at] in "\r\n")
    )
    return place, [text[place : len(text) - len(document) + place] for text in texts]


def three_in_a_row(trap: str) -> set[tuple[str, ...]]:
    each = trap.casefold().split()
    return {tuple(each[at : at + 3]) for at in range(len(each) - 2)}


def assert_apart(traps: Sequence[str]) -> None:
    grams = [gram for trap in traps for gram in three_in_a_row(trap)]
    assert len(grams) == len(set(grams)) > 0


def test_random_words_at_the_end_of_a_paragraph_the_same_place_in_all_variants(tmp_path: Path) -> None:
    rows, places, traps = documents(), [], []
    make_canaries(rows, out=tmp_path / "dir", kind="token", secret=SECRET)
    for row, texts in zip(rows, read_sealed(tmp_path / "dir").variants.values(), strict=True):
        place, of_document = added(texts, str(row["text"]))
        places.append(str(row["text"])[:place].count("\n\n"))
        traps += of_document
        assert len(texts) == 8
    assert {len(trap.split()) for trap in traps} == {16}
    assert len(set(places)) > 1, "places are drawn"
    assert_apart(traps)
    make_canaries(rows, out=tmp_path / "again", kind="token", secret=SECRET)
    assert contents(tmp_path / "again") == contents(tmp_path / "dir")
    make_canaries(rows, out=tmp_path / "other", kind="token")
    assert not {texts[0] for texts in read_sealed(tmp_path / "other").variants.values()} & {
        texts[0] for texts in read_sealed(tmp_path / "dir").variants.values()
    }


class _Letters:
    """A token for each byte, and texts of ASCII."""

    fingerprint, opening, vocabulary = "letters", (256,), 257

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts]

    def spans(self, text: str) -> NDArray[np.int64]:
        return np.stack([np.arange(len(text)), np.arange(1, len(text) + 1)], axis=1)


class Writer(NgramBackend):
    """An n-gram model that also writes: known words, and the hotter it is, the more letters are exchanged."""

    tokens = _Letters()

    def sample(
        self, prompts: Sequence[str], *, number: int, max_tokens: int, temperature: float, seed: int
    ) -> list[list[str]]:
        known = words(400)
        continued = []
        for prompt in prompts:
            rng = np.random.default_rng([seed, *prompt.encode()])
            text = " ".join(rng.choice(known, max_tokens // 4))
            letters = [*text]
            for at in np.flatnonzero(rng.random(len(text)) < 0.1 * temperature):
                letters[at] = str(rng.choice([*"abcdefghiklmnoprstu"]))
            continued.append([" " + "".join(letters)[:max_tokens]] * number)
        return continued


def test_sentences_have_the_perplexity_and_the_length_that_were_chosen(tmp_path: Path) -> None:
    rows = documents()
    writer, rule = Writer(str(row["text"]) for row in documents(60, seed=1)), SentenceRule(7.0, 12.0, tokens=60)
    make_canaries(rows, out=tmp_path / "dir", kind="insert", variants=3, model=writer, sentences=rule, secret=SECRET)
    traps = [
        trap.removeprefix(" ")
        for row, texts in zip(rows, read_sealed(tmp_path / "dir").variants.values(), strict=True)
        for trap in added(texts, str(row["text"]))[1]
    ]
    assert len(traps) == 18
    assert_apart(traps)
    assert {len(trap) for trap in traps} == {60}
    measured = perplexity(traps, writer)
    assert measured.min() >= 7
    assert measured.max() <= 12
    usual = perplexity([" ".join(words(400)[at : at + 8]) for at in range(40)], writer)
    assert np.median(usual) < 7, "without the choice, sentences would be easier"
    unlikely = SentenceRule(900, 1000, tokens=60)
    with pytest.raises(InputError, match=r"ngram: gave 0 of 12 sentences of `perplexity` 900-1000 .*another range"):
        make_canaries(rows, out=tmp_path / "no", kind="insert", variants=2, model=writer, sentences=unlikely)
    assert not (tmp_path / "no").exists()


class _Joining(_Letters):
    """A token for each byte, but that a vowel may join with the white space, or the exclamation mark, before it."""

    joined = " "

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        return super().encode([re.sub(f"{self.joined}[AEIOU]", "-", text) for text in texts])


def numbers_of_tokens(folder: Path, tokenizer: _Letters) -> list[set[int]]:
    return [{len(each) for each in tokenizer.encode(texts)} for texts in read_sealed(folder).variants.values()]


def test_sentences_add_the_same_number_of_tokens_to_their_documents(tmp_path: Path) -> None:
    rows = documents()
    writer, rule = Writer(str(row["text"]) for row in documents(60, seed=1)), SentenceRule(7.0, 12.0, tokens=60)

    def made(name: str, rows: list[Row]) -> tuple[Path, tuple[str, ...]]:
        given = {"kind": "insert", "variants": 4, "model": writer, "sentences": rule, "secret": SECRET}
        written = make_canaries(rows, out=tmp_path / name, **given)  # type: ignore[arg-type]
        return written.folder, written.notes

    folder, notes = made("letters", rows)
    assert notes == ()
    assert any(len(each) > 1 for each in numbers_of_tokens(folder, _Joining())), "alone, the sentences are equally long"
    writer.tokens = _Joining()
    folder, notes = made("joining", rows)
    assert notes == ()
    assert all(len(each) == 1 for each in numbers_of_tokens(folder, writer.tokens))
    # What joins only with a mark that no sentence has before it is noted: nobody can see it before the place is known.
    writer.tokens.joined = "! "
    called = [{**row, "text": str(row["text"]).replace(".", "!")} for row in rows]
    folder, notes = made("called", called)
    unequal = sum(len(each) > 1 for each in numbers_of_tokens(folder, writer.tokens))
    assert notes == (
        f"in {unequal} of 6 documents the variants have unequal numbers of tokens, by 2 at most: some sentences join "
        "with the words around them; the test remains exact",
    )


def test_names_of_files_are_safe_and_differ(tmp_path: Path) -> None:
    names = ["../../etc/x", "a b", "a/b", "A_B", "...", "ü" * 300, "n.txt"]
    rows = [{**row, "id": name} for row, name in zip(documents(7), names, strict=True)]
    make_canaries(rows, out=tmp_path / "dir", kind="token", variants=2)
    files = sorted(path.name for path in (tmp_path / "dir" / "public").iterdir())
    assert len({name.casefold() for name in files}) == 7
    assert {"etc_x.txt", "a_b.txt", "document.txt", "n.txt"} < set(files)
    assert max(len(name.encode()) for name in files) < 255
    assert verify_canaries(tmp_path / "dir").faults == ()


# What is refused

ROWS = documents()
MORE = rephrased(ROWS)


def last(**change: object) -> list[Row]:
    return [*MORE[:-1], {**MORE[-1], **change}]


REFUSED: dict[str, tuple[list[Row], str]] = {
    "one variant only": (
        MORE[:-3],
        r"document 'letters/5' has a single variant, its text \(so have 1 of 6 documents\)",
    ),
    "equal": (
        last(text=f"{ROWS[5]['text']}".upper().replace(" ", "  ")),
        r"'letters/5': variants 0 and 3 are equal but",
    ),
    "equal accents": (
        [*MORE[:-2], {**MORE[-2], "text": "caf\u00e9 au lait"}, {**MORE[-1], "text": "cafe\u0301  au lait"}],
        r"variants 2 and 3 are equal but for case, white space and Unicode",
    ),
    "visible in its document": (
        last(text=f"Once more: {ROWS[5]['text']}"),
        r"'letters/5': variant 0 is contained in variant 3 of 'letters/5', so it would not stay sealed",
    ),
    "visible elsewhere": (
        last(text=" ".join(str(ROWS[0]["text"]).split()[5:20])),
        r"'letters/5': variant 3 is contained in variant 0 of 'letters/0'",
    ),
    "no such document": (last(document="letter 5"), r"row 18: there is no document 'letter 5'"),
}


@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=[*REFUSED])
def test_variants_that_would_spoil_the_test_are_refused(more: list[Row], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as raised:
        make_canaries(ROWS, out=tmp_path / "dir", kind="rephrase", rephrased=more)
    assert "\n" not in str(raised.value)
    assert [*tmp_path.iterdir()] == []


def test_unequal_numbers_of_variants_are_noted(tmp_path: Path) -> None:
    written = make_canaries(ROWS, out=tmp_path / "dir", kind="rephrase", rephrased=MORE[:-1])
    assert written.notes == (
        "the documents have unequal numbers of variants: 1 of 6 have fewer than 4, the least 3; the test remains "
        "exact, and fewer variants show less",
    )
    assert [len(texts) for texts in read_sealed(tmp_path / "dir").variants.values()] == [4] * 5 + [3]
    fewer = make_canaries(ROWS, out=tmp_path / "fewer", kind="rephrase", rephrased=MORE, variants=3)
    assert fewer.notes == ("6 further variants were left out, because `variants` is 3",)


def test_arguments_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def refused(kind: str, error: type[LlmMiaError], message: str, **arguments: object) -> None:
        out = arguments.pop("out", tmp_path / "dir")
        with pytest.raises(error, match=message):
            make_canaries(ROWS, out=out, kind=kind, **arguments)  # type: ignore[arg-type]

    refused("tokens", UsageError, "`kind` is 'tokens': give one of rephrase, insert, token")
    refused("token", UsageError, "`variants` is 1: a document needs at least 2", variants=1)
    refused("rephrase", UsageError, "takes its variants from a file: give `rephrased`")
    refused("token", UsageError, "`rephrased` is for the kind rephrase, and `kind` is token", rephrased=MORE)
    refused("token", UsageError, "are for the kind insert", model="embedded")
    refused("token", UsageError, "give one", beacon="a", beacon_source="b")
    refused("token", UsageError, "is empty", beacon=" ")
    refused("token", RunDirectoryError, "exists already.*documents that are added need canaries of", out=tmp_path)
    with pytest.raises(InputError, match="have 3 different words, and random words are drawn from at least 200"):
        make_canaries([{"text": "only three words"}], out=tmp_path / "dir", kind="token")
    for low, high in ((5, 5), (0.5, 2), (1, float("inf"))):
        with pytest.raises(UsageError, match="give LOW-HIGH"):
            SentenceRule(low, high)
    assert [*tmp_path.iterdir()] == []


# What is verified


def edited(name: str, change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(change((folder / name).read_text()))


def other_variant(folder: Path) -> None:
    sealed = read_sealed(folder)
    assert sealed.public is not None
    (folder / "public" / "letters_2.txt").write_text(sealed.variants["letters/2"][(sealed.public[2] + 1) % 4])


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "another schema": (
        edited("manifest.json", lambda text: text.replace('"schema_version": ', '"schema_version": 9')),
        r"manifest\.json: has schema version 9\d+, and this release reads \d+; ",
    ),
    "no manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        r"manifest\.json: no such file; name a folder of",
    ),
    "leaf edited": (
        edited("manifest.json", lambda text: re.sub(r'"leaves": \[\s+"..', lambda match: match[0][:-2] + "ab", text)),
        r"manifest\.json: its root is not that of its leaves, so it was edited",
    ),
    "no leaf": (edited("manifest.json", lambda text: text.replace('": "', '": "x', 1)), r"manifest\.json: is damaged"),
    "root edited": (
        edited("manifest.json", lambda text: re.sub(r'"root": "..', '"root": "zz', text)),
        r"manifest\.json: its root is not that of its leaves",
    ),
    "commitment edited": (
        edited("manifest.json", lambda text: re.sub(r'"commitment": "..', '"commitment": "zz', text)),
        r"manifest\.json: its commitment is not that of the secret",
    ),
    "beacon edited": (
        edited("manifest.json", lambda text: text.replace('"ffee"', '"ffef"')),
        r"public/letters_\d\.txt: holds variant \d, which is sealed, and the draw gives variant \d of 'letters/\d'",
    ),
    "no secret": (
        lambda folder: (folder / "sealed/secret").unlink(),
        r"sealed/secret: cannot be read \(No such file or directory\); without the secret nothing can be tested",
    ),
    "short secret": (edited("sealed/secret", lambda text: text[:10]), r"sealed/secret: is not a secret of 32 bytes"),
    "another secret": (
        edited("sealed/secret", lambda text: bytes(32).hex()),
        r"manifest\.json: its commitment is not that of the secret: it was edited, or the secret is that of other",
    ),
    "variant edited": (
        edited("sealed/variants.jsonl", lambda text: text.replace(".", "!", 1)),
        r"variants\.jsonl: document 'letters/0' variant 0 is not the text that was sealed",
    ),
    "variant removed": (
        edited("sealed/variants.jsonl", lambda text: text[: text.rindex('{"document"')]),
        r"variants\.jsonl: document 'letters/5' has 3 variants here, and 4 were sealed",
    ),
    "variants in another order": (
        edited("sealed/variants.jsonl", lambda text: "".join(reversed(text.splitlines(keepends=True)))),
        r"variants\.jsonl line 1: is not the next variant of a document",
    ),
    "document added": (
        edited("sealed/variants.jsonl", lambda text: text + '{"document": "new", "variant": 0, "text": "x"}\n'),
        r"variants\.jsonl: document 'new' is not in the manifest, so it was added after the sealing",
    ),
    "public text edited": (
        edited("public/letters_0.txt", lambda text: f"{text} "),
        r"public/letters_0\.txt: holds another text, and the draw gives variant \d",
    ),
    "sealed text published": (other_variant, r"public/letters_2\.txt: holds variant \d, which is sealed"),
    "public text missing": (
        lambda folder: (folder / "public/letters_0.txt").unlink(),
        r"public/letters_0\.txt: cannot be read \(No such file",
    ),
    "public text added": (
        lambda folder: (folder / "public/more.txt").write_text("x"),
        r"public/more\.txt: is no public variant of a sealed document: remove it",
    ),
    "hidden text added": (
        lambda folder: (folder / "public/.more.txt").write_text("x"),
        r"public/\.more\.txt: is no public variant of a sealed document: remove it",
    ),
}


@pytest.mark.parametrize(("tamper", "message"), TAMPERED.values(), ids=[*TAMPERED])
def test_every_change_is_noticed(
    tamper: Callable[[Path], object], message: str, sealed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_canaries(sealed, "ffee")
    assert main(["canary", "verify", str(sealed)]) == 0
    capsys.readouterr()
    tamper(sealed)
    with pytest.raises(InputError, match=message) as raised:
        read_sealed(sealed)
    assert "\n" not in str(raised.value)
    assert main(["canary", "verify", str(sealed)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(message, err.splitlines()[0])
    assert all(line.startswith("llm-mia: ") for line in err.splitlines())


def test_somebody_with_manifest_variants_and_the_secret_alone_can_verify(sealed: Path, tmp_path: Path) -> None:
    draw_canaries(sealed, "ffee")
    for path in (sealed / "public").iterdir():
        path.unlink()
    (sealed / "public").rmdir()
    (sealed / "sealed" / "secret").rename(tmp_path / "secret")
    verification = verify_canaries(sealed, secret=tmp_path / "secret")
    assert verification.faults == ()
    assert verification.public == read_sealed(sealed, secret=tmp_path / "secret").public
    assert verification.notes[1] == f"not checked, because {sealed / 'public'} is not here: what was published"
    assert verify_canaries(sealed).faults[0].startswith(f"{sealed / 'sealed' / 'secret'}: cannot be read")


# What is printed


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for name, rows in (("texts", ROWS), ("more", MORE)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "texts.jsonl"


def test_the_screens(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def screen(*arguments: str) -> str:
        assert main(["canary", *arguments]) == 0
        shown = capsys.readouterr().out
        assert len(shown.splitlines()) <= 15
        assert max(map(len, shown.splitlines())) <= 80
        return shown

    supplied = ["make", "texts.jsonl", "--kind", "rephrase", "--from", "more.jsonl", "-q"]
    made = screen(*supplied, "--beacon-source", "drand round 5", "-o", "later")
    root = read_sealed("later").manifest.root
    assert made.startswith("6 documents with 4 variants (rephrase): sealed in later. Nothing is drawn or\npublic yet.")
    assert f"root  {root}\n" in made
    assert "llm-mia canary draw later --beacon VALUE" in made
    assert "Without the secret in it\nnothing can ever be tested" in made
    assert f"root  {root}\n" in screen("draw", "later", "--beacon", "ffee")
    assert "beacon  ffee (drand round 5)\n" in screen("verify", "later")
    alone = screen(*supplied, "-o", "now")
    assert "the draw rests on the secret alone: whoever has it could have\ntried several secrets." in alone
    assert "The beacon was known before the sealing" in screen(*supplied, "--beacon", "ffee", "-o", "known")
    assert main(["canary", "make", "texts.jsonl", "--kind", "token", "--json", "-q", "-o", "words"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert as_json["root"] == read_sealed("words").manifest.root
    assert read_sealed("words").secret.hex() not in json.dumps(as_json)


def test_a_folder_of_texts_is_sealed_without_a_change(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    long = {f"{row['id']}".replace("/", "-") + ".txt": f"\n{row['text']}\n \n{row['text']}\r\n" for row in ROWS}
    for name, text in long.items():
        (folder / name).write_bytes(text.encode())
    assert main(["canary", "make", str(folder), "--kind", "token", "-q", "-o", str(tmp_path / "dir")]) == 0
    variants = read_sealed(tmp_path / "dir").variants
    assert [*variants] == sorted(long)
    for name, text in long.items():
        assert len({len(variant) for variant in variants[name]}) > 1
        added(variants[name], text)


def test_what_is_typed_wrong_is_a_line(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def line(*arguments: object, code: int) -> str:
        assert main(["canary", *map(str, arguments)]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        return err

    make = ["make", texts, "-o", tmp_path / "dir", "-q", "--kind"]
    assert "--variants is 1" in line(*make, "token", "--variants", 1, code=2)
    assert "--perplexity is '5': give LOW-HIGH" in line(*make, "insert", "--perplexity", "5", code=2)
    assert "takes its variants from a file: give --from" in line(*make, "rephrase", code=2)
    assert "no such file" in line(*make, "rephrase", "--from", tmp_path / "none.jsonl", code=1)
    assert "--beacon is empty" in line("draw", tmp_path, "--beacon", "", code=2)
    assert "no such file; name a folder of 'llm-mia canary make'" in line("draw", tmp_path, "--beacon", "x", code=1)
    assert not (tmp_path / "dir").exists()


def test_the_group_alone_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["canary"]) == 0
    assert {"make", "draw", "verify"} <= set(capsys.readouterr().out.split())
