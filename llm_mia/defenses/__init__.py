"""Defences against membership inference: what each takes from the attacker, and what it costs.

`outputs` holds defences of the outputs, which are replayed from the signals of a model.
"""

from ._results import OutputReplay, OutputResult, OutputUtility

__all__ = ["OutputReplay", "OutputResult", "OutputUtility"]
