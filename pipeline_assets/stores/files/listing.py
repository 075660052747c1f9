"""Which batches a listing contains: one file or one folder of part files each, and why a name or folder is refused."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline_assets.errors import ContractError
from pipeline_assets.task.batch import InputRef, Part

SUFFIX = ".parquet"
_log = logging.getLogger(__name__)

# What stores, logs or Dagster's partitions cannot take: separators, control characters, what XML (S3's listings)
# cannot carry, and bytes that are not UTF-8 (Python shows them as surrogates).
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]|\.\.\.")
# File systems allow 255, suffix included.
_MAX_BYTES = 240
_HIDDEN = ("_", ".")
# Folders with the journal of a table format: their parquet files include rows that the table has deleted.
_JOURNALS = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table"}
_BEING_WRITTEN = "_temporary"


@dataclass(frozen=True)
class Found:
    """A batch as it is in the store.

    Attributes:
        uri: the file, or the folder with a ``/`` at the end.
        parts: in the order of their names: the order that row numbers follow.
    """

    uri: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Entry:
    """One file or folder below a stage's folder.

    Attributes:
        name: relative to that folder, separated by ``/``.
        part: the file as a part; ``None`` for a folder.
    """

    name: str
    part: Part | None


@dataclass
class Location:
    """One file or one folder that has a batch's name."""

    parts: list[Part] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    journal: str | None = None
    being_written: bool = False


Locations = dict[str, Location]


def unusable(batch: str) -> str | None:
    """Why a name cannot be a batch's; ``None`` if it can.

    >>> unusable("2013/../10")
    "contains '/'"
    >>> unusable("2013 Октябрь; 'v2'.1")
    """
    if not batch:
        return "is empty"
    if batch.startswith(_HIDDEN):
        return f"starts with {batch[0]!r}, as files do that are none of the data"
    forbidden = _FORBIDDEN.search(batch)
    if forbidden:
        return f"contains {forbidden[0]!a}"
    if len(batch.encode()) > _MAX_BYTES:
        return f"has more than {_MAX_BYTES} bytes"
    return None


def check_name(ref: InputRef) -> None:
    """Refuses a batch whose name could lead out of its folder or is :func:`unusable`.

    Raises:
        ContractError: says what is wrong with the name.
    """
    why = unusable(ref.batch)
    if why:
        raise ContractError(
            f"the batch's name {why}",
            task=ref.task,
            stage=ref.stage,
            found=ascii(ref.batch),
            expected=f"1 to {_MAX_BYTES} bytes without / \\ ... or control characters; not _ or . first",
        )


def locations(entries: Iterable[Entry]) -> dict[str, Locations]:
    """Groups the entries of a stage's folder by batch, then by its file or folder (``name/``).

    A folder may have the suffix too, as Spark's ``write.parquet("2013-10.parquet")`` writes it. Names that start
    with ``_`` or ``.`` are not data.
    """
    batches: dict[str, Locations] = {}
    for entry in entries:
        top, *inner = entry.name.split("/")
        is_file = not inner and entry.part is not None
        if not top or top.startswith(_HIDDEN) or (is_file and not top.endswith(SUFFIX)):
            continue
        by_place = batches.setdefault(top.removesuffix(SUFFIX), {})
        location = by_place.setdefault(top if is_file else f"{top}/", Location())
        if inner:
            location.being_written |= inner[0] == _BEING_WRITTEN
            location.journal = location.journal or _JOURNALS.get(inner[0])
        if entry.part is not None and entry.name.endswith(SUFFIX) and not any(n.startswith(_HIDDEN) for n in inner):
            location.parts.append(entry.part)
            if len(inner) > 1:
                location.nested.append("/".join(inner))
    # An empty folder, such as an S3 console makes, does not conflict with a file of the same name.
    return {
        batch: {top: location for top, location in there.items() if location.parts or location.being_written} or there
        for batch, there in batches.items()
    }


def batch_at(folder: str, there: Locations) -> Found:
    """The batch that has these locations below ``folder``."""
    parts = [part for location in there.values() for part in location.parts]
    return Found(f"{folder}/{min(there)}", tuple(sorted(parts, key=lambda part: part.uri)))


def listed(folder: str, entries: Iterable[Entry]) -> dict[str, Found]:
    """Every batch below ``folder`` by name, in the order of names.

    Empty folders are left out, and so are, with a warning, names that cannot be batches. What
    :func:`check_readable` refuses is listed all the same: its run says why.
    """
    batches = {}
    for batch, there in sorted(locations(entries).items()):
        why = unusable(batch)
        if why:
            _log.warning("%s: left out, its name %s", ascii(f"{folder}/{min(there)}"), why)
        elif not any(location.being_written for location in there.values()) and any(
            location.parts for location in there.values()
        ):
            batches[batch] = batch_at(folder, there)
    return batches


def check_readable(ref: InputRef, folder: str, there: Locations) -> None:
    """Refuses what cannot be one batch of plain parquet.

    Raises:
        ContractError: two locations have the name; or the folder is still being written, is another kind of table,
            has its files in subfolders, or has no files.
    """
    if len(there) > 1:
        raise ContractError(
            "two things go by the batch's name",
            **ref.facts(),
            found=" and ".join(f"{folder}/{top}" for top in sorted(there)),
            do="remove or rename one of them",
        )
    ((top, location),) = there.items()
    facts = {**ref.facts(), "file": f"{folder}/{top}"}
    if location.being_written:
        raise ContractError(
            "the batch is still being written",
            **facts,
            found=_BEING_WRITTEN,
            do=f"wait for the writer; if it died, let it write the batch again or remove {_BEING_WRITTEN}",
        )
    if location.journal:
        raise ContractError(
            f"the folder is {location.journal}: its files hold rows that the table has deleted",
            **facts,
            do="write the batch as plain parquet",
        )
    if location.nested:
        raise ContractError(
            "the folder has parquet files in folders of their own; the columns in those folders' names would be lost",
            **facts,
            found=location.nested[0],
            expected="part files directly in the folder",
            do="write the batch without partitionBy",
        )
    if not location.parts:
        raise ContractError("the folder holds no parquet file", **facts, expected=f"part files named *{SUFFIX}")
