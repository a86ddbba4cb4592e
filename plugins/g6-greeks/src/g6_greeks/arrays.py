"""The kinds of array that the formulas take and give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]


def read_only(*arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Views not to be written to: numba compiles anew for each mixture with others, and a column may be either."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views
