"""Machine code of the analytics, made before the tests by two processes side by side: `python -m tests.compiled`."""

from __future__ import annotations

from multiprocessing import Process

from tests.forks import analytics_ready


def smile_and_doors() -> None:
    """About half of the work: the greatest analytic, and what only tests and notebooks call."""
    from g6_greeks import black76

    analytics_ready("smile")
    black76.price(100.0, 100.0, 1.0, 0.2, 1.0, True)
    black76.greeks(0.2, 100.0, 100.0, 1.0, 1.0, 0.0, True)
    black76.implied_volatility(8.0, 100.0, 100.0, 1.0, 1.0, True)


if __name__ == "__main__":
    beside = Process(target=smile_and_doors)
    beside.start()
    analytics_ready("greeks", "pcr", "max_pain", "atm", "oi_change", "gex", "quality", "vix", "realized")
    beside.join()
    # Whatever is new in neither half.
    analytics_ready()
