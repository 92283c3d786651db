"""A step of a datatrove pipeline that scores its documents, on Slurm, Ray or a single machine.

    from llm_mia.distributed.datatrove import MembershipScorer

    pipeline = [JsonlReader("texts/"), MembershipScorer("./model", "./base"), JsonlWriter("scored/")]

datatrove gives each task its files, and repeats a task that failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import MissingExtraError
from ..perplexities import perplexity_of
from ..records import TOKEN_ARRAYS
from ..scoring import ModelSource, References, TextScorer, TextScores

try:
    from datatrove.data import Document, DocumentsPipeline
    from datatrove.pipeline.base import PipelineStep
except ModuleNotFoundError:
    raise MissingExtraError("datatrove", "pip install 'llm-mia[datatrove]'") from None

__all__ = ["MembershipScorer"]

BATCH_BYTES, BATCH_DOCUMENTS = 1 << 20, 4096
"""Most text that is scored together."""


class MembershipScorer(PipelineStep):  # type: ignore[misc]
    """Adds what each document scores to its metadata; every document passes.

    ``metadata["llm_mia"]`` holds ``scores`` by attack, and ``perplexity`` and ``tokens`` (how many were scored) by
    role of the model, ``target`` and ``reference``. Where no token can be scored, scores and perplexities are NaN, so
    that Parquet has the same type in every row; datatrove's JSON has null there.

    Args:
        target: the model under suspicion: a name or a `ModelSpec`. Each task loads it.
        reference: a model that was not trained on the documents, for the attacks that need one; or several.
        attacks: names with settings, as ``min_k:k=0.1``; empty: every attack that the models allow.
        token_statistics: whether to add ``token_statistics`` by role, too: a list for each field of `TokenSignals`.
        window_tokens: longest input fed to a model, see `llm_mia.signals`.

    Raises:
        AttackError, ModelError: see `llm_mia.scoring.TextScorer`, when a task begins.
    """

    name = "llm_mia: scores"
    type = "ANNOTATOR"

    def __init__(
        self,
        target: ModelSource,
        reference: References = None,
        *,
        attacks: Sequence[str] = (),
        token_statistics: bool = False,
        window_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self._models, self._attacks = (target, reference), tuple(attacks)
        self._token_statistics, self._window_tokens = token_statistics, window_tokens

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:  # noqa: ARG002
        """The documents of *data*, in order, with their scores."""
        scorer: TextScorer | None = None
        for batch in _batches(data):
            # Where a task has no documents, no model is loaded.
            scorer = scorer or TextScorer(*self._models, attacks=self._attacks, window_tokens=self._window_tokens)
            with self.track_time("batch"):
                scored = scorer([document.text for document in batch])
            for at, document in enumerate(batch):
                document.metadata["llm_mia"] = self._of_document(scored, at)
                self.stat_update("scored_tokens", value=len(scored.signals["target"][at]), unit="token")
                yield document

    def _of_document(self, scored: TextScores, at: int) -> dict[str, Any]:
        signals = {role: of_role[at] for role, of_role in scored.signals.items()}
        metadata: dict[str, Any] = {
            "scores": {attack: float(scores[at]) for attack, scores in scored.scores.items()},
            "perplexity": {role: perplexity_of(each) for role, each in signals.items()},
            "tokens": {role: len(each) for role, each in signals.items()},
        }
        if self._token_statistics:
            metadata["token_statistics"] = {
                role: {name: getattr(each, name).tolist() for name in TOKEN_ARRAYS} for role, each in signals.items()
            }
        return metadata


def _batches(data: DocumentsPipeline) -> Iterator[list[Document]]:
    batch, n_bytes = list[Document](), 0
    for document in data:
        batch.append(document)
        n_bytes += len(document.text.encode())
        if n_bytes >= BATCH_BYTES or len(batch) == BATCH_DOCUMENTS:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch
