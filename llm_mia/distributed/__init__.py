"""Engines of others that run `llm_mia` on several machines.

* `datatrove`: a step of a pipeline for Slurm or Ray
"""

__all__: list[str] = []
