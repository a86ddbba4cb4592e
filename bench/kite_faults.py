"""What each scripted fault of the simulated Kite does to what is recorded, and how soon all is back.

    python bench/kite_faults.py

Twenty-four contracts, a look four times a second, each fault for three seconds. Every quote that is given is compared
with what was sent. `without`: the longest time without a quote of some contract; `back`: seconds from the end of the
fault (for `expire`: from the login) until every contract has one again.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from g6_sim.serve.faults import parse

from tests.kite_rig import Look, Rig, serving

SECONDS = 3.0
STREAM = (
    ("silent", "drop", "truncated", "torn", "duplicate", "late", "unknown_token", "zero_depth", "null_trade_time")
)  # fmt: skip
BOTH = ("html502", "storm429", "slow", "expire")


def without(looks: list[Look]) -> float:
    """The longest run of looks of which some contract had no quote."""
    longest, since = 0.0, None
    for look in looks:
        if look.known < 1.0:
            since = look.at if since is None else since
            longest = max(longest, look.at + look.seconds - since)
        else:
            since = None
    return longest


def row(name: str, mode: str) -> str:
    with tempfile.TemporaryDirectory() as place, serving(ticks=2.0) as server, Rig(server, Path(place), mode) as rig:
        rig.until_known(10.0)
        server.faults.add(parse(name))
        looks = rig.watch(SECONDS)
        server.faults.clear()
        if name == "expire":
            rig.log_in()
        began = time.monotonic()
        rig.until_known(60.0)
        back = time.monotonic() - began
        problems = {look.problem for look in looks if look.problem}
        return f"| {name} | {mode} | {without(looks):.1f} | {back:.1f} | {', '.join(sorted(problems)) or '–'} |"


def main() -> None:
    print("| fault | mode | without, s | back, s | reason given |")
    print("|---|---|---|---|---|")
    for name in (*STREAM, *BOTH):
        print(row(name, "stream"), flush=True)
    for name in BOTH:
        print(row(name, "quote"), flush=True)


if __name__ == "__main__":
    main()
