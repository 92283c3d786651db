"""Passages × models → signals, on disk or in memory: the only stage that runs a model.

    read, encode, cut ─► blocks that wait ─► the model ─► tables that wait ─► signals/PASS/part-FIRST-LAST.parquet
       a thread                              this thread     a thread

On disk, each model is loaded once, runs all of its passes, and is released; where the run directory has the signals
already, the model is not loaded. A text that occurs more than once is computed once, as far as memory allows.
"""

from ._blocks import Copies, PassSetup
from ._cache import SignalsCache
from ._estimate import (
    DryRun,
    Estimate,
    Estimated,
    PassEstimate,
    TrainingEstimate,
    dry_run,
    estimate,
    open_run,
    running_dry,
)
from ._frequencies import count_frequencies
from ._inputs import Inputs, passages_with_signals, scores_are_of
from ._left_out import left_out_notes
from ._limits import Limits
from ._passes import run_passes
from ._plan import PlannedPass, evidence_dependencies, plan_passes
from ._positions import score_positions
from ._progress import PassProgress, PassWork, Progress, Step, report_activity
from ._ranges import missing_blocks, share_out
from ._ranks import Greeting, PassesFinished, Ranks
from ._refusals import refuse_other_tokenizer, refuse_scored, refuse_shared_documents
from ._sharing import RangeTask, ScoredRange, SharedPass, Sharing, current_sharing, sharing
from ._stage import ModelSource, checked_texts, model_or_spec, signals_of, write_signals
from ._supplies import Supplies
from ._threads import BackgroundWriter, prefetch
from ._windows import cut, edges, join, window_rule
from ._written_tokens import unname_written_tokens, without_written_tokens, written_token_notes

__all__ = [
    "BackgroundWriter",
    "Copies",
    "DryRun",
    "Estimate",
    "Estimated",
    "Greeting",
    "Inputs",
    "Limits",
    "ModelSource",
    "PassEstimate",
    "PassProgress",
    "PassSetup",
    "PassWork",
    "PassesFinished",
    "PlannedPass",
    "Progress",
    "RangeTask",
    "Ranks",
    "ScoredRange",
    "SharedPass",
    "Sharing",
    "SignalsCache",
    "Step",
    "Supplies",
    "TrainingEstimate",
    "checked_texts",
    "count_frequencies",
    "current_sharing",
    "cut",
    "dry_run",
    "edges",
    "estimate",
    "evidence_dependencies",
    "join",
    "left_out_notes",
    "missing_blocks",
    "model_or_spec",
    "open_run",
    "passages_with_signals",
    "plan_passes",
    "prefetch",
    "refuse_other_tokenizer",
    "refuse_scored",
    "refuse_shared_documents",
    "report_activity",
    "run_passes",
    "running_dry",
    "score_positions",
    "scores_are_of",
    "share_out",
    "sharing",
    "signals_of",
    "unname_written_tokens",
    "window_rule",
    "without_written_tokens",
    "write_signals",
    "written_token_notes",
]
