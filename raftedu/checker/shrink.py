"""Leaves out of a schedule what is not needed: a search that pursues a broken promise may have begun with a detour, a walk wanders about.

Delta debugging on macro steps (Zeller and Hildebrandt's ddmin): first large parts are left out, then smaller ones, until no single step
can be spared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raftedu.checker.replay import Scene, Schedule, Script, play
from raftedu.core.rules import Rules

__all__ = ["shrunk", "without"]


def shrunk(schedule: Schedule, rules: Rules) -> Schedule:
    """Return the schedule without any step whose absence leaves the same invariant broken; the warm-up stays."""
    scenes = play(schedule, rules)
    wanted = _broken(scenes)
    if wanted is None:
        return schedule
    schedule = _up_to(schedule, len(scenes))

    def still_broken(less: Schedule) -> Schedule | None:
        scenes = play(less, rules)
        fits = _broken(scenes) == wanted and all(scene.possible for scene in scenes)
        return _up_to(less, len(scenes)) if fits else None

    part = max(1, (len(schedule.scripts) - schedule.before) // 2)
    while True:
        schedule, spared = _pass(schedule, part, still_broken)
        if part == 1 and not spared:
            return schedule
        part = max(1, part // 2)


def _pass(schedule: Schedule, part: int, still_broken: Callable[[Schedule], Schedule | None]) -> tuple[Schedule, bool]:
    """Try to spare every ``part`` steps in a row; return what is left, and whether any could be spared."""
    place, spared = schedule.before, False
    while place < len(schedule.scripts):
        less = still_broken(without(schedule, range(place, place + part)))
        if less is None:
            place += part
        else:
            schedule, spared = less, True
    return schedule, spared


def without(schedule: Schedule, places: Iterable[int]) -> Schedule:
    """Return the schedule without these steps, counted from 0 over the whole, and without the arrival of what they held back."""
    gone = set(places)
    kept: list[Script] = []
    new_place: dict[int, int] = {}
    for place, script in enumerate(schedule.scripts):
        if place in gone or (script.held_in is not None and script.held_in not in new_place):
            continue
        new_place[place] = len(kept)
        kept.append(script if script.held_in is None else script._replace(held_in=new_place[script.held_in]))
    return schedule._replace(scripts=tuple(kept), before=sum(place < schedule.before for place in new_place))


def _up_to(schedule: Schedule, steps: int) -> Schedule:
    return schedule._replace(scripts=schedule.scripts[:steps])


def _broken(scenes: list[Scene]) -> str | None:
    """Return the outcome that breaks; if there is none, the first obligation."""
    outcome = next((scene.outcome.name for scene in scenes if scene.outcome is not None), None)
    return outcome or next((scene.obligation.name for scene in scenes if scene.obligation is not None), None)
