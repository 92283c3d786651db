"""A pilot: a model is trained on public variants among other texts, and scores all variants."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..backends import ModelSpec
from ..errors import RunDirectoryError
from ..passages import Passages
from ..scores import read_scores
from ..scoring import score_to_disk
from ..signals import Progress
from ..store import read_record, read_run, to_json, write_text
from ._manifest import CanaryKind
from ._pilot_texts import PilotSource, package_documents
from ._plan_record import PILOTS, Pilot, PilotDocument, PilotSettings
from ._sealing import drawn_variant
from ._testing import only_owner_reads
from ._texts import Variants

if TYPE_CHECKING:
    from ..training import Training

__all__ = ["ATTACKS", "PilotRun", "read_pilot"]

ATTACKS = ("reference", "loss")
"""The attack that decides, and the attack for those who have no reference model."""
VARIANTS, MODEL, RUN = "variants.json", "model", "run"


@dataclass(frozen=True)
class PilotRun:
    """A pilot that is run, or was."""

    path: Path
    """The folder of the plan."""
    number: int
    """From 1."""
    settings: PilotSettings
    source: PilotSource
    model: ModelSpec
    progress: Progress | None = None

    @property
    def file(self) -> Path:
        """Where the result lies, numbers alone."""
        return self.path / PILOTS / f"pilot-{self.number}.json"

    @property
    def work(self) -> Path:
        """The folder of what is removed at the end: variants, the trained model, and their signals."""
        return self.path / PILOTS / f"pilot-{self.number}"

    @property
    def key(self) -> bytes:
        """What all that is random in the pilot is drawn by; no secret."""
        return hashlib.sha256(f"llm_mia pilot {self.settings.recipe.seed} {self.number}".encode()).digest()

    @cached_property
    def variants(self) -> Variants:
        """Those of the documents of this pilot; written once, because sentences take long."""
        stored = self.work / VARIANTS
        if stored.exists():
            return {name: tuple(texts) for name, texts in json.loads(stored.read_text("utf-8")).items()}
        count = self.settings.documents * len(self.settings.repeats)
        names = self.source.draw(self.number, count, self.settings.recipe.seed)
        return self.source.variants_of(names, self.key, self.progress)

    @property
    def repeats(self) -> list[int]:
        """How often the public variant of each document is among the trained texts."""
        return [number for number in self.settings.repeats for _ in range(self.settings.documents)]

    @property
    def public(self) -> list[int]:
        """Which variant of each document is public, drawn anew in each pilot."""
        return [drawn_variant(self.key, name, "", len(texts)) for name, texts in self.variants.items()]

    @property
    def training(self) -> Training:
        """The training of the model."""
        from ..training import Training

        drawn = zip(self.variants.values(), self.public, self.repeats, strict=True)
        published = [texts[at] for texts, at, repeats in drawn for _ in range(repeats)]
        others = random.Random(f"others {self.settings.recipe.seed} {self.number}").sample(  # noqa: S311 - no secret
            package_documents()[1], self.settings.others
        )
        recipe = replace(self.settings.recipe, seed=int.from_bytes(self.key[:4]))
        return Training(self.model, (*published, *others), self.work / MODEL, recipe, f"pilot {self.number}")

    @property
    def passages(self) -> Passages:
        """All variants, as the models read them."""
        rows = [
            {"id": _id(name, number), "document": name, "text": text}
            for name, texts in self.variants.items()
            for number, text in enumerate(texts)
        ]
        return Passages.of(rows, name=f"the variants of pilot {self.number}", label_column="")

    def run(self, *, keep_model: bool) -> Pilot:
        """Train, score and write the result, unless it is there; what is removed at the end holds the texts."""
        if self.file.exists():
            pilot = read_pilot(self.file)
            self._clear(keep_model)  # a process that was killed at the end has left it
            return pilot
        with only_owner_reads(self.path), only_owner_reads(self.path / PILOTS), only_owner_reads(self.work):
            if self.settings.kind is CanaryKind.INSERT:
                write_text(self.work / VARIANTS, json.dumps(self.variants, ensure_ascii=False))
            record = self.training.run(self.progress)
            began = time.monotonic()
            trained = replace(self.model, name=self.work / MODEL, revision=None, pre_tokenizer=None)
            score_to_disk(
                self.passages,
                trained,
                self.model,
                attacks=ATTACKS,
                out=self.work / RUN,
                window_tokens=self.settings.window_tokens,
                progress=self.progress,
            )
            documents = self._documents()
            pilot = Pilot(
                number=self.number,
                documents=tuple(documents),
                unused=len(self.variants) - len(documents),
                published=sum(self.repeats),
                trained=record.texts,
                tokens=record.tokens,
                cut=record.cut,
                loss=record.losses[-1],
                seconds=record.seconds + time.monotonic() - began,
                dtype=read_run(self.work / RUN).passes["target"].model.dtype,
            )
            write_text(self.file, to_json(pilot))
        self._clear(keep_model)
        return pilot

    def _documents(self) -> list[PilotDocument]:
        """The scores of the variants of each document, where all have scores."""
        table, documents = read_scores(self.work / RUN), list[PilotDocument]()
        at = {name: row for row, name in enumerate(table.ids)}
        for (document, texts), public, repeats in zip(self.variants.items(), self.public, self.repeats, strict=True):
            rows = [at[_id(document, number)] for number in range(len(texts))]
            scores = {name: tuple(map(float, table.columns[name][rows])) for name in ATTACKS}
            if np.isfinite([*scores.values()]).all():
                documents.append(PilotDocument(repeats, public, scores))
        return documents

    def _clear(self, keep_model: bool) -> None:
        """Remove all that holds texts; with *keep_model* the model stays."""
        for name in (RUN, *(() if keep_model else (MODEL,))):
            shutil.rmtree(self.work / name, ignore_errors=True)
        (self.work / VARIANTS).unlink(missing_ok=True)
        if not keep_model:
            shutil.rmtree(self.work, ignore_errors=True)


def read_pilot(path: Path) -> Pilot:
    """The result of a pilot in the file *path*.

    Raises:
        RunDirectoryError: it is no such result.
    """
    return read_record(Pilot, path, RunDirectoryError, "remove it, and run the same command again")


def _id(document: str, variant: int) -> str:
    return f"{document}#{variant}"
