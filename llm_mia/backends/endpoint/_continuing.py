"""A model behind an endpoint that gives no log-probabilities of prompts: it only continues texts."""

# ruff: noqa: ARG002  # the methods refuse whatever they are given

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ...errors import ModelError
from ...records import CONTINUATIONS, IntArray, ModelRecord, TokenSignals, Window
from .. import RemoteWork, Report
from ._answers import Answer, AnswerError
from ._client import Client, Query, RefusedError
from ._listing import Listing
from ._records import continuing_record
from ._remote import RemoteModel, text_of

__all__ = ["ContinuingEndpoint", "continues"]

ASSUMED_CONTEXT = 2048
"""Of a server that lists none."""


class ContinuingEndpoint(RemoteModel):
    """The model of a server without usable log-probabilities, for attacks by continuations.

    Args:
        client: sends the requests.
        listing: what the server lists about the model.
        problem: what is wrong with its log-probabilities, in a sentence that names the model.
    """

    opening: tuple[int, ...] = ()
    offers = frozenset({CONTINUATIONS})

    def __init__(self, client: Client, listing: Listing, problem: str) -> None:
        super().__init__(client)
        self.problem = problem
        self.info = continuing_record(client, listing, problem, listing.context or ASSUMED_CONTEXT)

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Nothing.

        Raises:
            ModelError: always.
        """
        self._refuse()

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """Nothing.

        Raises:
            ModelError: always.
        """
        self._refuse()

    def estimate(self, texts: Sequence[str], n_bytes: int) -> RemoteWork:
        """Nothing.

        Raises:
            ModelError: always.
        """
        self._refuse()

    def answer_for(self, text: str) -> Answer:
        """Nothing.

        Raises:
            ModelError: always.
        """
        self._refuse()

    def recognised(self, begun: ModelRecord) -> ModelRecord:
        """The record of this model: nothing shows whether the model of *begun* is another of the same name."""
        return self.info

    def _refuse(self) -> NoReturn:
        raise ModelError(self.problem)


def continues(client: Client, listing: Listing) -> bool:
    """Whether the server continues a text."""
    body = {"model": listing.model, "prompt": "The river bends under the old stone", "max_tokens": 1}
    [value] = client.ask([Query(body, 9)], attempts=2)
    try:
        return not isinstance(value, RefusedError) and text_of(value) is not None
    except AnswerError:
        return False
