"""How right volatilities and Greeks are: against 60 digits on two sets of options, and on a sweep of ten million rows.

`python bench/accuracy.py [sweep rows]`. The sets are priced once with mpmath, which takes minutes, and are kept in the
temporary directory. "Attainable" is what half a unit in the last place of the price and of the volatility amounts to in
volatility; a row is wrong beyond 16 times that.
"""

from __future__ import annotations

import sys
import time
from multiprocessing import Pool

import numpy as np
import sweep
from g6_greeks import black76
from g6_greeks.black76 import Status
from sets import SIZES, WRONG, table
from sweep import NAMES, exact

CHUNK = 100_000
Columns = dict[str, np.ndarray]


def out_of_the_money(options: Columns) -> np.ndarray:
    return options["is_call"] == (options["forward"] < options["strike"])


def row_of(options: Columns, i: int) -> tuple[float, ...]:
    return (*(float(options[name][i]) for name in NAMES[:5]), bool(options["is_call"][i]))


def volatilities(kind: str, options: Columns) -> None:
    """One line of the first table."""
    found = black76.implied_volatility(*(options[name] for name in NAMES))
    error, null = np.abs(found["iv"] - options["iv"]), found["status"] != Status.OK
    ratio, otm = error / options["attainable"], out_of_the_money(options)
    explained = sum(exact.status(*row_of(options, i)) == found["status"][i] for i in np.flatnonzero(null))
    wrong = int((~null & ~(ratio <= WRONG)).sum())
    nulls = f"{explained} | {int(null.sum()) - explained}"
    worst = f"{np.nanmax(error[otm]):.1e} | {np.nanmax(ratio[otm]):.2f} | {np.nanmax(ratio):.2f}"
    print(f"| {kind} | {len(error):,} | {worst} | {wrong} | {nulls} |")


def greeks(kind: str, options: Columns, n: int = 3000) -> None:
    """Lines of the second table: the greatest relative error of each Greek."""
    chosen = np.random.default_rng(1).permutation(len(options["iv"]))[:n]
    o = {name: column[chosen] for name, column in options.items()}
    order = ("forward", "strike", "t", "discount", "rate", "is_call")
    rows = zip(o["iv"], *(o[name] for name in order), strict=True)
    truth = [exact.greeks(*map(float, row[:-1]), bool(row[-1])) for row in rows]
    expected = {name: np.array([row[name] for row in truth]) for name in truth[0]}
    given = black76.greeks(o["iv"], *(o[name] for name in order))
    joint = black76.iv_greeks(o["price"], *(o[name] for name in order))
    otm = out_of_the_money(o)
    for name in exact.GREEKS:
        scales = {name: np.abs(expected[name])}
        if name == "theta":
            scales["theta, of its terms"] = expected["theta_terms"]
        for title, scale in scales.items():
            of_given, of_joint = (np.abs(g[name] - expected[name]) / scale for g in (given, joint))
            cells = (of_given.max(), np.nanmax(of_joint[otm]), np.nanmax(of_joint))
            print(f"| {kind} | {title} | " + " | ".join(f"{c:.1e}" for c in cells) + " |")


def _rows(chunk: int) -> Columns:
    return sweep.rows(CHUNK, exact.SEED + chunk)


def _check(part: tuple[Columns, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The status that is right, and the error ratio where that and the kernel's are OK."""
    rows, iv, status = part
    expected = sweep.status(rows)
    return expected, sweep.ratios(rows, iv, (expected == Status.OK) & (status == Status.OK))


def swept(n: int) -> None:
    """Every row of the sweep in one call of the kernel; then the checks, in parts."""
    with Pool() as pool:
        parts = pool.map(_rows, range(n // CHUNK))
        rows = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        inputs = [rows[name] for name in NAMES]
        began = time.perf_counter()
        found = black76.iv_greeks(*inputs[:5], 0.065, inputs[5])
        print(f"\n{len(rows['t']):,} rows of all kinds in one call: {time.perf_counter() - began:.1f} s")
        bounds = range(0, len(rows["t"]), CHUNK)
        results = [(found["iv"][b : b + CHUNK], found["status"][b : b + CHUNK]) for b in bounds]
        checked = pool.map(_check, [(p, *r) for p, r in zip(parts, results, strict=True)])
        expected, ratio = (np.concatenate(a) for a in zip(*checked, strict=True))
    alone = black76.implied_volatility(*inputs, threads=2)
    same = all(np.array_equal(alone[name], found[name], equal_nan=True) for name in alone)
    print(f"implied_volatility on two threads gives the same: {same}")
    _report(rows, found, expected, ratio)
    _judge(rows, found["iv"], ratio)


def _report(rows: Columns, found: Columns, expected: np.ndarray, ratio: np.ndarray) -> None:
    bad_status = found["status"] != expected
    odd = np.isnan(found["iv"]) != (found["status"] != Status.OK)
    holes = {name: int((np.isnan(found[name]) != np.isnan(found["iv"])).sum()) for name in exact.GREEKS}
    infinite = {name: int(np.isinf(found[name]).sum()) for name in ("iv", *exact.GREEKS)}
    print(f"rows whose iv and status contradict each other: {int(odd.sum())}")
    print(f"Greeks that are NaN where iv is not, or the other way round: {holes}; infinite: {infinite}\n")
    print("| kind | rows | OK | wrong status | wrong iv (> 16) | > 4 | > 2 | worst |\n" + "|---" * 8 + "|")
    for code, kind in enumerate(sweep.KINDS):
        here = rows["kind"] == code
        r = ratio[here & ~np.isnan(ratio)]
        counts = [here.sum(), (here & (expected == Status.OK)).sum(), (here & bad_status).sum()]
        counts += [(r > limit).sum() for limit in (WRONG, 4, 2)]
        cells = " | ".join(f"{int(c):,}" for c in counts)
        print(f"| {kind} | {cells} | {r.max():.2f} |" if len(r) else f"| {kind} | {cells} | |")
    for words, worst in (("greatest error ratios", np.argsort(-np.nan_to_num(ratio))[:5]), ("wrong status", None)):
        print(f"\n{words}:")
        for i in np.flatnonzero(bad_status)[:8] if worst is None else worst:
            said, right = Status(found["status"][i]).word, Status(expected[i]).word
            values = ", ".join(f"{name} {rows[name][i].item()!r}" for name in NAMES)
            print(f"- {values}: iv {found['iv'][i]:.17g}, ratio {ratio[i]:.3g}, said {said}, right {right}")


def _judge(rows: Columns, iv: np.ndarray, ratio: np.ndarray, n: int = 2000) -> None:
    """The judge against mpmath, on rows of every kind."""
    chosen = np.random.default_rng(2).choice(np.flatnonzero(np.isfinite(ratio)), n, replace=False)
    true = np.array([exact.error_ratio(float(iv[i]), *row_of(rows, i)) for i in chosen])
    gap = np.abs(ratio[chosen] - true) / np.maximum(true, 1)
    print(f"\nthe 80-bit judge against mpmath on {n:,} of these rows: its ratios are off by at most {gap.max():.1e}")


def main() -> None:
    sets = {kind: table(kind) for kind in SIZES}
    titles = "set | options | max error OTM | worst ratio OTM | worst ratio | wrong | nulls explained | unexplained"
    print(f"| {titles} |\n" + "|---" * 8 + "|")
    for kind, options in sets.items():
        volatilities(kind, options)
    titles = "set | Greek, relative error | from a given iv | from the price, OTM | from the price, all"
    print(f"\n| {titles} |\n" + "|---" * 5 + "|")
    for kind, options in sets.items():
        greeks(kind, options)
    swept(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)


if __name__ == "__main__":
    main()
