"""How well a recorded day keeps put-call parity and lies on its smiles: a table, and the plot in docs/images.

    python plot_residuals.py RECORDING [picture.png]

RECORDING is a CSV file of NIFTY chains, a row per option and minute, with the columns timestamp (YYYYMMDDHHMM, India),
expiry (DD-Mon-YYYY), strike, option_type (CE or PE), spot and ltp. Needs matplotlib, which g6-greeks does not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from g6_greeks.analytics.greeks import Greeks
from g6_greeks.analytics.smile import Smile
from g6_greeks.settings import GreeksSettings
from matplotlib.dates import DateFormatter
from PIL import Image

from g6core import Snapshot
from g6core.exchange import Calendar
from g6core.snapshot import EXPIRIES, OPTIONS, conform

INDIA = ZoneInfo("Asia/Kolkata")
TICK = 0.05
BAND = 0.0025
"""Width in log-moneyness of what is put together in the plot of the smiles."""
FEWEST = 50
"""A band with fewer residuals is not drawn."""
COLOURS = ("#b2182b", "#d6902f", "#1b7837", "#2166ac")


@dataclass(frozen=True)
class Expiry:
    """One expiry over the day. One number per minute: time (India), parity and smile in rupees and volatility points;
    one per out-of-the-money option and minute: k, the log-moneyness, and miss, fit less quote in volatility points."""

    day: date
    time: list[datetime]
    parity: np.ndarray
    smile: np.ndarray
    k: np.ndarray
    miss: np.ndarray


def snapshots(recording: Path) -> Iterator[Snapshot]:
    rows = pl.read_csv(recording).select(
        "timestamp",
        "spot",
        "strike",
        expiry=pl.col("expiry").str.to_date("%d-%b-%Y"),
        right="option_type",
        last_price="ltp",
        tick_size=pl.lit(TICK),
    )
    calendar = Calendar.load()
    for (stamp,), chain in rows.partition_by("timestamp", as_dict=True, maintain_order=True).items():
        ts = datetime.strptime(str(stamp), "%Y%m%d%H%M").replace(tzinfo=INDIA).astimezone(UTC)
        days = chain["expiry"].unique().sort()
        closes = [calendar.closes_at("NFO", day) for day in days]
        expiries = pl.DataFrame({"expiry": days, "expires_at": closes})
        options = conform(chain.drop("timestamp", "spot"), OPTIONS, who="recording").sort("expiry", "strike", "right")
        facts = {"spot": float(chain["spot"][0])}
        yield Snapshot("NIFTY", ts, "recorded", options, conform(expiries, EXPIRIES, who="recording"), facts)


def computed(recording: Path) -> list[Expiry]:
    greeks, smile = Greeks(GreeksSettings()), Smile()
    made = [smile.compute(greeks.compute(snapshot)) for snapshot in snapshots(recording)]
    minutes = pl.concat([s.expiries.with_columns(ts=pl.lit(s.ts)) for s in made])
    quotes = pl.concat(
        [
            s.options.join(s.expiries.select("expiry", "forward"), on="expiry").select(
                "expiry",
                call=pl.col("right") == "CE",
                k=(pl.col("strike") / pl.col("forward")).log(),
                miss=100 * (pl.col("iv_fit") - pl.col("iv")),
            )
            for s in made
        ]
    ).filter((pl.col("k") >= 0) == pl.col("call"), pl.col("miss").is_finite())
    return [
        _expiry(day, of, quotes.filter(expiry=day))
        for (day,), of in minutes.partition_by("expiry", as_dict=True).items()
    ]


def _expiry(day: date, minutes: pl.DataFrame, quotes: pl.DataFrame) -> Expiry:
    """Absent numbers are NaN."""
    parity, smile = (minutes[name].cast(pl.Float64).to_numpy() for name in ("parity_rmse", "smile_rmse"))
    time = minutes["ts"].dt.convert_time_zone("Asia/Kolkata").dt.replace_time_zone(None).to_list()
    return Expiry(day, time, parity, 100 * smile, quotes["k"].to_numpy(), quotes["miss"].to_numpy())


def report(expiries: list[Expiry]) -> None:
    print("| expiry | snapshots with parity | parity_rmse median | 95 % | with smile | smile_rmse median | 95 % |")
    print("|---|---|---|---|---|---|---|")
    for e in expiries:
        cells = [e.day.strftime("%d %b %Y")]
        for values in (e.parity, e.smile):
            known = values[np.isfinite(values)]
            cells += [f"{known.size} of {values.size}", *(f"{x:.2f}" for x in np.percentile(known, (50, 95)))]
        print("|", " | ".join(cells), "|")


def plot(expiries: list[Expiry], picture: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for e, colour in zip(expiries, COLOURS, strict=True):
        left.plot(e.time, e.parity, color=colour, linewidth=1, label=e.day.strftime("%d %b"))
        right.plot(*_bands(e), color=colour, linewidth=1.3)
    left.set(yscale="log", ylabel="rupees", title="parity_rmse", xlabel="time in India")
    left.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    left.legend(title="expiry", fontsize=8, ncols=2)
    right.set(title="iv_fit - iv, median of the day", xlabel="ln(strike / forward)", ylabel="volatility points")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=90)
    Image.open(buffer).convert("RGB").quantize(64).save(picture, optimize=True)


def _bands(e: Expiry) -> tuple[np.ndarray, np.ndarray]:
    """Middle of each band of log-moneyness, and the median residual there."""
    band = np.floor(e.k / BAND).astype(np.intp)
    drawn = [b for b, n in zip(*np.unique(band, return_counts=True), strict=True) if n >= FEWEST]
    return (np.array(drawn) + 0.5) * BAND, np.array([np.median(e.miss[band == b]) for b in drawn])


if __name__ == "__main__":
    found = computed(Path(sys.argv[1]))
    report(found)
    if sys.argv[2:]:
        plot(found, Path(sys.argv[2]))
