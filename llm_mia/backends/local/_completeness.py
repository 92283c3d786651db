"""A model in memory is the model of its files: it lacks no tensor of theirs, and has no other.

transformers fills missing tensors with random numbers and drops tensors without a place; both only print a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ...errors import ModelError

__all__ = ["StoredTensor", "name_some", "refuse_incomplete", "refuse_pointer", "stored_tensors", "weight_files"]

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
POINTER = b"version https://git-lfs"
PICKLED = {".bin", ".pt", ".pth", ".ckpt"}
FLOATING = {"F64", "F32", "F16", "BF16"}

# Tensors that no next-token prediction depends on, with the reason; transformers has such a list for each model, too.
UNUSED: Mapping[str, str] = {
    r"(^|\.)rotary_emb\.inv_freq$": "computed from config.json",
    r"(^|\.)position_ids$": "the numbers 0, 1, 2 …",
    r"\.attn(\.attention)?\.masked_bias$": "the score of a masked position: minus infinity, whatever its value",
    r"^v_head\.": "the value of a text in reinforcement learning",
    r"^(model\.)?(vision_tower|vision_model|visual|multi_modal_projector|audio_tower)\.": "images and sound",
    r"(^|\.)pooler\.dense\.": "the class of a whole text",
    r"^cls\.seq_relationship\.": "whether a sentence follows another",
}
UNUSED_NAME = re.compile("|".join(UNUSED))
# A causal mask that old versions of transformers saved; a bias of a layer has one dimension.
MASK_NAME = re.compile(r"\.attn(\.attention)?\.(bias|causal_mask)$")

EXPERT_NAME = re.compile(r"(.*\.experts)\.(\d+)\.(.*)")


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """What the header of a safetensors file records about a tensor."""

    dtype: str
    shape: tuple[int, ...]


def weight_files(folder: Path) -> list[Path]:
    """The files with the weights of the model in *folder*: all of them are there.

    Raises:
        ModelError: a file is missing, is pickled, or is a placeholder for a file that was not downloaded.
    """
    if (folder / WHOLE).is_file():
        if (folder / INDEX).is_file():
            raise ModelError(
                f"holds {WHOLE} and {INDEX}, which are two sets of weights: move away the set that does "
                "not belong to the model"
            )
        files = [folder / WHOLE]
    elif (folder / INDEX).is_file():
        files = sorted({folder / name for name in _index(folder).values()})
    else:
        raise ModelError(_why_no_weights(folder))
    for file in files:
        if not file.is_file():
            raise ModelError(
                f"its weights are incomplete: {INDEX} names {file.name}, which is not there: download or copy it too"
            )
        refuse_pointer(file)
    return files


def refuse_pointer(file: Path) -> None:
    """Raise a `ModelError` where *file* is the placeholder that Git leaves for a large file."""
    with file.open("rb") as stream:
        if stream.read(len(POINTER)) == POINTER:
            raise ModelError(f"{file.name} is a placeholder of Git LFS without the weights: run 'git lfs pull' there")


def stored_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """All tensors in *files*, by their headers alone.

    Raises:
        ModelError: two files hold the same tensor, so the weights are ambiguous.
    """
    tensors: dict[str, StoredTensor] = {}
    holder: dict[str, str] = {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (the file is no dictionary)
                if name in tensors:
                    raise ModelError(
                        f"both {holder[name]} and {file.name} hold the tensor {name}, so its weights are ambiguous: "
                        "save the model again"
                    )
                part = opened.get_slice(name)
                tensors[name], holder[name] = StoredTensor(part.get_dtype(), tuple(part.get_shape())), file.name
    return tensors


def refuse_incomplete(
    report: Mapping[str, Any],
    folder: Path,
    tensors: Mapping[str, StoredTensor],
    *,
    problem: str,
    remedy: str,
    quantised: bool = False,
) -> None:
    """Raise a `ModelError` where the model in memory is not the model of its files.

    Args:
        report: what transformers returns for ``output_loading_info``.
        folder: the folder that the model was read from.
        tensors: the tensors of its files.
        problem: what missing tensors mean, for the message.
        remedy: what to do about them.
        quantised: its configuration says how integers become weights.
    """
    missing = {*_missing_experts(tensors), *report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    if (folder / INDEX).is_file():
        missing |= set(_index(folder)) - set(tensors)
    if missing:
        raise ModelError(f"{problem}: tensors are missing or have another shape ({name_some(missing)}): {remedy}")
    unused = {name for name in report["unexpected_keys"] if not _is_harmless(name, tensors.get(name))}
    if unused:
        raise ModelError(
            f"its weights hold tensors that config.json gives no place to ({name_some(unused)}): without them it is "
            "another model; use the config.json that belongs to these weights"
        )
    if report.get("error_msgs"):
        raise ModelError(f"{problem}: {report['error_msgs'][0].strip().splitlines()[0]}")
    if not quantised:
        _refuse_integers(tensors)


def _missing_experts(tensors: Iterable[str]) -> set[str]:
    """The tensors of experts whose numbers are left out: transformers would give their places to the next experts."""
    numbers: dict[tuple[str, str], set[int]] = {}
    for name in tensors:
        parts = EXPERT_NAME.fullmatch(name)
        if parts:
            numbers.setdefault((parts[1], parts[3]), set()).add(int(parts[2]))
    return {f"{layer}.{i}.{part}" for (layer, part), held in numbers.items() for i in set(range(max(held))) - held}


def _refuse_integers(tensors: Mapping[str, StoredTensor]) -> None:
    """Refuse weights in integers or 8 bits: without the scales that belong to them they are other numbers."""
    coded = {
        name
        for name, tensor in tensors.items()
        if tensor.dtype not in FLOATING
        and name.endswith(("weight", "_proj", ".bias"))
        and len(tensor.shape) in (1, 2, 3)
    }
    if coded:
        dtypes = ", ".join(sorted({tensors[name].dtype for name in coded}))
        raise ModelError(
            f"its weights are quantised ({dtypes}; {name_some(coded)}), and config.json has no quantization_config "
            "that says how to read them: use the config.json that belongs to these weights, or the unquantised model"
        )


def _is_harmless(name: str, tensor: StoredTensor | None) -> bool:
    is_mask = MASK_NAME.search(name) is not None and tensor is not None and len(tensor.shape) == 4
    return is_mask or UNUSED_NAME.search(name) is not None


def _index(folder: Path) -> dict[str, str]:
    """The file of each tensor."""
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        return {str(tensor): str(file) for tensor, file in names.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"its {INDEX} is damaged: download or copy it again") from None


def name_some(names: Iterable[str]) -> str:
    """How many *names* there are, and the first in the alphabet."""
    names = sorted(names)
    return f"{len(names)}, such as {names[0]}"


def _why_no_weights(folder: Path) -> str:
    names = sorted(file.name for file in folder.iterdir())
    safe: Sequence[str] = [name for name in names if name.endswith(".safetensors")]
    if safe:
        return f"holds {safe[0]}, but no {WHOLE}, and no {INDEX}, which lists the files of a model: copy it too"
    pickled = next((name for name in names if Path(name).suffix in PICKLED), None)
    if pickled:
        return f"its weights are pickled ({pickled}), and loading them can run code: save them as safetensors"
    return f"holds no {WHOLE}: copy or download the weights too"
