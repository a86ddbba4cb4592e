"""The names of keys and channels. Readers rely on them: a change here is a change for every user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

CHAIN = "chain:"
"""What the fields of a snapshot that hold a chain begin with."""


@dataclass(frozen=True)
class Keys:
    prefix: str = "g6"

    @property
    def indices(self) -> str:
        return f"{self.prefix}:indices"

    @property
    def snapshots(self) -> str:
        """The channel of all indices."""
        return f"{self.prefix}:snapshots"

    @property
    def alerts(self) -> str:
        """A sorted set, and the channel of the same name."""
        return f"{self.prefix}:alerts"

    def snapshots_of(self, index: str) -> str:
        """The channel of one index."""
        return f"{self.prefix}:snapshots:{index}"

    def snapshot(self, index: str) -> str:
        return f"{self.prefix}:snapshot:{index}"

    def overview(self, index: str) -> str:
        return f"{self.prefix}:overview:{index}"

    def instruments(self, index: str, day: date) -> str:
        return f"{self.prefix}:instruments:{index}:{day}"


def chain_field(expiry: date) -> str:
    """The field of a snapshot that holds its options of this expiry."""
    return f"{CHAIN}{expiry}"
