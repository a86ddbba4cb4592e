"""A settings file that changes while G6 runs: what can change at a cycle boundary does, the rest awaits a restart."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from g6core.config import Configuration, IndexSettings, resolve
from g6core.effective import effective
from g6core.errors import G6Error
from g6core.layers import Layers
from g6core.logs import about
from g6core.registry import Registry

log = logging.getLogger("g6.reload")

SAFE = frozenset({"interval", "deadline", "expiries", "strategy", "indices", "strategies", "alerts"})
"""Tables and keys of the settings that the next cycle can start with."""


class Reloader:
    """Watches the settings file of a run. restart: the changed settings that wait for one."""

    def __init__(self, configuration: Configuration, registry: Registry) -> None:
        self.restart: tuple[str, ...] = ()
        self._running = configuration
        self._registry = registry
        self._seen = self._content()

    def poll(self) -> Configuration | None:
        """The settings from now on, when the file changed and something of it can be applied; else None.

        Never raises: a file that is not valid changes nothing, and why is logged once.
        """
        content = self._content()
        if content is None or content == self._seen:
            return None
        self._seen = content
        try:
            layers = self._running.layers.reread()
            return self._apply(self._resolve(layers))
        except G6Error as e:
            told = "%s changed and is not valid; nothing was changed\n%s"
            log.error(told, self._running.layers.file, e.render(), extra=about(e))
            return None

    def _content(self) -> bytes | None:
        # The content itself, not its time: some file systems tell seconds only. A file that is being replaced is
        # missing for a moment, and one that was removed changes nothing.
        file = self._running.layers.file
        try:
            return file.read_bytes() if file else None
        except OSError:
            return None

    def _resolve(self, layers: Layers) -> Configuration | None:
        try:
            return resolve(layers, self._registry)
        except G6Error:
            if layers.plugins == self._running.settings.plugins:
                raise
        # The file may be right for the plugins that it now names; only a restart imports them.
        self._wait_for_restart(["plugins"])
        return None

    def _apply(self, wanted: Configuration | None) -> Configuration | None:
        if wanted is None:
            return None
        changed = _changed(self._running, wanted)
        indices, unsafe = self._indices(wanted)
        if not any(index.enabled for index in indices.values()) and (indices or self._running.indices):
            log.error("%s leaves no index to record; nothing was changed", self._running.layers.file)
            return None
        waiting = [path for path in changed if path.split(".")[0] not in SAFE or path in unsafe]
        self._wait_for_restart(waiting)
        applied = [path for path in changed if path not in waiting]
        if not applied:
            return None
        log.info("%s changed; applied: %s", self._running.layers.file, ", ".join(applied))
        self._running = self._merged(wanted, indices)
        return self._running

    def _indices(self, wanted: Configuration) -> tuple[dict[str, IndexSettings], set[str]]:
        """The indices from now on, and the settings of those that would need a provider which does not run."""
        running = {i.provider for i in self._running.indices.values() if i.enabled}
        running = running or {n for n, c in self._running.components["providers"].items() if c.enabled}
        kept: dict[str, IndexSettings] = {}
        unsafe: set[str] = set()
        for name, index in wanted.indices.items():
            if not index.enabled or index.provider in running:
                kept[name] = index
                continue
            unsafe.add(f"indices.{name}.provider")
            if name in self._running.indices:
                kept[name] = self._running.indices[name]
        return kept, unsafe

    def _merged(self, wanted: Configuration, indices: dict[str, IndexSettings]) -> Configuration:
        fixed = {n: getattr(self._running.settings, n) for n in type(wanted.settings).model_fields if n not in SAFE}
        components = {
            kind: (wanted if kind in SAFE else self._running).components[kind] for kind in self._running.components
        }
        settings = wanted.settings.model_copy(update=fixed)
        return replace(wanted, settings=settings, components=components, indices=indices)

    def _wait_for_restart(self, paths: Iterable[str]) -> None:
        self.restart = tuple(paths)
        if self.restart:
            log.warning("%s changed; needs a restart: %s", self._running.layers.file, ", ".join(self.restart))


def _changed(before: Configuration, after: Configuration) -> list[str]:
    old, new = ({row.path: row.value for row in effective(c)} for c in (before, after))
    absent = object()
    return [path for path in dict.fromkeys((*old, *new)) if old.get(path, absent) != new.get(path, absent)]
