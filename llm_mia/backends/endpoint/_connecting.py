"""From the name of an endpoint to its model."""

from __future__ import annotations

from ...errors import BudgetError, ModelError
from ._address import Address
from ._backend import EndpointBackend
from ._budget import Budget
from ._client import Client, Patience
from ._continuing import ContinuingEndpoint, continues
from ._listing import measure_context, read_listing
from ._probing import PROBE, UnusableError, probe
from ._records import RESERVED

__all__ = ["connect"]


def connect(
    name: str, budget: Budget | None = None, *, patience: Patience | None = None
) -> EndpointBackend | ContinuingEndpoint:
    """The model that *name* names, as ``openai:MODEL@URL``, after some requests that measure what its server gives.

    Where the server gives no usable log-probabilities of prompts, the model offers continuations alone.

    Args:
        name: see `Address.of`.
        budget: what may be spent; None: any number of requests.
        patience: how long the server is waited for.

    Raises:
        UsageError: *name* is no address.
        ServerError: no server is there, or it refuses the key.
        ModelError: it has no such model, or neither gives log-probabilities of prompts nor continues texts.
        BudgetError: the budget is too small for these requests.
    """
    client = Client(Address.of(name), budget or Budget(), patience)
    try:
        return _measured(client)
    except BudgetError as error:
        if client.sent < client.budget.requests:
            raise  # another model has used a part, and what it answered is kept
        raise BudgetError(
            f"{str(error).partition(';')[0]}; this is not enough to test the server, which comes before the "
            "first passage: allow more"
        ) from None


def _measured(client: Client) -> EndpointBackend | ContinuingEndpoint:
    """The model of *client*, once it is known what its server gives."""
    listing = read_listing(client)
    try:
        probed = probe(client, listing)
    except UnusableError as error:
        if continues(client, listing):
            return ContinuingEndpoint(client, listing, str(error))
        raise
    context = measure_context(client, listing, probed.prompt_tokens / len(PROBE.encode()))
    if context[0] <= 2 * RESERVED:
        raise ModelError(
            f"model {client.address.model!r}: its context of {context[0]} tokens is too short for passages; start the "
            "server with a longer context"
        )
    return EndpointBackend(client, listing, probed, context)
