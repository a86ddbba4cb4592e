"""What can be set in `[sinks.web]`; host, port and token are those of `[http]`."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from g6core import Duration


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    streams: int = Field(200, ge=1, le=1000, description="clients that may follow the stream at a time")
    queue: int = Field(
        64, ge=1, le=1000, description="snapshots that may wait for a slow client; then it skips the oldest"
    )
    heartbeat: Duration = Field(
        timedelta(seconds=15),
        ge=timedelta(milliseconds=10),
        description="how often a silent stream says that it is alive",
    )
    patience: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(milliseconds=10),
        description="how long a client may take to say what it wants",
    )
    stuck: Duration = Field(
        timedelta(seconds=30),
        ge=timedelta(milliseconds=10),
        description="how long a client may take nothing of what it is sent before it is left",
    )
