"""Models behind an endpoint: any server with ``/completions`` that gives log-probabilities of the prompt.

    openai:MODEL@URL ─► what it lists ─► what it gives, measured ─► a `Backend`

A server is asked as OpenAI's legacy completions are: with ``echo`` and ``logprobs``. The key comes from the
environment alone (``LLM_MIA_API_KEY``, else ``OPENAI_API_KEY``), and is in no message and in no file.
"""

from __future__ import annotations

from ._address import KEY_VARIABLES, Address
from ._answers import Answer
from ._backend import EndpointBackend
from ._budget import Budget
from ._client import Client, Patience
from ._connecting import connect
from ._continuing import ContinuingEndpoint
from ._kept import KeptAnswers
from ._spelling import token_ends
from ._tokenizer import EndpointTokenizer

__all__ = [
    "KEY_VARIABLES",
    "Address",
    "Answer",
    "Budget",
    "Client",
    "ContinuingEndpoint",
    "EndpointBackend",
    "EndpointTokenizer",
    "KeptAnswers",
    "Patience",
    "connect",
    "token_ends",
]
