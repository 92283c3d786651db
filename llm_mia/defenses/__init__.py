"""Defences against membership inference: what each takes from the attacker, and what it costs.

`outputs` holds defences of the outputs, which are replayed from the signals of a model. `defend` trains a model without
defence and with each, and measures all of them on the same texts.
"""

from ._canaries import Canaries, EmpiricalEpsilon, empirical_epsilon, flip_coins, insert_canaries
from ._defend import defend
from ._leakage import Measuring, compare_with_lowest, mark_lower
from ._output_defense import OUTPUT_DEFENSES, OutputDefense, parse_defense
from ._perplexity import perplexity, perplexity_ratio
from ._planning import PlannedDefense, plan_defenses
from ._record import (
    BASELINE,
    Defended,
    DefenseNote,
    Defenses,
    Leakage,
    MeasuredAttack,
    Plan,
    Utility,
    read_defenses,
)
from ._results import OutputReplay, OutputResult, OutputUtility
from ._split import FEWEST_DOCUMENTS, PoolSplit, split_pool
from ._training import TRAINING_DEFENSES, TrainingDefense, parse_training_defense

__all__ = [
    "BASELINE",
    "FEWEST_DOCUMENTS",
    "OUTPUT_DEFENSES",
    "TRAINING_DEFENSES",
    "Canaries",
    "Defended",
    "DefenseNote",
    "Defenses",
    "EmpiricalEpsilon",
    "Leakage",
    "MeasuredAttack",
    "Measuring",
    "OutputDefense",
    "OutputReplay",
    "OutputResult",
    "OutputUtility",
    "Plan",
    "PlannedDefense",
    "PoolSplit",
    "TrainingDefense",
    "Utility",
    "compare_with_lowest",
    "defend",
    "empirical_epsilon",
    "flip_coins",
    "insert_canaries",
    "mark_lower",
    "parse_defense",
    "parse_training_defense",
    "perplexity",
    "perplexity_ratio",
    "plan_defenses",
    "read_defenses",
    "split_pool",
]
