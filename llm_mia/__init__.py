"""Membership inference for language models: decisions with a stated error rate.

    from llm_mia import audit
    result = audit("candidates.jsonl", nonmembers="heldout.jsonl", members="known.jsonl",
                   target="./model", reference="./base", fpr=0.05, out="run/")
    result.flags.flagged, result.calibration.threshold

What each function returns:

    audit(candidates, nonmembers=…, members=…, target=…, out=…)
        Audit: flags, calibration, evaluations, and whether the known set can carry a verdict
    validate(members, nonmembers, candidates)
        Validity: the checks of a known set, without a model
    score(passages, model, reference, attacks=…, out=…)
        ScoreTable: a row for each passage, a column for each attack
    calibrate(table, attack, fpr=…)
        Calibration: a threshold, and what it guarantees
    flag(table, calibration)
        Flags: the decision on each candidate
    evaluate(table)
        list of Evaluation, of each attack: AUROC, TPR at FPR, with intervals
    extract(passages, model, out=…)
        Extraction: what the model writes word for word
    perplexity(texts, model)
        array of the perplexities
    token_log_probabilities(texts, model)
        list of TokenLogProbabilities, of each text: the tokens as strings, and their log-probabilities
    signals_of(model, texts), write_signals(passages, models, out=…)
        list of TokenSignals, of each text: five numbers for each token; or the same on disk
    estimate(score, passages, model, out=…)
        Estimate: how long a call of score, audit, extract or write_signals will take; it does not run
    load_model(name), load_model(model, tokenizer=…)
        Backend, which every function takes in the place of a name
    read_passages(path), Passages.of(data)
        Passages, of files, lists of strings or dictionaries, DataFrames, Arrow tables
    read_scores(path), ScoreTable.of(arrays, labels)
        ScoreTable
    read_audit(run), read_calibration(path)
        Audit or Calibration, as it was written
    attack(name, paper=…)
        decorator that adds an attack

The rest is in the packages: thresholds and p-values in `llm_mia.calibration`, figures in `llm_mia.metrics`, decisions
on documents and on whole collections in `llm_mia.decision`, attacks in `llm_mia.attacks`, errors in `llm_mia.errors`.

Importing this package imports neither torch nor transformers; a model does, when it is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attacks import Attack, attack
    from .auditing import Audit, audit, read_audit, validate
    from .backends import Backend, ModelSpec, load_model
    from .decision import Calibration, Evaluation, Flags, calibrate, evaluate, flag, read_calibration
    from .errors import LlmMiaError
    from .extraction import Extraction, extract
    from .passages import Passages, read_passages
    from .perplexities import TokenLogProbabilities, perplexity, token_log_probabilities
    from .records import Passage, TokenSignals
    from .scores import ScoreTable, read_scores
    from .scoring import score
    from .signals import Estimate, Supplies, estimate, signals_of, write_signals
    from .validity import Validity

__version__ = "0.1.0"

__all__ = [
    "Attack",
    "Audit",
    "Backend",
    "Calibration",
    "Estimate",
    "Evaluation",
    "Extraction",
    "Flags",
    "LlmMiaError",
    "ModelSpec",
    "Passage",
    "Passages",
    "ScoreTable",
    "Supplies",
    "TokenLogProbabilities",
    "TokenSignals",
    "Validity",
    "__version__",
    "attack",
    "audit",
    "calibrate",
    "estimate",
    "evaluate",
    "extract",
    "flag",
    "load_model",
    "perplexity",
    "read_audit",
    "read_calibration",
    "read_passages",
    "read_scores",
    "score",
    "signals_of",
    "token_log_probabilities",
    "validate",
    "write_signals",
]

# The package of each name. A name is imported when it is first used, so that a command which needs no arrays
# ('llm-mia --help') does not wait for numpy.
_PACKAGES = {
    "attacks": ("Attack", "attack"),
    "auditing": ("Audit", "audit", "read_audit", "validate"),
    "backends": ("Backend", "ModelSpec", "load_model"),
    "decision": ("Calibration", "Evaluation", "Flags", "calibrate", "evaluate", "flag", "read_calibration"),
    "errors": ("LlmMiaError",),
    "extraction": ("Extraction", "extract"),
    "passages": ("Passages", "read_passages"),
    "perplexities": ("TokenLogProbabilities", "perplexity", "token_log_probabilities"),
    "records": ("Passage", "TokenSignals"),
    "scores": ("ScoreTable", "read_scores"),
    "scoring": ("score",),
    "signals": ("Estimate", "Supplies", "estimate", "signals_of", "write_signals"),
    "validity": ("Validity",),
}
_PACKAGE = {name: package for package, names in _PACKAGES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _PACKAGE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_PACKAGE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
