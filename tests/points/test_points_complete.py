"""Every point of care has its schedule, and every schedule its way to be undone."""

from __future__ import annotations

import re

from tests.points import test_points_u01_u10, test_points_u11_u20


def test_every_point_has_a_schedule_that_fails_when_it_is_undone():
    undone = {}
    for module in (test_points_u01_u10, test_points_u11_u20):
        for name, test in vars(module).items():
            number = re.match(r"test_u(\d+)_", name)
            if number and hasattr(test, "pytestmark"):
                undone.setdefault(int(number[1]), []).extend(way for way in test.pytestmark[0].args[1] if way)
    assert sorted(number for number, ways in undone.items() if ways) == list(range(1, 21))
