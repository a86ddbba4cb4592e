"""Provider `replay`: a recording through the same engine."""

from __future__ import annotations

from collections.abc import Iterable

from g6_replay.settings import Settings
from g6core import Provider, ProviderSpec, hookimpl


def build(settings: Settings) -> Provider:
    from g6_replay.provider import Replay

    return Replay(settings)


@hookimpl
def g6_providers() -> Iterable[ProviderSpec]:
    return [ProviderSpec(name="replay", build=build, settings=Settings, help="recorded option chains")]
