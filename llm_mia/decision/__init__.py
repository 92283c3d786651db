"""Scores → threshold → flags, and how well each attack separates the known set. Reads tables, needs no model.

wanted                                               function
a threshold with a guarantee                         `calibrate`; `read_calibration` and `calibration_to_json`
decisions on candidates, and the finding on all      `flag` by passage, `flag_documents` by document
a single decision on all candidates together         `judge_collection`
how well attacks separate the known set              `evaluate`, `compare`, `rates_at`, `confidence_gap`
the column that a calibration decides by             `add_decider_column`
the passages that did not select or fit it           `calibration_part`, `evaluation_part`

Everything they give is data: `llm_mia.report` phrases it.
"""

from ._artefact import calibration_from_json, calibration_to_json, read_calibration
from ._calibrating import add_decider_column, calibrate, calibration_part
from ._calibration import Calibration, Category
from ._collection_others import OtherModel
from ._collections import CollectionResult, collection_attacks, judge_collection
from ._document_ranking import DocumentRanking, NoPValue, RankedDocument, rank_documents
from ._documents import DocumentObstacle, flag_documents
from ._equal_scores import equal_rows
from ._evaluating import (
    AtThreshold,
    Comparison,
    Evaluation,
    LabelledScores,
    compare,
    confidence_gap,
    evaluate,
    evaluation_notes,
    evaluation_part,
    labelled_scores,
    rates_at,
)
from ._finding import SMALLEST_FINDING_LEVEL, check_finding_level
from ._finding_record import (
    FINDING_LEVEL,
    Finding,
    FindingTest,
    Obstacle,
    OtherFlags,
    OtherReference,
    Sensitivity,
    ShadowRate,
    ShadowSpread,
)
from ._flag_files import read_flag_rows, write_flag_rows
from ._flag_rows import FlagRows
from ._flags import NOT_VALIDATED, CategoryFlags, Flag, Flags, Reason, joint_standing
from ._flags_by_share import FlagsByShare, flags_by_share
from ._notes import NoteKind, first_ids, notes_of_sentences
from ._origin import Origin, origin_of
from ._p_value_counts import PValueCounts, p_value_counts
from ._passages import flag
from ._realised import RealisedRates, realised_rates
from ._rules import ErrorRate, Guarantee, GuaranteeKind, QValueMethod, Rule, Unit
from ._score_checks import validation_notes
from ._selecting import AUTO, BY_DEFAULT, DEFAULT_ATTACKS, FEWEST, Draw, refuse_small
from ._selection import Selection, Shortage, ShortageKind, Wanted
from ._shadow_rates import further_model, shadow_rates, spread_of_models
from .stack import STACK, Column, Stack, Training, Tree
from .stacking import StackSettings, fit_stack

__all__ = [
    "AUTO",
    "BY_DEFAULT",
    "DEFAULT_ATTACKS",
    "FEWEST",
    "FINDING_LEVEL",
    "NOT_VALIDATED",
    "SMALLEST_FINDING_LEVEL",
    "STACK",
    "AtThreshold",
    "Calibration",
    "Category",
    "CategoryFlags",
    "CollectionResult",
    "Column",
    "Comparison",
    "DocumentObstacle",
    "DocumentRanking",
    "Draw",
    "ErrorRate",
    "Evaluation",
    "Finding",
    "FindingTest",
    "Flag",
    "FlagRows",
    "Flags",
    "FlagsByShare",
    "Guarantee",
    "GuaranteeKind",
    "LabelledScores",
    "NoPValue",
    "NoteKind",
    "Obstacle",
    "Origin",
    "OtherFlags",
    "OtherModel",
    "OtherReference",
    "PValueCounts",
    "QValueMethod",
    "RankedDocument",
    "RealisedRates",
    "Reason",
    "Rule",
    "Selection",
    "Sensitivity",
    "ShadowRate",
    "ShadowSpread",
    "Shortage",
    "ShortageKind",
    "Stack",
    "StackSettings",
    "Training",
    "Tree",
    "Unit",
    "Wanted",
    "add_decider_column",
    "calibrate",
    "calibration_from_json",
    "calibration_part",
    "calibration_to_json",
    "check_finding_level",
    "collection_attacks",
    "compare",
    "confidence_gap",
    "equal_rows",
    "evaluate",
    "evaluation_notes",
    "evaluation_part",
    "first_ids",
    "fit_stack",
    "flag",
    "flag_documents",
    "flags_by_share",
    "further_model",
    "joint_standing",
    "judge_collection",
    "labelled_scores",
    "notes_of_sentences",
    "origin_of",
    "p_value_counts",
    "rank_documents",
    "rates_at",
    "read_calibration",
    "read_flag_rows",
    "realised_rates",
    "refuse_small",
    "shadow_rates",
    "spread_of_models",
    "validation_notes",
    "write_flag_rows",
]
