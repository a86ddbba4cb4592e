"""What can be set in `[sinks.parquet]`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from g6core import Duration


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dir: Path | None = Field(
        None, description="directory of the dataset, as written; without it `parquet` in the data directory"
    )
    compression_level: int = Field(3, ge=1, le=22, description="zstd level: higher is smaller and slower to write")
    digits: int | None = Field(
        None,
        ge=4,
        le=15,
        description="what analytics add to the options is rounded to at least so many significant digits; what is "
        "recorded is never rounded; without it nothing is",
    )
    merge_files: int = Field(
        10, ge=2, le=100, description="how many files of a size are merged into one during the day"
    )
    rows_per_file: int = Field(
        500_000, ge=1000, description="rows beyond which files are not merged further before the day is compacted"
    )
    rows_per_group: int = Field(131_072, ge=1000, description="rows of a row group, the smallest piece that is read")
    retention: Duration | None = Field(
        None, description="whole dates that are older are removed at start; without it everything is kept"
    )

    def directory(self, data_dir: Path) -> Path:
        """The root of the dataset."""
        return data_dir / "parquet" if self.dir is None else self.dir.expanduser()
