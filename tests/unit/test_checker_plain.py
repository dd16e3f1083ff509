"""The incremental outcomes and the plain ones say the same, on random walks under right and under wrong rules."""

from __future__ import annotations

from random import Random

import pytest

from raftedu.checker.plain import Moment, audit
from raftedu.checker.profiles import PROFILES, Profile
from raftedu.checker.search import Search
from raftedu.checker.wrong_rules import find
from raftedu.core.outputs import Outcome
from raftedu.core.rules import RULES, Rules


def walk(profile: Profile, rules: Rules, random: Random, steps: int) -> tuple[str | None, tuple[int, list[str]] | None]:
    """Take random steps until an outcome breaks; return its name, and what the plain audit says of the same run."""
    search = Search(profile, rules, alike=False)
    system, state, acked = search.system, search.start, [0]

    def listen(turn, after, broken):
        acked.extend(a.index for a in turn.answers if a.outcome == Outcome.SUCCESS)

    system.on_turn.append(listen)
    run, name = [], None
    for _ in range(steps):
        moves = search.moves.of(state)
        if not moves:
            break
        state, _, outcome = search.apply(state, random.choice(moves))
        looks = [system.look(place, node) for place, node in enumerate(state[0])] if profile.timed else []
        holders = tuple(i for i, look in enumerate(looks, 1) if look.holds)
        run.append(Moment(tuple(system.snapshots[k] for k in state[0]), max(acked), holders, tuple(look.sees for look in looks)))
        if outcome is not None:
            name = outcome.name
            break
    return name, audit(run)


TABLES = [RULES, *(find(id).rules for id in ("EL-01", "UP-07", "AE-05", "CM-08", "CM-02", "PE-01", "LS-02", "LS-11", "RD-05", "AE-10"))]


@pytest.mark.parametrize("profile", PROFILES[:12], ids=[p.name for p in PROFILES[:12]])
def test_plain_and_incremental_agree(profile):
    random = Random(f"agree {profile.name}")
    for rules in TABLES:
        for _ in range(3):
            name, plain = walk(profile, rules, random, 14)
            if name is None:
                assert plain is None
            else:
                assert plain is not None and name in plain[1]


def test_walks_do_find_something():
    random = Random("something")
    found = {walk(PROFILES[1], find("UP-07").rules, random, 20)[0] for _ in range(40)}
    assert "Leader Completeness" in found
