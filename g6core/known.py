"""The names that an alert rule may use, looked up before the first cycle: columns, facts, sinks."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from functools import cache

from g6core.discovery import installed
from g6core.errors import ConfigError
from g6core.snapshot import EXPIRIES, OPTIONS

CORE_FACTS = ("spot", "open", "high", "low", "close", "vix", "simulated")
"""Facts that a snapshot may have before analytics; which it has depends on the moment."""
TABLES = ("facts", "expiries", "options")


class Known:
    """What one rule may name. adds: dotted names that the enabled analytics add. where: the rule's place, for errors.

    plugins: the selected ones; when given, a hint names another installed one that would add a name.
    """

    def __init__(
        self, adds: Iterable[str] = (), sinks: Iterable[str] = (), *, plugins: Collection[str] = (), where: str = ""
    ) -> None:
        core = [f"facts.{name}" for name in CORE_FACTS]
        core += [f"expiries.{name}" for name in EXPIRIES] + [f"options.{name}" for name in OPTIONS]
        self.columns = frozenset([*core, *adds])
        self.sinks = frozenset(sinks)
        self._plugins = plugins
        self._where = where

    def column(self, name: str) -> str:
        """The dotted name of a column or fact: `pcr_oi` is `expiries.pcr_oi`.

        A name without a table is looked for in the facts, in the expiries, and in the options. Raises ConfigError
        (`alert-name`) when no snapshot would have it.
        """
        dotted = [name] if "." in name else [f"{table}.{name}" for table in TABLES]
        for one in dotted:
            if one in self.columns:
                return one
        raise ConfigError(
            f"no snapshot has `{name}`", code="alert-name", where=self._where or (), hint=self._hint(name, dotted)
        )

    def sink(self, name: str) -> str:
        """The name, when it is that of a sink. Raises ConfigError (`alert-name`)."""
        if name in self.sinks:
            return name
        close = difflib.get_close_matches(name, self.sinks, n=1)
        listed = f"the sinks are {', '.join(sorted(self.sinks)) or 'none'}"
        hint = f"did you mean `{close[0]}`?" if close else listed
        raise ConfigError(f"there is no sink `{name}`", code="alert-name", where=self._where or (), hint=hint)

    def _hint(self, name: str, dotted: Collection[str]) -> str:
        adders = self._adders(dotted)
        if adders:
            return f"the plugin `{adders[0]}` adds it: put it into `plugins`, and leave its analytics on"
        names = self.columns if "." in name else {column.partition(".")[2] for column in self.columns}
        close = difflib.get_close_matches(name, names, n=1)
        return f"did you mean `{close[0]}`?" if close else "`g6 plugins NAME` shows what the analytics of a plugin add"

    def _adders(self, dotted: Collection[str]) -> list[str]:
        """Installed plugins that would add it."""
        added = _added_by_others(tuple(self._plugins)) if self._plugins else {}
        return [plugin for plugin, adds in added.items() if set(dotted) & set(adds)]


@cache
def _added_by_others(plugins: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What the analytics of each plugin add that is installed and not one of these; takes a second."""
    from g6core.inspection import inspect

    return {info.name: info.adds for info in inspect([p for p in installed() if p.name not in plugins])}
