"""The groups of options that name models and say how they are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from . import _options as opt
from .grouping import OptionGroup

if TYPE_CHECKING:
    from ..backends import ModelSpec
    from ..backends.endpoint import Budget

__all__ = ["STAND_IN_WORDS", "BaseOptions", "ModelOptions", "PairOptions", "PilotModelOptions"]

ENDPOINTS = "Endpoints"
STAND_IN_WORDS = ("auto", "ngram", "none")
"""In the place of a stand-in model: words by which an audit chooses it. Those of `llm_mia.scoring`, which is heavy."""


@dataclass(frozen=True, kw_only=True)
class _Target(OptionGroup):
    target: opt.TargetName
    revision: opt.Revision = None


@dataclass(frozen=True, kw_only=True)
class _Base(OptionGroup):
    base: Annotated[
        str,
        typer.Option(
            "-m",
            "--base",
            "--model",
            metavar="MODEL",
            help="The model that every training begins with: hub id, folder, GGUF file, folder of a PEFT adapter, or "
            "'embedded' (a small model that a Python package contains).",
            rich_help_panel=opt.MODELS,
        ),
    ]
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Branch, tag or commit of the base on the hub.",
            show_default="main",
            rich_help_panel=opt.MODELS,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class _Reference(OptionGroup):
    reference: Annotated[
        str | None,
        typer.Option(
            "-r",
            "--reference",
            metavar="MODEL",
            help="A model that was not trained on the passages; the target is compared with it.",
            rich_help_panel=opt.MODELS,
        ),
    ] = None
    reference_revision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Branch, tag or commit of the reference on the hub.",
            show_default="main",
            rich_help_panel=opt.MODELS,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class _References(OptionGroup):
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "-r",
            "--reference",
            metavar="MODEL",
            help="A model that was not trained on the passages; the target is compared with it. May be repeated, with "
            "models of unlike training: the largest of their p-values counts.",
            show_default="none",
            rich_help_panel=opt.MODELS,
        ),
    ] = None
    reference_revision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Branch, tag or commit of the reference on the hub; of several references, one for each, in their "
            "order.",
            show_default="main",
            rich_help_panel=opt.MODELS,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class _Running(OptionGroup):
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Precision: float32, bfloat16, float16, or auto: LLM_MIA_DTYPE if that is set, else bfloat16 where it "
            "is clearly faster, else float32.",
            rich_help_panel=opt.MODELS,
        ),
    ] = "auto"
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where models run: auto (on CUDA if this machine has it, else cpu), cpu, cuda, cuda:1 … or mps.",
            rich_help_panel=opt.MODELS,
        ),
    ] = "auto"
    trust_remote_code: opt.TrustRemoteCode = False
    pre_tokenizer: opt.PreTokenizer = None
    templated: opt.Templated = False
    tokens_per_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="TOKENS",
            help="Largest number of tokens in a batch; smaller batches need less memory.",
            show_default="chosen for the device and its free memory",
            rich_help_panel=opt.MODELS,
        ),
    ] = None
    window_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="TOKENS",
            help="Largest number of tokens that a model reads at once; longer passages are cut into windows that "
            "overlap.",
            show_default="the model's context, at most 2,048",
            rich_help_panel=opt.MODELS,
        ),
    ] = None

    @property
    def budget(self) -> Budget | None:
        """What the command may spend on endpoints; None where it uses none."""
        return None

    def model_spec(self, name: str, revision: str | None) -> ModelSpec:
        """A model that is run so, not yet loaded."""
        from ..backends import ModelSpec, is_endpoint

        return ModelSpec(
            name,
            revision=revision,
            budget=self.budget if is_endpoint(name) else None,
            dtype=self.dtype,
            device=self.device,
            trust_remote_code=self.trust_remote_code,
            tokens_per_batch=self.tokens_per_batch,
            pre_tokenizer=self.pre_tokenizer,
            templated=self.templated,
        )


@dataclass(frozen=True, kw_only=True)
class _RunningAnywhere(_Running):
    """How models are run that may be behind endpoints."""

    max_requests: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="For models behind endpoints: largest number of requests that this command sends. Then it stops; the "
            "same command continues, with a new budget.",
            show_default="any number",
            rich_help_panel=ENDPOINTS,
        ),
    ] = None
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="For models behind endpoints: largest number of tokens that this command sends and receives.",
            show_default="any number",
            rich_help_panel=ENDPOINTS,
        ),
    ] = None
    price: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="AMOUNT",
            help="For models behind endpoints: price of a million tokens, those of prompts and of answers "
            "alike, in your currency; the command then shows the cost beforehand.",
            show_default="none",
            rich_help_panel=ENDPOINTS,
        ),
    ] = None
    concurrency: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="For models behind endpoints: largest number of requests that a server gets at the same time.",
            rich_help_panel=ENDPOINTS,
        ),
    ] = 8

    @cached_property
    def budget(self) -> Budget:
        """What the command may spend on endpoints, for all of its models together."""
        from ..backends.endpoint import Budget

        return Budget(self.max_requests, self.max_tokens, self.price, self.concurrency)


# The order of the options in '--help' is that of the base classes, from the last to the first.
@dataclass(frozen=True, kw_only=True)
class BaseOptions(_Running, _Base):
    """The base model of trainings, and how models are run; no endpoint trains a model."""

    def base_model(self) -> ModelSpec:
        """The base, not yet loaded."""
        return self.model_spec(self.base, self.revision)


@dataclass(frozen=True, kw_only=True)
class PilotModelOptions(_Running):
    """The model that pilots train, and how it is run."""

    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL",
            help="The model that is trained: hub id, folder, GGUF file, or 'embedded' (a small model that a Python "
            "package contains). The more it is like the models that you expect, the better is the plan.",
            rich_help_panel=opt.MODELS,
        ),
    ] = "embedded"
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Branch, tag or commit of the model on the hub.",
            show_default="main",
            rich_help_panel=opt.MODELS,
        ),
    ] = None

    def pilot_model(self) -> ModelSpec:
        """The model, not yet loaded."""
        return self.model_spec(self.model, self.revision)


@dataclass(frozen=True, kw_only=True)
class ModelOptions(_RunningAnywhere, _References, _Target):
    """The target and the reference models, and how models are run."""

    def target_model(self) -> ModelSpec:
        """The target, not yet loaded."""
        return self.model_spec(self.target, self.revision)

    def stand_in_model(self, name: str) -> ModelSpec | str:
        """The stand-in, not yet loaded; or the word in its place."""
        return name if name in STAND_IN_WORDS else self.model_spec(name, None)

    def reference_models(self) -> list[ModelSpec]:
        """The references, not yet loaded."""
        names = self.reference or []
        revisions: Sequence[str | None] = self.reference_revision or [None for _ in names]
        if len(revisions) != len(names):
            raise UsageError(
                f"`reference_revision` is given {len(revisions)} times, and `reference` {len(names)} times: give a "
                "revision for each reference, in their order ('main' for those without)"
            )
        return [self.model_spec(name, revision) for name, revision in zip(names, revisions, strict=True)]


@dataclass(frozen=True, kw_only=True)
class PairOptions(_RunningAnywhere, _Reference, _Target):
    """The target and a reference model, and how models are run."""

    def target_model(self) -> ModelSpec:
        """The target, not yet loaded."""
        return self.model_spec(self.target, self.revision)

    def reference_model(self) -> ModelSpec | None:
        """The reference, not yet loaded; None where the user named none."""
        return None if self.reference is None else self.model_spec(self.reference, self.reference_revision)
