"""Requests to a model, as logs hold them: the record `Query`, and sketches that compare prompts without their text.

`llm_mia.guard` writes queries, `llm_mia.monitor` reads them, from its log and from the logs of other programs.
"""

from ._query import Query, Request, query_of_line, query_of_values, query_to_line
from ._sketch import END_LENGTHS, SKETCH_BYTES, Sketches, hashed_shingles, sketch_prompts

__all__ = [
    "END_LENGTHS",
    "SKETCH_BYTES",
    "Query",
    "Request",
    "Sketches",
    "hashed_shingles",
    "query_of_line",
    "query_of_values",
    "query_to_line",
    "sketch_prompts",
]
