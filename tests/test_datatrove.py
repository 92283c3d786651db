"""The step of a datatrove pipeline: real files through datatrove's executor, compared with `score`."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import AttackError
from llm_mia.scoring import TextScorer, score

datatrove = pytest.importorskip("datatrove")
TEXTS = ["The tide comes in twice a day.", "", "a", "Nobody who lives here looks at a clock. " * 30, "a"]


def documents(texts: Iterable[str]) -> list[Any]:
    from datatrove.data import Document

    return [Document(text, f"d{at}", metadata={"url": f"u{at}"}) for at, text in enumerate(texts)]


def test_a_document_gets_the_scores_of_score(tmp_path: Path) -> None:
    from llm_mia.distributed.datatrove import MembershipScorer

    step = MembershipScorer(FakeBackend(0), FakeBackend(1), token_statistics=True)
    scored = list(step(documents(TEXTS)))
    assert [document.text for document in scored] == TEXTS
    assert scored[0].metadata["url"] == "u0"
    found = [document.metadata["llm_mia"] for document in scored]
    columns = list(found[0]["scores"])
    assert {"loss", "min_k", "zlib", "reference"} <= set(columns)
    kept = [at for at, text in enumerate(TEXTS) if text]
    table = score([TEXTS[at] for at in kept], FakeBackend(0), FakeBackend(1), attacks=columns, out=tmp_path)
    for name in columns:
        values = [found[at]["scores"][name] for at in kept]
        np.testing.assert_allclose(values, table.column(name), rtol=1e-5, err_msg=name)  # signals are float32
    assert found[0]["tokens"] == {"target": len(TEXTS[0]) - 1, "reference": len(TEXTS[0]) - 1}
    assert all(map(math.isnan, [*found[1]["perplexity"].values(), *found[1]["scores"].values()]))  # an empty text
    of_first = found[0]["token_statistics"]["target"]["logprob"]
    assert math.exp(-np.mean(of_first)) == pytest.approx(found[0]["perplexity"]["target"])


def test_a_pipeline_of_files(tmp_path: Path, tiny: str) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    from llm_mia.distributed.datatrove import MembershipScorer

    texts = tmp_path / "texts"
    texts.mkdir()
    for at, text in enumerate(TEXTS[2:]):
        pq.write_table(pa.table({"id": [f"d{at}"], "text": [text]}), texts / f"{at}.parquet")
    step = MembershipScorer(tiny, attacks=["loss"])
    pickle.dumps(step)  # so it reaches the machines of a cluster
    steps = [ParquetReader(str(texts)), step, ParquetWriter(str(tmp_path / "scored"))]
    LocalPipelineExecutor(steps, tasks=2, workers=1, logging_dir=str(tmp_path / "logs")).run()
    rows = pq.read_table(tmp_path / "scored").to_pylist()
    assert sorted(row["id"] for row in rows) == ["d0", "d1", "d2"]
    scorer = TextScorer(tiny, attacks=["loss"])
    for row in rows:
        expected = scorer([row["text"]]).scores["loss"][0]
        shown = row["metadata"]["llm_mia"]["scores"]["loss"]
        # The batch differs, and with it the rounding.
        assert shown == pytest.approx(expected, rel=1e-3, nan_ok=True)


def test_an_attack_that_needs_other_texts_is_refused_before_a_model_is_loaded() -> None:
    with pytest.raises(AttackError, match="attack 'lowercase' has the models read other texts"):
        TextScorer("no-such-model", attacks=["lowercase"])


def test_a_task_without_documents_loads_no_model() -> None:
    from llm_mia.distributed.datatrove import MembershipScorer

    assert list(MembershipScorer("no-such-model")(documents([]))) == []
