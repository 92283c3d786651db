"""Detectors: an idea a file, each a pure function of a table of requests."""

from ._detector import Detector, Scored, blind_reason
from .change import CHANGE, change_of
from .harvesting import HARVESTING
from .overlap import OVERLAP
from .perturbation import PERTURBATION
from .prefixed import PREFIXED
from .probing import PROBING
from .sampling import SAMPLING

__all__ = ["DETECTORS", "OVERLAP", "Detector", "Scored", "blind_reason", "change_of"]

DETECTORS: tuple[Detector, ...] = (PROBING, HARVESTING, PERTURBATION, PREFIXED, SAMPLING, OVERLAP, CHANGE)
