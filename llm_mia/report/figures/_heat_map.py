"""The tokens of a passage, coloured by what the model makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError
from ...records import TokenSignals
from ._display import drawn_on
from ._style import LIGHT, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["heat_map"]

COLUMNS, MOST_TOKENS = 56, 1500
CELL = 4
"""Columns of a token whose text is not known."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a token on a line."""

    token: int
    line: int
    column: int
    text: str


def heat_map(
    signals: TokenSignals,
    text: str,
    *,
    ends: ArrayLike | None = None,
    reference: TokenSignals | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The text of a passage, each token on a colour: the darker, the likelier it is to the model.

    With *reference* the colour is the difference of the log-likelihoods, in nats: purple where the target finds the
    token likelier than the reference, orange where it finds it less likely. A line under a token: the model's first
    choice. A token without a colour has no signals. Of long passages the first 1,500 tokens are drawn.

    Args:
        signals: of the target on this passage.
        text: of the passage.
        ends: where each token ends in *text*, in characters, as ``texts.parquet`` has it; there may be one more than
            signals, since a model that reads nothing before a text does not score the first token. None: the tokens
            are drawn in order, without their text.
        reference: signals of another model on the same passage, with the same tokenizer.
        ax: Axes to draw on; None: those of a new figure.

    Raises:
        UsageError: *ends* or *reference* do not belong to *signals*.
    """
    if reference is not None and not (
        reference.tokenizer == signals.tokenizer and np.array_equal(reference.token_ids, signals.token_ids)
    ):
        raise UsageError("`reference` has other tokens than `signals`: a difference by token needs the same tokenizer")
    values = signals.logprob if reference is None else signals.logprob - reference.logprob
    cells = list(_cells(len(signals), text, ends))
    unscored = 0 if ends is None else np.size(np.asarray(ends)) - len(signals)
    lines = 1 + max((cell.line for cell in cells), default=0)
    colours = _colours(np.asarray(values, dtype=np.float64), difference=reference is not None)

    def draw(axes: Axes) -> None:
        _draw(axes, cells, unscored, colours, signals.rank, lines)
        what = "log-likelihood" if reference is None else "log-likelihood, less that of the reference"
        low, high = (round(float(end(values)), 1) + 0.0 for end in (np.min, np.max)) if len(signals) else (0.0, 0.0)
        axes.set_title(f"{what}: {low} to {high} nats\nunderlined: the first choice of the model", fontsize=8)

    return drawn_on(ax, draw, 0.6 + 0.2 * lines)


def _cells(tokens: int, text: str, ends: ArrayLike | None) -> Iterator[Cell]:
    """The tokens on lines of `COLUMNS` characters; a token is cut where its line ends, or where its text breaks."""
    if ends is None:
        width = COLUMNS // CELL
        yield from (
            Cell(token, token // width, CELL * (token % width), "") for token in range(min(tokens, MOST_TOKENS))
        )
        return
    stops = np.asarray(ends, dtype=np.intp)
    if len(stops) - tokens not in (0, 1) or (len(stops) and (int(stops[-1]) > len(text) or np.any(np.diff(stops) < 0))):
        raise UsageError(
            f"`ends` has {len(stops)} tokens of a text of {len(text)} characters, and `signals` has {tokens}: give the "
            "ends of the tokens that the signals belong to"
        )
    line = column = start = 0
    for token, stop in enumerate(stops[:MOST_TOKENS].tolist()):
        for piece in text[start:stop].replace("\t", " ").splitlines(keepends=True):
            shown = piece.rstrip("\r\n")
            while shown:
                room = shown[: COLUMNS - column]
                yield Cell(token, line, column, room)
                shown, column = shown[len(room) :], column + len(room)
                if column >= COLUMNS:
                    line, column = line + 1, 0
            if len(piece) > len(piece.rstrip("\r\n")):
                line, column = line + 1, 0
        start = max(start, stop)


def _colours(values: NDArray[np.float64], *, difference: bool) -> NDArray[np.float64]:
    """Red, green and blue of each token, from 0 to 1: shape (tokens, 3)."""
    from matplotlib.colors import to_rgb

    if difference:
        largest = max(float(np.abs(values).max(initial=0.0)), 1e-9)
        scaled, (below, above) = values / largest, (np.array(to_rgb(each)) for each in ("#e08214", "#6a3d9a"))
        ends = np.where(scaled[:, None] < 0, below, above)
        return np.asarray(1 + (ends - 1) * np.abs(scaled)[:, None])
    # The likeliest tokens are dark; as on the page, a token has no colour from a log-likelihood of −7 down.
    scaled = np.clip(1 + values / 7, 0, 1)
    return np.asarray(1 + (np.array(to_rgb(LIGHT["nonmember"])) - 1) * scaled[:, None])


def _draw(
    ax: Axes,
    cells: Sequence[Cell],
    unscored: int,
    colours: NDArray[np.float64],
    rank: NDArray[np.int32],
    lines: int,
) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    boxes, faces, underlines = [], [], []
    for cell in cells:
        left, top, width = cell.column, cell.line, len(cell.text) or CELL - 0.3
        signal = cell.token - unscored
        if signal >= 0:
            boxes.append([(left, top), (left + width, top), (left + width, top + 0.9), (left, top + 0.9)])
            faces.append(tuple(colours[signal].tolist()))
            if rank[signal] == 0:
                underlines.append([(left + 0.1, top + 0.95), (left + width - 0.1, top + 0.95)])
        if cell.text.strip():
            dark = signal >= 0 and colours[signal] @ [0.299, 0.587, 0.114] < 0.55
            ax.text(
                left,
                top + 0.45,
                drawable(cell.text),
                family="monospace",
                fontsize=8.5,
                va="center",
                color="#ffffff" if dark else "#000000",
                parse_math=False,
                clip_on=True,
            )
    ax.add_collection(PolyCollection(boxes, facecolors=faces, linewidths=0))
    ax.add_collection(LineCollection(underlines, colors=LIGHT["threshold"], linewidths=0.8))
    ax.set_xlim(0, COLUMNS)
    ax.set_ylim(lines, 0)
    ax.set_axis_off()
