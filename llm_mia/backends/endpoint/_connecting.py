"""From the name of an endpoint to its model."""

from __future__ import annotations

from ._address import Address
from ._backend import EndpointBackend
from ._budget import Budget
from ._client import Client, Patience
from ._listing import measure_context, read_listing
from ._probing import PROBE, probe

__all__ = ["connect"]


def connect(name: str, budget: Budget | None = None, *, patience: Patience | None = None) -> EndpointBackend:
    """The model that *name* names, as ``openai:MODEL@URL``, after some requests that measure what its server gives.

    Args:
        name: see `Address.of`.
        budget: what may be spent; None: any number of requests.
        patience: how long the server is waited for.

    Raises:
        UsageError: *name* is no address.
        ServerError: no server is there, or it refuses the key.
        ModelError: it has no such model, or gives no log-probabilities of prompts that can be used.
        BudgetError: the budget is too small for these requests.
    """
    client = Client(Address.of(name), budget or Budget(), patience)
    listing = read_listing(client)
    probed = probe(client, listing)
    context = measure_context(client, listing, probed.prompt_tokens / len(PROBE.encode()))
    return EndpointBackend(client, listing, probed, context)
