"""What the picture tests share: a backend without a window, and no figure that outlives its test."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import pytest

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402 (the backend is chosen first)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close every figure after the test, so that none is shown or counted in the next."""
    yield
    plt.close("all")
