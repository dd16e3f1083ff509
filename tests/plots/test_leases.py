"""The lease picture says exactly what the trace says: every bar is read back and compared with its frame."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import same_color

from raftedu.plot import lease_lanes, plot_leases, plot_roles, plot_story, two_leases
from raftedu.trace import Trace, read_dump
from tests.plots import told
from tests.plots.reading import artist, gids, overlapping_texts, spans, words
from tests.story import write_story

STORIES = [told.handover, told.quiet, told.split_vote, told.two_at_once, told.many_elections, told.one_node, told.three_nodes, told.empty]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_story(tmp_path_factory.mktemp("story"))


@pytest.fixture(scope="module")
def trace(folder: Path) -> Trace:
    return read_dump(folder)


def edited(folder: Path, tmp_path: Path, node: int, event: str, old: str, new: str, count: int = 1) -> Trace:
    """The story again, with `old` replaced in the last `count` lines of one node that tell of `event`."""
    for source in folder.glob("logs_node_*/dump.txt"):
        target = tmp_path / source.relative_to(folder)
        target.parent.mkdir()
        lines = source.read_text().splitlines(keepends=True)
        if source.parent.name == f"logs_node_{node}":
            told_of = [k for k, line in enumerate(lines) if f"\t{event}\t" in line and old in line][-count:]
            assert len(told_of) == count
            for k in told_of:
                lines[k] = lines[k].replace(old, new)
        target.write_text("".join(lines))
    return read_dump(tmp_path)


def test_there_is_one_bar_for_each_lease_with_its_exact_ends(trace):
    ax = plot_leases(trace)
    assert gids(ax, "lease") == ["lease:2:1", "lease:4:2"]
    assert spans(ax, "lease:2:1") == [(5.04, 10.5)]
    assert spans(ax, "lease:4:2") == [(18.05, 21.0)]


def test_renewals_are_ticks_on_the_bar_and_one_artist(trace):
    ax = plot_leases(trace)
    ticks = [segment[0][0] for segment in artist(ax, "renewals").get_segments()]
    expected = list(itertools.chain.from_iterable(trace.leases()["renewals"]))
    assert ticks == pytest.approx(expected)
    assert len(gids(ax, "renewals")) == 1


def test_renewals_that_would_be_stripes_are_left_out_and_the_legend_does_not_name_them():
    story = told.Told(end=2000.0)
    story.reign(2, 1, 5.0, 2000.0, "open")
    ax = plot_leases(story.done())
    assert not gids(ax, "renewals")
    assert legend_words(ax)[0] == "own lease"


def test_the_new_leader_waits_in_an_outline_as_long_as_its_wait(trace):
    ax = plot_leases(trace)
    outline = artist(ax, "wait:4:2")
    assert spans(ax, "wait:4:2") == [(15.65, 18.05)]
    assert outline.get_linewidth() > 2
    assert same_color(outline.get_facecolor(), ax.get_facecolor())
    assert "waits 2.4 s" in words(ax)


def test_a_line_joins_the_wait_to_the_promise_that_made_it_wait(trace):
    ax = plot_leases(trace)
    (x0, x1), (y0, y1) = artist(ax, "because:4:2").get_data()
    assert (x0, x1) == pytest.approx((18.04, 18.05))
    lane = {label.get_text(): y for label, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)}
    assert abs(y0 - lane["node 3"]) < 0.5, "it begins at a promise of node 3"
    assert abs(y1 - lane["node 4"]) <= 0.5, "it ends at the box of node 4"
    assert any("until 18.0" in text for text in words(ax))


def test_what_the_others_must_still_honour_is_dashed_from_the_crash_to_the_expiry(trace):
    ax = plot_leases(trace)
    assert gids(ax, "honoured") == ["honoured:2:1"]
    assert spans(ax, "honoured:2:1") == [(10.5, 18.02)]
    assert artist(ax, "honoured:2:1").get_linestyle() == "--"


def test_promises_are_hatched_one_artist_for_each_node_and_leader(trace):
    ax = plot_leases(trace)
    promises = trace.promises()
    expected = {f"promise:{node}:{leader}" for node, leader in zip(promises["node"], promises["leader"], strict=True)}
    assert set(gids(ax, "promise")) == expected
    assert spans(ax, "promise:3:2") == [(5.03, 18.04)]
    assert spans(ax, "promise:3:4") == [(15.66, 28.66)]
    assert artist(ax, "promise:3:2").get_hatch() != artist(ax, "promise:3:4").get_hatch()
    assert all(artist(ax, gid).get_hatch() for gid in expected)


def test_promises_to_different_leaders_have_rows_of_their_own(trace):
    ax = plot_leases(trace)
    first, second = (artist(ax, gid).get_paths()[0].get_extents() for gid in ("promise:3:2", "promise:3:4"))
    assert first.x1 > second.x0, "the two promises overlap in time"
    assert first.y0 > second.y1, "and not in the lane"


def test_two_promises_of_one_node_never_lie_on_each_other():
    lanes = lease_lanes(told.many_elections(reigns=40))
    promises = lanes[lanes["what"] == "promise"].sort_values(["node", "row", "start"])
    before = promises.groupby(["node", "row"])["end"].shift()
    assert len(promises) > 200
    assert not (promises["start"] < before - 1e-6).any()


def test_no_red_where_no_two_leases_are_valid(trace):
    assert two_leases(trace).empty
    assert gids(plot_leases(trace), "two leases") == []


def test_two_valid_leases_are_red_in_both_lanes_for_just_as_long(trace):
    story = told.two_at_once()
    ax = plot_leases(story)
    (pair,) = two_leases(story).itertuples(index=False)
    assert gids(ax, "two leases") == ["two leases:2:1", "two leases:4:2"]
    for gid in ("two leases:2:1", "two leases:4:2"):
        assert spans(ax, gid) == [(pair.start, pair.end)]
        assert artist(ax, gid).get_hatch(), "not by colour alone"
    assert (pair.node, pair.other) == (2, 4)
    assert 0 < pair.end - pair.start < 2
    assert any(text.startswith("! two leases") for text in words(ax))
    assert ax.get_title(loc="left").startswith("Two valid leases at one instant: node 2 in term 1 and node 4 in term 2")


def test_leases_that_only_touch_are_not_two_at_once():
    story = told.Told(end=30.0)
    story.add("leases", 1, 1, 5.0, 12.0, 12.0, [], "expired").add("leases", 2, 2, 12.0, 20.0, 20.0, [], "expired")
    assert two_leases(story).empty


def test_a_lease_that_ran_out_ends_in_a_cross_and_a_crashed_one_does_not(trace):
    assert gids(plot_leases(trace), "lost") == []
    story = told.two_at_once()
    ax = plot_leases(story)
    assert artist(ax, "lost").get_offsets()[:, 0].tolist() == pytest.approx([story.leases()["end"][0]])
    assert "runs out" in words(ax)


def test_faults_are_shaded_behind_and_say_what_they_are(trace):
    ax = plot_leases(trace)
    assert gids(ax, "fault") == ["fault:crashed:2", "fault:link:1", "fault:link:5"]
    assert spans(ax, "fault:crashed:2") == [(10.5, 20.0)]
    assert spans(ax, "fault:link:1") == [(12.0, 14.0)]
    assert spans(ax, "fault:link:5") == [(12.0, 14.0)]
    assert artist(ax, "fault:crashed:2").get_zorder() < artist(ax, "lease:2:1").get_zorder()
    assert "× crashed" in words(ax)


def test_terms_are_thin_lines_with_their_number(trace):
    ax = plot_leases(trace)
    assert [segment[0][0] for segment in artist(ax, "terms").get_segments()] == pytest.approx([5.0, 15.62])
    assert {"term 1", "term 2"} <= set(words(ax))


def test_a_longer_expiry_in_a_line_of_the_dump_moves_the_dashed_end(folder, tmp_path):
    again = edited(folder, tmp_path, 2, "lease_renewed", '"expiry":18.02', '"expiry":17.25')
    assert spans(plot_leases(again), "honoured:2:1") == [(10.5, 17.25)]


def test_another_wait_in_a_line_of_the_dump_moves_the_outline_and_its_words(folder, tmp_path):
    again = edited(folder, tmp_path, 4, "lease_wait_started", '"wait_until":18.05', '"wait_until":16.65')
    ax = plot_leases(again)
    assert spans(ax, "wait:4:2") == [(15.65, 16.65)]
    assert "waits 1.0 s" in [text.replace("\n", " ") for text in words(ax)]


def test_a_later_expiry_in_a_line_of_the_dump_turns_the_overlap_red(folder, tmp_path):
    """Had the old leader not crashed and its lease been a second longer, there would have been two."""
    edited(folder, tmp_path, 2, "lease_renewed", '"expiry":18.02', '"expiry":19.02')
    dump = tmp_path / "logs_node_2" / "dump.txt"
    before_the_crash = list(itertools.takewhile(lambda line: "\tcrashed\t" not in line, dump.read_text().splitlines(keepends=True)))
    dump.write_text("".join(before_the_crash))
    ax = plot_leases(read_dump(tmp_path))
    assert gids(ax, "two leases") == ["two leases:2:1", "two leases:4:2"]
    assert spans(ax, "two leases:4:2") == [(18.05, 19.02)]


def test_a_wait_that_a_crash_cut_short_is_drawn_as_long_as_it_lasted():
    story = told.Told(end=30.0)
    story.reign(2, 1, 5.0, 14.0)
    story.reign(4, 2, 17.0, 18.0, "crashed", acks=[1, 3, 5])
    ax = plot_leases(story.done())
    wait = story.waits().iloc[0]
    assert spans(ax, "wait:4:2") == [(wait["start"], 18.0)]
    assert any(f" of {wait['length']:.1f} s" in text for text in words(ax))
    assert "but is gone before the promise to node 2 has run out" in ax.get_title(loc="left").replace("\n", " ")


def test_a_wait_without_a_recorded_promise_has_no_line():
    """A node that restarted answers as if it had promised; nothing in the dump says to whom."""
    story = told.Told(end=30.0)
    story.add("leaders", 1, 3, 10.0, 30.0, 15.0, "open").add("waits", 1, 3, 10.0, 15.0, 15.0, 5.0, [[2, 5.0]])
    ax = plot_leases(story.done())
    assert spans(ax, "wait:1:3") == [(10.0, 15.0)]
    assert gids(ax, "because") == []
    assert "may not act until an old promise has run out" in ax.get_title(loc="left")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@pytest.mark.parametrize("plot", [plot_leases, plot_roles, plot_story], ids=lambda plot: plot.__name__)
def test_no_text_lies_on_another(plot, story):
    drawn = plot(story())
    figure = drawn if plot is plot_story else drawn.figure
    assert overlapping_texts(figure) == []


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_legend_names_what_occurs_and_nothing_else(story):
    lanes = lease_lanes(story())
    named = {
        "lease": "own lease",
        "promise": "promise given",
        "wait": "new leader waits",
        "honoured": "lease others",
        "two leases": "two valid",
    }
    shown = legend_words(plot_leases(story()))
    for what, start in named.items():
        assert (what in set(lanes["what"])) == any(text.startswith(start) for text in shown), what


def legend_words(ax: plt.Axes) -> list[str]:
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_every_text_is_readable_from_the_last_row():
    sizes = {text.get_fontsize() for text in plot_leases(told.handover()).texts if not text.get_text().startswith("to node")}
    assert min(sizes) >= 12


def test_the_lanes_are_a_frame_that_a_student_can_draw(trace):
    lanes = lease_lanes(trace)
    assert list(lanes.columns) == ["what", "node", "leader", "term", "start", "end", "row"]
    ax = plot_leases(trace)
    for lane in lanes[lanes["what"] != "promise"].itertuples(index=False):
        assert spans(ax, f"{lane.what}:{lane.node}:{lane.term}") == [(lane.start, lane.end)]


def test_the_lanes_of_an_empty_trace_are_a_frame_without_rows():
    assert len(lease_lanes(told.empty())) == len(two_leases(told.empty())) == 0


def test_it_draws_into_the_axes_it_is_given_and_makes_no_figure(trace):
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 6), layout="constrained")
    assert plot_leases(trace, ax=left, title="ours") is left
    assert plt.get_fignums() == [figure.number]
    assert left.get_title(loc="left") == "ours"
    assert not right.get_children()[0].get_gid()
    figure.draw_without_rendering()


def test_chosen_nodes_are_the_lanes_from_the_top(trace):
    ax = plot_leases(trace, nodes=[4, 2])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["node 4", "node 2"]
    assert ax.get_yticks()[0] > ax.get_yticks()[1]
    assert {gid.split(":")[1] for kind in ("lease", "promise", "wait", "fault") for gid in gids(ax, kind) if kind != "fault"} == {"2", "4"}


def test_a_node_that_is_not_there_is_a_clear_error(trace):
    with pytest.raises(ValueError, match="the trace has no node 9; it has 1, 2, 3, 4, 5"):
        plot_leases(trace, nodes=[1, 9])


def test_node_0_is_a_node_like_any_other():
    story = told.Told(3, end=20.0)
    story.nodes = [0, 1, 2]
    story._role = dict.fromkeys(story.nodes, (0.0, "follower", 0))
    story.reign(0, 1, 5.0, 20.0, "open", acks=[1, 2])
    ax = plot_leases(story.done())
    assert gids(ax, "lease") == ["lease:0:1"]
    assert gids(ax, "promise") == ["promise:1:0", "promise:2:0"]
    assert ax.get_title(loc="left").startswith("Node 0 leads in term 1")


def test_no_setting_of_matplotlib_is_changed(trace):
    before = dict(plt.rcParams)
    plot_leases(trace)
    plot_story(trace)
    assert dict(plt.rcParams) == before


def test_on_a_dark_ground_the_words_are_light(trace):
    with plt.style.context("dark_background"):
        ax = plot_leases(trace)
    dark = [text for text in ax.texts if np.mean(plt.matplotlib.colors.to_rgb(text.get_color())) < 0.4]
    assert dark == []


def test_a_long_trace_takes_few_artists_and_few_words():
    """Some hundred elections: promises stay one artist for each pair, and the labels thin out."""
    story = told.many_elections(nodes=5, reigns=120)
    ax = plot_leases(story)
    assert len(gids(ax, "lease")) > 100
    assert len(gids(ax, "promise")) <= 5 * 4
    assert len(ax.texts) < 60
