"""The nouns: what the stages hand to each other, as frozen dataclasses. `llm_mia.store` writes and reads them."""

from __future__ import annotations

from ._evidence import GainNull, Population, ShadowLikelihoods, ShadowPopulation, TokenFrequencies
from ._findings import Interval, Note, Standing
from ._models import DTypeChoice, EndpointRecord, ModelRecord, RoundingRecord
from ._names import SharedNames, count_distinct, number_by_name, number_names, values_at, without_gaps
from ._runs import (
    OF_TARGET,
    SCHEMA_VERSION,
    STAND_IN,
    AttackRecord,
    BlockSize,
    FilesRecord,
    InputRecord,
    LeftOut,
    PassRecord,
    RunRecord,
    WrittenTokens,
    target_pass,
)
from ._texts import (
    CONTINUATIONS,
    FIELDS,
    TOKEN_ARRAYS,
    FloatArray,
    IntArray,
    Passage,
    Plain,
    TokenSignals,
    Window,
    WindowRule,
    text_sha256,
)

__all__ = [
    "CONTINUATIONS",
    "FIELDS",
    "OF_TARGET",
    "SCHEMA_VERSION",
    "STAND_IN",
    "TOKEN_ARRAYS",
    "AttackRecord",
    "BlockSize",
    "DTypeChoice",
    "EndpointRecord",
    "FilesRecord",
    "FloatArray",
    "GainNull",
    "InputRecord",
    "IntArray",
    "Interval",
    "LeftOut",
    "ModelRecord",
    "Note",
    "PassRecord",
    "Passage",
    "Plain",
    "Population",
    "RoundingRecord",
    "RunRecord",
    "ShadowLikelihoods",
    "ShadowPopulation",
    "SharedNames",
    "Standing",
    "TokenFrequencies",
    "TokenSignals",
    "Window",
    "WindowRule",
    "WrittenTokens",
    "count_distinct",
    "number_by_name",
    "number_names",
    "target_pass",
    "text_sha256",
    "values_at",
    "without_gaps",
]
