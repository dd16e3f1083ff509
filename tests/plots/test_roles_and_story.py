"""The roles picture and the whole story: what each panel shows, on one time axis, shown once in a notebook."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from raftedu.plot import plot_roles, plot_story
from raftedu.trace import Trace, read_dump
from tests.plots import told
from tests.plots.reading import artist, gids, spans, words
from tests.story import write_story


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return read_dump(write_story(tmp_path_factory.mktemp("story")))


def test_every_row_of_the_roles_is_a_bar(trace):
    ax = plot_roles(trace)
    roles = trace.roles()
    for (node, role), rows in roles.groupby(["node", "role"]):
        assert spans(ax, f"role:{node}:{role}") == list(zip(rows["start"], rows["end"], strict=True))
    assert len(gids(ax, "role")) == len(roles.groupby(["node", "role"]))


@pytest.mark.parametrize("given", [None, "raftedu-runs/001", 5])
def test_what_is_no_trace_is_refused_with_what_would_be(given):
    for plot in (plot_roles, plot_story):
        with pytest.raises(TypeError, match=r"a picture is made from a trace, .* read_dump\(folder\)"):
            plot(given)


def test_each_role_has_a_letter_in_the_picture_and_in_the_legend(trace):
    ax = plot_roles(trace)
    assert {"F", "L  term 1", "L  term 2", "× crashed"} <= set(words(ax))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["F: follower", "C: candidate", "L: leader", "×: crashed"]


def test_a_candidacy_too_short_to_see_is_marked(trace):
    tips = artist(plot_roles(trace), "candidates").get_offsets()[:, 0].tolist()
    assert tips == pytest.approx(trace.elections()["start"].tolist())


def test_a_paused_leader_is_still_drawn_as_leader_and_hatched_over():
    story = told.Told(end=20.0)
    story.reign(2, 1, 5.0, 20.0, "open")
    story.add("faults", "paused", 2, None, 10.0, 15.0)
    ax = plot_roles(story.done())
    assert spans(ax, "fault:paused:2") == [(10.0, 15.0)]
    assert artist(ax, "fault:paused:2").get_zorder() > artist(ax, "role:2:leader").get_zorder()
    assert "‖ paused" in words(ax)


def test_all_panels_have_one_time_axis(trace):
    figure = plot_story(trace)
    roles, leases, commits = figure.axes
    assert roles.get_xlim() == leases.get_xlim() == commits.get_xlim()
    roles.set_xlim(3, 9)
    assert commits.get_xlim() == (3, 9)
    assert [ax.get_ylabel() for ax in figure.axes] == ["roles", "leases", "commit index"]


def test_the_commit_index_is_a_step_line_for_the_cluster_and_one_for_each_node(trace):
    commits = plot_story(trace).axes[2]
    (line,) = [child for child in commits.lines if child.get_gid() == "commit"]
    assert line.get_drawstyle() == "steps-post"
    x, y = line.get_data()
    assert y[-1] == trace.commits()["index"].max()
    assert (np.diff(y) >= 0).all()
    assert x[list(y).index(3)] == pytest.approx(18.07)
    assert {child.get_gid() for child in commits.lines} == {"commit", *(f"commit:{node}" for node in trace.commits()["node"].unique())}


def test_the_time_without_a_valid_lease_is_shaded_and_says_what_no_client_got(trace):
    commits = plot_story(trace).axes[2]
    assert spans(commits, "no lease") == [(10.5, 18.05)]
    assert any(text.replace("\n", ": ").startswith("no SET, no GET: 7.") for text in words(commits))


def test_a_get_that_was_answered_between_two_leases_is_not_denied():
    story = told.handover()
    story.add("requests", "a-1", "a", 1, "GET", "x", "1", 16.0, 16.1, "success", 2, None)
    text = " ".join(words(plot_story(story).axes[2]))
    assert "no SET" in text
    assert "no GET" not in text


def test_without_any_lease_nothing_is_shaded():
    """Plain Raft has no leases, and serves its clients all the same."""
    assert gids(plot_story(told.Told(end=10.0).done()).axes[2], "no lease") == []


def test_two_overlapping_leases_leave_no_gap():
    assert gids(plot_story(told.two_at_once()).axes[2], "no lease") == []


def test_a_lease_that_nobody_takes_over_is_shaded_to_the_end():
    story = told.Told(end=30.0)
    story.reign(2, 1, 5.0, 14.0)
    commits = plot_story(story.done()).axes[2]
    assert spans(commits, "no lease") == [(14.0, 30.0)]
    assert "no SET, no GET: 16.0 s so far" in words(commits)


@pytest.mark.parametrize("nodes", [1, 3, 5, 7])
def test_it_works_with_any_number_of_nodes(nodes, tmp_path):
    story = told.Told(nodes, end=20.0)
    story.reign(1, 1, 5.0, 20.0, "open")
    target = tmp_path / "story.png"
    plot_story(story.done()).savefig(target, dpi=50)
    assert target.stat().st_size > 5000


def test_an_empty_trace_says_that_nothing_happened_yet():
    figure = plot_story(told.empty())
    assert figure.get_suptitle() == "Nothing happened yet."
    assert words(plot_roles(told.empty())) == ["nothing happened yet"]
    figure.draw_without_rendering()


def test_keys_that_look_like_formulas_are_only_text(tmp_path):
    """Keys and values come from somebody's file; none of them may stop a picture or become markup."""
    folder = write_story(tmp_path)
    for dump in Path(folder).glob("logs_node_*/dump.txt"):
        dump.write_text(dump.read_text().replace("SET x 2", r"SET $\\frac{ $x^$").replace('"key":"x"', r'"key":"$\\frac{"'))
    trace = read_dump(folder)
    assert any("frac" in op for op in trace.commits()["op"])
    plot_story(trace).draw_without_rendering()


def test_a_dump_without_times_is_drawn_over_steps():
    story = told.handover()
    story.clock = "order"
    figure = plot_story(story)
    assert figure.axes[2].get_xlabel().startswith("steps")
    assert " s" not in "".join(text[-2:] for text in words(figure.axes[1]))


def test_a_notebook_shows_the_story_once(trace):
    """As the value of a cell it shows itself, and pyplot must not show it again when the cell has ended."""
    figure = plot_story(trace)
    assert plt.get_fignums(), "a script's plt.show() finds it"
    shown = figure._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    assert plt.get_fignums() == []
