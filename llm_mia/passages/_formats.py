"""What a file is, by its name alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ._compressed import COMPRESSIONS

__all__ = ["SUPPORTED", "TABLES", "FileKind", "FileName", "classify"]

TABLES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
TEXTS = {".txt": "text", ".md": "text"}
FORMATS = {**TABLES, **TEXTS}
SELF_COMPRESSED = ("parquet", "arrow")
SUPPORTED = f"{' '.join(FORMATS)} (all but .parquet and .arrow also as {' '.join(COMPRESSIONS)})"

ARCHIVES = {".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".7z", ".rar"}
SHEETS = {".xlsx", ".xls", ".xlsm", ".ods"}
OTHER_TABLES = {".avro", ".orc", ".feather", ".pkl", ".pickle", ".h5", ".hdf5", ".db", ".sqlite", ".sqlite3", ".duckdb"}
OTHER_TABLES |= {".dta", ".sav", ".rds", ".mdb", ".psv", ".tfrecord"}
OTHER_TEXTS = {".pdf", ".doc", ".docx", ".odt", ".rtf", ".epub", ".mobi", ".azw3", ".htm", ".html", ".xhtml", ".tex"}
OTHER_TEXTS |= {".rst", ".text", ".markdown", ".xml"}
UNFINISHED = {".part", ".partial", ".crdownload", ".download", ".incomplete", ".tmp"}
"""What programs append to the name of a file as long as they write it."""
COMPANIONS = {".crc", ".md5", ".sha1", ".sha256", ".sha512", ".sig", ".asc", ".lock", ".idx", ".index", ".bak", ".old"}
COMPANIONS |= {".orig", ".swp", ".log", ".meta", ".metadata"}
"""What is appended to the name of a data file to name another file about it."""

_ABOUT = re.compile(
    r"(readme|licen[cs]e|copying|notice|changelog|contributing|code_of_conduct)([._-][a-z0-9._-]*)?"
    r"|citation\.(cff|bib)|dataset_infos?\.json|dataset_dict\.json|state\.json|croissant\.json"
)
_PART = re.compile(r"part[-_.]?(r-|m-)?\d+")


class FileKind(StrEnum):
    """What a file is to a reader of passages."""

    TABLE = "a table"
    TEXT = "a loose text"
    ABOUT = "describes the data"
    OTHER_TABLE = "a table in a format that is not read"
    OTHER_TEXT = "a text in a format that is not read"
    UNFINISHED = "an unfinished copy"
    NO_DATA = "not data"


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a file says about it."""

    kind: FileKind
    format: str = ""
    """Of a table or text that can be read."""
    compression: str | None = None
    remedy: str = ""
    """What to do about a file that cannot be read."""


def classify(path: Path) -> FileName:
    """What the file is; files about other data, such as README.md, are recognised by names, not suffixes."""
    name = path.name.lower()
    suffixes = [suffix.lower() for suffix in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    inner = suffixes[-2] if len(suffixes) > 1 else ""
    if _ABOUT.fullmatch(name):
        return FileName(FileKind.ABOUT, *_readable(last, inner))
    if (readable := _readable(last, inner))[0]:
        return FileName(FileKind.TABLE if readable[0] in TABLES.values() else FileKind.TEXT, *readable)
    return _unreadable(last, suffixes, name)


def _readable(last: str, inner: str) -> tuple[str, str | None]:
    """The format, empty where it is not read, and the compression."""
    compression = COMPRESSIONS.get(last)
    file_format = FORMATS.get(last if compression is None else inner, "")
    return ("", None) if compression and file_format in SELF_COMPRESSED else (file_format, compression)


def _unreadable(last: str, suffixes: list[str], name: str) -> FileName:
    if last in UNFINISHED:
        return FileName(FileKind.UNFINISHED, remedy="complete it, or remove it")
    if last in COMPANIONS or name.endswith("~") or name == "thumbs.db":
        return FileName(FileKind.NO_DATA)
    if last in ARCHIVES or ".tar" in suffixes:
        return FileName(FileKind.OTHER_TABLE, remedy="unpack it, and read the folder with its files")
    if last in SHEETS:
        return FileName(FileKind.OTHER_TABLE, remedy="save the sheet as csv, in UTF-8")
    if last in OTHER_TEXTS:
        return FileName(FileKind.OTHER_TEXT, remedy="convert it to txt, in UTF-8")
    if last in OTHER_TABLES:
        return FileName(FileKind.OTHER_TABLE, remedy="write it as jsonl, csv or parquet")
    if any(suffix in FORMATS for suffix in suffixes):  # a.jsonl.lz4, a.csv.001, a.parquet.gz
        return FileName(FileKind.OTHER_TABLE, remedy=f"unpack or join it into a file with one of {' '.join(FORMATS)}")
    if last in COMPRESSIONS:
        return FileName(FileKind.OTHER_TABLE, remedy="unpack it, or add the format to its name, as in NAME.jsonl.gz")
    if not suffixes and _PART.fullmatch(name):
        return FileName(FileKind.OTHER_TABLE, remedy="add the format to its name, as in part-00000.jsonl")
    return FileName(FileKind.NO_DATA)
