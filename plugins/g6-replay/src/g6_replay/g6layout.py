"""Where things stand in a tree of the earlier platform, and the columns of its files.

`INDEX/TAG/OFFSET/DATE.csv` (older: below `options/`) and `overview/INDEX/DATE.csv`. Its `weekday_master` holds averages
over many days.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from g6_replay.normalise import ALIASES
from g6_replay.tally import NOT_TAKEN, SET_ASIDE, Tally

DAY_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.csv(\.gz)?")
TAGS = {"this_week": 1, "next_week": 2, "this_month": 4, "next_month": 8}
"""The bit of each tag in the masks of the overview."""

_LEGS = "strike,ce,pe,tp,avg_ce,avg_pe,avg_tp,ce_vol,pe_vol,ce_oi,pe_oi,ce_iv,pe_iv"
_GREEKS = ",".join(f"{side}_{name}" for name in ("delta", "theta", "vega", "gamma", "rho") for side in ("ce", "pe"))
_29 = f"timestamp,index,expiry_tag,offset,index_price,atm,{_LEGS},{_GREEKS}"
_30 = _29.replace("expiry_tag,", "expiry_tag,expiry_date,")
OPTIONS = {len(names.split(",")): names.split(",") for names in (_29, _30, f"{_30},tp_net_change,tp_day_change")}
"""Columns of an options file by their number."""

_7 = "timestamp,index,pcr_this_week,pcr_next_week,pcr_this_month,pcr_next_month,day_width"
_11 = f"{_7},index_price,index_net_change,index_day_change,VIX"
_MASKS = "expiries_expected,expiries_collected,expected_mask,collected_mask,missing_mask"
OVERVIEW = {len(names.split(",")): names.split(",") for names in (_7, _11, f"{_7},{_MASKS}", f"{_11},{_MASKS}")}


@dataclass
class Chapter:
    """The files of one index and one day."""

    options: list[Path] = field(default_factory=list)
    overview: list[Path] = field(default_factory=list)


Listing = dict[date, dict[str, Chapter]]
"""The chapters by day and index."""


def tag_of(path: Path) -> str:
    """The tag folder of an options file."""
    return path.parts[-3] if len(path.parts) > 2 else ""


def relative(path: Path, root: Path) -> str:
    """A file as it is called in a report. root: absolute, above it."""
    return str(path)[len(str(root)) :].lstrip("/\\")


def listing(root: Path, tally: Tally) -> Listing:
    """The files below a directory; those that hold no recorded day are counted in `tally`."""
    root = root.absolute()
    found: Listing = defaultdict(lambda: defaultdict(Chapter))
    for path in _walk(root, tally):
        match = DAY_FILE.fullmatch(path.name)
        why = _not_read(path, bool(match))
        if why:
            tally.add(why[0], 1, relative(path, root), why[1])
            continue
        day, chapter_of = _day(match[1]) if match else None, _index_of(path, root)
        if day is None or chapter_of is None:
            reason = "file whose name is no date" if day is None else "file that lies in no INDEX/TAG/OFFSET folder"
            tally.add(reason, 1, relative(path, root))
            continue
        chapter = found[day][chapter_of]
        (chapter.overview if path.parts[-3] == "overview" else chapter.options).append(path)
    return {day: dict(sorted(found[day].items())) for day in sorted(found)}


def _walk(root: Path, tally: Tally) -> Iterator[Path]:
    def refuse(e: OSError) -> None:
        tally.add("folder that cannot be read", 1, relative(Path(e.filename), root))

    for folder, folders, names in os.walk(root, onerror=refuse):
        place = Path(folder)
        for name in [name for name in folders if os.path.islink(place / name)]:
            tally.add("linked folder, not followed", 1, relative(place / name, root))
        folders.sort()
        yield from (place / name for name in sorted(names))


def _not_read(path: Path, dated: bool) -> tuple[str, str] | None:
    if path.name.endswith(".lock"):
        return "lock file", NOT_TAKEN
    if path.name.endswith("_debug.json"):
        return "debug file", NOT_TAKEN
    if "weekday_master" in path.parts:
        return "file of an overlay (averages over many days, no recording)", SET_ASIDE
    return None if dated else ("file of another kind", NOT_TAKEN)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _index_of(path: Path, root: Path) -> str | None:
    parts = path.parts
    if len(parts) > 3 and parts[-3] == "overview":
        return _known(parts[-2])
    # A tag folder of another name is believed only where the whole layout lies below the root.
    deep = len(path.relative_to(root).parts) > 3
    return _known(parts[-4]) if len(parts) > 4 and (deep or parts[-3] in TAGS) else None


def _known(folder: str) -> str:
    return ALIASES.get(folder.upper(), folder.upper())
