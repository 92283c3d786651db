"""The records of models behind endpoints: how they are recognised when a run continues."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from ...records import CONTINUATIONS, FIELDS, EndpointRecord, ModelRecord
from ._client import Client
from ._listing import Listing
from ._probing import Probed

__all__ = ["RESERVED", "continuing_record", "scoring_record"]

RESERVED = 16
"""Tokens of the context that no window takes: what is generated, and a word after a window that is sent as a text."""


def scoring_record(
    client: Client, listing: Listing, probed: Probed, context: tuple[int, str], opening: tuple[int, ...]
) -> ModelRecord:
    """The record of a model that gives log-probabilities of prompts."""
    way, answer = probed.way, probed.answer
    values = [None if np.isnan(value) else float(value) for value in answer.logprob]
    tokens = _digest(opening, answer.ids.tolist(), answer.ends.tolist())
    return ModelRecord(
        id=f"openai:{client.address.model}@{client.address.url}",
        revision=None,
        weights_sha256=_digest([None if value is None else round(value, 2) for value in values]),
        config_sha256=_digest(way.opening, way.takes_ids),
        dtype="server",
        tokenizer=tokens[:16],
        context=context[0] - RESERVED,
        head="server",
        offers=(*(name for name in FIELDS if name in probed.offers), CONTINUATIONS),
        opening=opening,
        opening_text=(way.opening,) if way.opening else (),
        endpoint=EndpointRecord(
            server=listing.server,
            sends="token ids" if way.takes_ids else "text",
            ids="server" if way.shows_ids else "digest",
            opening_sent=way.opening,
            rounding=probed.rounding,
            noise=probed.noise,
            context_known=context[1],
            probe=tuple(0.0 if value is None else value for value in values),
        ),
    )


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def continuing_record(client: Client, listing: Listing, problem: str, context: int) -> ModelRecord:
    """The record of a model that only continues texts, because of a *problem* with its log-probabilities."""
    return ModelRecord(
        id=f"openai:{client.address.model}@{client.address.url}",
        revision=None,
        # Nothing that a server writes identifies a model, so its name alone does.
        weights_sha256=_digest(client.address.model),
        config_sha256=_digest("continuations"),
        dtype="server",
        tokenizer="",
        context=context,
        head="server",
        offers=(CONTINUATIONS,),
        endpoint=EndpointRecord(
            server=listing.server,
            sends="text",
            ids="digest",
            opening_sent="",
            rounding=0.0,
            noise=0.0,
            context_known="listed" if listing.context else "assumed",
            probe=(),
            problem=problem,
        ),
    )
