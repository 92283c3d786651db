"""Logs of other programs as queries: a file for each format, and any other by a mapping file."""

from ._source import EVERYTHING, Source, at_path
from .cloudflare import CLOUDFLARE
from .guard_log import GUARD_LOG
from .kong import KONG
from .litellm import LITELLM
from .mapping import mapped_source
from .openai_bodies import OPENAI_BODIES
from .opentelemetry import OPENTELEMETRY
from .portkey import PORTKEY
from .vllm import VLLM

__all__ = ["EVERYTHING", "SOURCES", "Source", "at_path", "mapped_source"]

SOURCES: tuple[Source, ...] = (GUARD_LOG, LITELLM, KONG, PORTKEY, CLOUDFLARE, OPENTELEMETRY, OPENAI_BODIES, VLLM)
"""In the order in which a line is tried: the most particular first."""
