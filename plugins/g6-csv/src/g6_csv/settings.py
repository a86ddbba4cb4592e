"""What can be set in `[sinks.csv]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from g6_csv import columns


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dir: Path | None = Field(
        None,
        description="directory of the tree, as written; without it `g6_data` in the data directory",
        json_schema_extra={"env": "G6_CSV_BASE_DIR"},
    )
    layout: Literal["wide", "day"] = Field(
        "wide",
        description="wide: a file per expiry code and offset, both legs in a row; day: one file, a row per contract",
    )
    bid_ask: bool = Field(True, description="write the columns of bid and ask")
    extra: list[str] = Field(
        default_factory=list,
        description="further columns of the options to write, as analytics name them; at the end of the row",
    )

    @field_validator("extra")
    @classmethod
    def _plain_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not name.isidentifier():
                raise ValueError(f"{name!r} is not a column name")
        return names

    @model_validator(mode="after")
    def _each_column_once(self) -> Settings:
        doubled = [name for name in self.header if self.header.count(name) > 1]
        if doubled:
            raise ValueError(f"`extra` would write `{doubled[0]}` twice")
        return self

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of the options files."""
        return (columns.wide if self.layout == "wide" else columns.day)(self.bid_ask, self.extra)
