"""The tokenizer of a model, whatever the model was given as."""

from __future__ import annotations

from . import Backend, ModelSpec, Tokenizer

__all__ = ["tokenizer_of"]


def tokenizer_of(source: Backend | ModelSpec) -> Tokenizer | None:
    """The tokenizer of a model, of which nothing else is loaded; None for a backend that does not give one.

    An endpoint gives none: each text would cost a request.

    Raises:
        ModelError, MissingExtraError: see `ModelSpec.tokenizer`.
    """
    if isinstance(source, ModelSpec):
        return None if source.is_endpoint else source.tokenizer()
    if isinstance(source, Tokenizer):
        return source
    from .local import LocalBackend

    return source.tokens if isinstance(source, LocalBackend) else None
