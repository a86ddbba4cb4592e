"""The components that run inline in the cycle, from their opening to their closing: strategies, analytics, rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from g6core.assembly import Assembly
from g6core.components import Component, Context
from g6core.faults import close


class Parts:
    """What is open; used by the engine's thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open: list[Component] = []

    def use(self, assembly: Assembly) -> None:
        """Open what is not open yet, then close what this assembly has no more. Raises what a component raises."""
        parts = list(_parts(assembly))
        for part, name in parts:
            if part not in self._open:
                part.open(replace(self._context, name=name))
                self._open.append(part)
        kept = [part for part, _ in parts]
        for part in [part for part in self._open if part not in kept]:
            self._open.remove(part)
            close(part)

    def close(self) -> None:
        """In reverse order."""
        for part in reversed(self._open):
            close(part)
        self._open.clear()


def _parts(assembly: Assembly) -> Iterator[tuple[Component, str | None]]:
    """Each with what the settings call it, which only rules are told."""
    for plans in assembly.plans.values():
        yield from ((plan.strategy, None) for plan in plans)
    yield from ((step.analytic, None) for step in assembly.steps)
    yield from ((rule, name) for name, rule in assembly.rules.items())
