"""Which plugins are installed, read from entry-point metadata alone: nothing is imported here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

from g6core import __version__
from g6core.errors import G6Error, PluginError, raise_all

GROUP = "g6"


@dataclass(frozen=True)
class Installed:
    """One entry point of the group `g6`. name: what `plugins = [...]` and `--plugins` say."""

    name: str
    entry_point: EntryPoint
    distribution: str
    version: str
    requires: str | None
    """The distribution's own demand on g6core, such as `>=0.1,<0.2`."""

    @property
    def compatible(self) -> bool:
        if not self.requires:
            return True
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.requires).contains(__version__, prereleases=True)


def installed() -> list[Installed]:
    """Every installed plugin, sorted by name; two of one name both stand in the list."""
    found: dict[tuple[str, str, str], Installed] = {}
    for dist in distributions():
        for point in dist.entry_points.select(group=GROUP):
            name = dist.metadata["Name"]
            # The same distribution may be seen through several sys.path entries: the first one counts.
            found.setdefault((point.name, name, point.value), _describe(point, dist))
    return sorted(found.values(), key=lambda p: (p.name, p.distribution))


def _describe(point: EntryPoint, dist: Distribution) -> Installed:
    return Installed(point.name, point, dist.metadata["Name"], dist.version, _demand_on_core(dist))


def _demand_on_core(dist: Distribution) -> str | None:
    from packaging.requirements import Requirement

    for text in dist.requires or ():
        requirement = Requirement(text)
        if requirement.name.lower() == "g6core" and not requirement.marker:
            return str(requirement.specifier) or None
    return None


def select(names: Sequence[str], available: Sequence[Installed] | None = None) -> list[Installed]:
    """The installed plugins of these names, in the order given; every problem of every name at once."""
    plugins = installed() if available is None else available
    chosen: list[Installed] = []
    problems: list[G6Error] = []
    for name in dict.fromkeys(names):
        matches = [p for p in plugins if p.name == name]
        problem = _problem(name, matches, plugins)
        if problem:
            problems.append(problem)
        else:
            chosen.append(matches[0])
    raise_all(problems)
    return chosen


def _problem(name: str, matches: Sequence[Installed], plugins: Sequence[Installed]) -> PluginError | None:
    if not matches:
        return _unknown(name, plugins)
    if len(matches) > 1:
        owners = " and ".join(f"{p.distribution} {p.version}" for p in matches)
        return PluginError(
            f"two installed distributions call themselves plugin `{name}`: {owners}",
            code="plugin-duplicate",
            hint=f"uninstall one of them: `pip uninstall {matches[-1].distribution}`",
        )
    plugin = matches[0]
    if not plugin.compatible:
        return PluginError(
            f"plugin `{name}` ({plugin.distribution} {plugin.version}) needs g6core {plugin.requires}, "
            f"and this is g6core {__version__}",
            code="plugin-incompatible",
            hint=f"`pip install --upgrade {plugin.distribution} g6core`",
        )
    return None


def _unknown(name: str, plugins: Sequence[Installed]) -> PluginError:
    names = sorted({p.name for p in plugins})
    close = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names) or "none"
    return PluginError(
        f"no installed plugin is called `{name}`",
        code="plugin-missing",
        note=f"installed plugins: {listed}",
        hint=f"did you mean `{close[0]}`?"
        if close
        else f"`pip install g6-{name}` if that is its package, or `g6 plugins`",
    )
