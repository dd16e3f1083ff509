"""Leaves out of a schedule what is not needed: a search that pursues a broken promise may have begun with a detour."""

from __future__ import annotations

from raftedu.checker.replay import Scene, Schedule, play
from raftedu.core.rules import Rules

__all__ = ["shrunk"]


def shrunk(schedule: Schedule, rules: Rules) -> Schedule:
    """Return the schedule without any step whose absence leaves the same invariant broken; the warm-up stays."""
    wanted = _broken(play(schedule, rules))
    place = schedule.before
    while place < len(schedule.scripts):
        less = schedule._replace(scripts=schedule.scripts[:place] + schedule.scripts[place + 1 :])
        scenes = play(less, rules)
        if wanted is not None and _broken(scenes) == wanted and all(scene.possible for scene in scenes):
            schedule = less._replace(scripts=less.scripts[: len(scenes)])
        else:
            place += 1
    return schedule


def _broken(scenes: list[Scene]) -> str | None:
    """Return the outcome that breaks; if there is none, the first obligation."""
    outcome = next((scene.outcome.name for scene in scenes if scene.outcome is not None), None)
    return outcome or next((scene.obligation.name for scene in scenes if scene.obligation is not None), None)
