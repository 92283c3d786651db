"""Verdicts on known sets that must be void, sound or not sound; and the time that checks and bounds take."""

from __future__ import annotations

import re
import sysconfig
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

from llm_mia.calibration import member_count_bound
from llm_mia.passages import read_passages
from llm_mia.records import Interval, Passage
from llm_mia.validity import Validity, validate

from .figures import Figure

STAGE = re.compile(r"\b(?:awards?|film|films|pageant|album|song|music|concert|actor|television)\b", re.IGNORECASE)
WORDS = 48
FAIR = ("sound", "not_checked")
"""Standings of a known set whose checks show no fault."""
REPEATED = 0.2
"""A topic is left out if longer topics hold more than this share of its lines: it is part of them."""


def leaky_figures(path: Path) -> list[Figure]:
    """WikiMIA: pages from before the model against events after it, which a date alone tells apart."""
    pages = list(read_passages(path))
    validity = validate([p for p in pages if p.label == 1], [p for p in pages if p.label == 0])
    blind = {name: _value(validity, f"blind_{name}_auroc") for name in ("words", "counts")}
    return [
        Figure(f"{path.stem}: verdict void (1: yes)", float(validity.standing == "void"), at_least=1,
               note=str(validity.standing)),
        Figure(f"{path.stem}: blind AUROC", max(blind.values()), at_least=0.95,
               note=", ".join(f"{name} {value:.3f}" for name, value in blind.items())),
        Figure(f"{path.stem}: AUROC of the latest year alone", _value(validity, "leak_latest_year"), at_least=0.9),
    ]  # fmt: skip


def topic_figures(path: Path) -> list[Figure]:
    """One corpus, divided by the subject of its documents: labels that follow a subject are not sound."""
    pages = [page for page in read_passages(path) if page.label == 0]
    stage = [bool(STAGE.search(page.text)) for page in pages]
    modules = source_passages(("asyncio", "email"))
    inside = [passage.document.startswith("asyncio") for passage in modules]
    return [
        _not_sound(f"{path.stem}, pages of 2023: stage and screen against the rest", pages, stage),
        _not_sound("Python's library, by file: asyncio against email", modules, inside),
    ]


def random_split_figures(path: Path, splits: int, rng: np.random.Generator) -> list[Figure]:
    """One corpus, divided at random by document: a check may fail only by chance."""
    pages = [page for page in read_passages(path) if page.label == 0]
    return [
        _share_sound(f"{path.stem}, pages of 2023", pages, splits, rng),
        _share_sound("Python's language topics, by topic", topic_passages(), splits, rng),
    ]


def cost_figures(passages: int, candidates: int, rng: np.random.Generator) -> list[Figure]:
    """Seconds to validate *passages*, and to bound the members among *candidates*."""
    every = source_passages(words=2 * WORDS)
    names = sorted({passage.document for passage in every})
    place = dict(zip(names, rng.permutation(len(names)).tolist(), strict=True))
    chosen = sorted(every, key=lambda passage: place[passage.document])[:passages]
    members, others = _halves(chosen, rng)
    start, busy = time.perf_counter(), time.process_time()
    validate(members, others)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    size = sum(passage.n_bytes for passage in chosen) / len(chosen)
    rows = [
        Figure(f"validate, {len(chosen):,} passages", seconds, "s", at_most=60,
               note=f"{busy:.0f} s on all cores; {len(members):,} against {len(others):,}, {size:.0f} bytes each")
    ]  # fmt: skip
    calibration, scores = rng.normal(size=10_000), rng.normal(size=candidates)
    scores[: candidates // 2] += 1
    for method in ("count", "simes"):
        start = time.perf_counter()
        bound = member_count_bound(scores, calibration, method=method)
        seconds = time.perf_counter() - start
        note = f"at least {bound.members:,} members; {len(calibration):,} known non-members"
        rows.append(Figure(f"count bound by {method}, {candidates:,} candidates", seconds, "s", at_most=5, note=note))
    return rows


def topic_passages() -> list[Passage]:
    """The topics of Python's own help, 48 words a passage, without those that repeat another."""
    seen: set[str] = set()
    kept = {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        lines = {line.strip() for line in topics[name].splitlines() if len(line.strip()) > 20}
        if len(lines & seen) <= REPEATED * len(lines):
            kept[name] = topics[name]
        seen |= lines
    return cut_words(kept.items(), WORDS)


def source_passages(packages: Sequence[str] = (), words: int = WORDS) -> list[Passage]:
    """The source of Python's library, *words* words a passage, a file a document; only *packages* if given."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not {"site-packages", "test", "tests"} & set(parts) and (not packages or parts[0] in packages):
            files.append(("/".join(parts), path.read_text("utf-8", errors="replace")))
    return cut_words(files, words)


def cut_words(documents: Iterable[tuple[str, str]], size: int) -> list[Passage]:
    """Each document in passages of *size* words."""
    passages = []
    for document, text in documents:
        words = text.split()
        passages += [
            Passage(f"{document}#{start}", " ".join(words[start : start + size]), document)
            for start in range(0, len(words), size)
        ]
    return passages


def _value(validity: Validity, name: str) -> float:
    figure = validity[name].figure
    assert isinstance(figure, Interval)
    return figure.value


def _checks_not_sound(validity: Validity) -> list[str]:
    """Names of the checks that show a fault."""
    return [check.name for check in validity.checks if check.is_fault]


def _parted(passages: Sequence[Passage], first: Sequence[bool]) -> tuple[list[Passage], list[Passage]]:
    """The passages for which *first* is true, and the others; both without their labels."""
    parts: tuple[list[Passage], list[Passage]] = [], []
    for passage, inside in zip(passages, first, strict=True):
        parts[not inside].append(replace(passage, label=None))
    return parts


def _halves(passages: Sequence[Passage], rng: np.random.Generator) -> tuple[list[Passage], list[Passage]]:
    """Two halves at random, by document."""
    names = sorted({passage.document for passage in passages})
    chosen = {names[i] for i in rng.permutation(len(names))[: len(names) // 2]}
    return _parted(passages, [passage.document in chosen for passage in passages])


def _not_sound(title: str, passages: Sequence[Passage], first: Sequence[bool]) -> Figure:
    members, others = _parted(passages, first)
    validity = validate(members, others)
    note = f"{validity.standing}, {len(members)} against {len(others)}: {', '.join(_checks_not_sound(validity))}"
    return Figure(f"{title}: not sound (1: yes)", float(validity.standing not in FAIR), at_least=1, note=note)


def _share_sound(title: str, passages: Sequence[Passage], splits: int, rng: np.random.Generator) -> Figure:
    sound, against = 0, Counter[str]()
    for seed in range(splits):
        validity = validate(*_halves(passages, rng), seed=seed)
        sound += validity.standing in FAIR
        against.update(_checks_not_sound(validity))
    documents = len({passage.document for passage in passages})
    note = f"{splits} splits of {len(passages)} passages, {documents} documents"
    note += "".join(f"; {name} {times}" for name, times in against.most_common())
    return Figure(f"random halves of {title}: sound", 100 * sound / splits, "%", at_least=95, note=note)
