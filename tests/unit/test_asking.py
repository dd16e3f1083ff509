"""Persistence in asking, in a world where time is a number and every answer is written by hand."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from raftedu.core.inputs import ClientRequest
from raftedu.core.outputs import Answer, Outcome
from raftedu.live.asking import ATTEMPT, Asker, RequestFailed

SET = ClientRequest("SET", "x", "1")
GET = ClientRequest("GET", "x")
NODES = (1, 2, 3, 4, 5)


class World:
    """Nodes that answer by ``script(node, request, now)``, and a clock that only calls and sleeps move."""

    def __init__(self, script: Callable[[int, ClientRequest, float], Answer | None], nodes=NODES, first=None) -> None:
        self.time = 0.0
        self.script = script
        self.calls: list[tuple[float, int, ClientRequest, float]] = []
        self.sleeps: list[float] = []
        self.asker = Asker(nodes, self.call, now=lambda: self.time, sleep=self.sleep, client="c", first=first, rng=random.Random(1))

    def call(self, node: int, request: ClientRequest, timeout: float) -> Answer | None:
        self.calls.append((self.time, node, request, timeout))
        answer = self.script(node, request, self.time)
        self.time += timeout if answer is None else 0.001
        return answer

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.sleeps.append(seconds)
        self.time += seconds

    @property
    def asked(self) -> list[int]:
        return [node for _, node, _, _ in self.calls]


def answer(outcome: str, *, value="", leader=None, retry_after=None, index=0, reason="no", final=False) -> Answer:
    return Answer("", "", 0, Outcome(outcome), value, leader, retry_after, index, reason, final)


def success(value="", index=0) -> Answer:
    return answer("success", value=value, index=index, reason="")


def led_by(leader: int) -> Callable[[int, ClientRequest, float], Answer | None]:
    return lambda node, request, now: success("v", 4) if node == leader else answer("fail", leader=leader)


# ---------------------------------------------------------------- whom to ask


def test_the_leader_that_answered_is_asked_first_next_time():
    world = World(led_by(3))
    assert world.asker.ask(GET, 30.0).value == "v"
    assert world.asker.ask(GET, 30.0).attempts == 1
    assert world.asked == [1, 3, 3]


def test_a_leader_that_is_outdated_costs_one_attempt():
    world = World(led_by(2), first=4)
    reply = world.asker.ask(SET, 30.0)
    assert (reply.outcome, reply.node, reply.index, reply.attempts, reply.reason) == ("success", 2, 4, 2, "")
    assert world.asked == [4, 2]
    assert world.asker.leader == 2


def test_a_crashed_leader_and_hints_at_it_lead_to_the_others():
    def script(node, request, now):
        return answer("fail", reason="unreachable") if node == 1 else answer("fail", leader=1) if node < 5 else success()

    world = World(script)
    assert world.asker.ask(SET, 30.0).outcome == "success"
    assert world.asked == [1, 2, 3, 4, 5]


def test_two_nodes_that_point_at_each_other_are_asked_once_a_sweep():
    def script(node, request, now):
        return answer("fail", leader={1: 2, 2: 1}.get(node)) if node != 5 or now < 10 else success()

    world = World(script)
    assert world.asker.ask(SET, 30.0).outcome == "success"
    counts = Counter(world.asked)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(world.calls) < 150


def test_nodes_that_all_point_at_each_other_in_a_ring_do_not_spin():
    world = World(lambda node, request, now: answer("fail", leader=node % 5 + 1))
    reply = world.asker.ask(SET, 30.0)
    assert reply.outcome == "fail"
    assert len(world.calls) < 5 * 30.0 / 0.4 + 50


def test_without_a_known_leader_all_nodes_take_turns():
    world = World(lambda node, request, now: answer("fail"))
    world.asker.ask(GET, 5.0)
    assert world.asked[:5] == [1, 2, 3, 4, 5]
    counts = Counter(world.asked)
    assert set(counts) == set(NODES)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("hint", [9, -1])
def test_a_hint_at_a_node_that_is_not_there_is_no_hint(hint):
    world = World(lambda node, request, now: success() if node == 3 else answer("fail", leader=hint))
    assert world.asker.ask(GET, 5.0).outcome == "success"
    assert world.asked == [1, 2, 3]


def test_node_0_may_lead():
    world = World(led_by(0), nodes=(2, 1, 0))
    assert world.asker.ask(GET, 5.0).node == 0
    assert world.asked == [2, 0]


# ---------------------------------------------------------------- when


def test_a_leader_that_waits_for_a_lease_is_asked_again_when_it_said():
    def script(node, request, now):
        if node != 2:
            return answer("fail", leader=2)
        return success() if now >= 6.0 else answer("fail", leader=2, retry_after=6.0 - now)

    world = World(script)
    reply = world.asker.ask(SET, 30.0)
    assert reply.outcome == "success"
    assert world.asked[:3] == [1, 2, 2]
    assert 6.0 <= reply.took < 7.0
    assert len(world.sleeps) <= 3


def test_a_leader_that_was_cut_off_and_asks_for_patience_again_and_again_does_not_keep_the_client():
    def script(node, request, now):
        return answer("fail", leader=1, retry_after=0.1) if node == 1 else led_by(4)(node, request, now)

    world = World(script, first=1)
    assert world.asker.ask(SET, 30.0).node == 4
    assert world.asked[:5] == [1, 1, 1, 1, 2]
    assert world.time < 0.5


def test_nodes_that_know_no_leader_are_left_alone_as_long_as_they_wish():
    world = World(lambda node, request, now: answer("fail", retry_after=1.0))
    world.asker.ask(GET, 10.0)
    assert min(world.sleeps[:-1]) >= 1.0
    assert len(world.calls) <= 5 * 10


def test_pauses_grow_and_stay_within_bounds():
    world = World(lambda node, request, now: answer("fail"))
    world.asker.ask(GET, 60.0)
    assert 0 < world.sleeps[0] <= 0.05
    assert 0.4 <= world.sleeps[-2] <= 0.8
    assert max(world.sleeps) <= 0.8
    assert len(set(world.sleeps[5:-1])) > 3  # jitter


def test_the_same_seed_makes_the_same_pauses():
    one, two = (World(lambda node, request, now: answer("fail")) for _ in range(2))
    one.asker.ask(GET, 20.0)
    two.asker.ask(GET, 20.0)
    assert one.sleeps == two.sleeps


@pytest.mark.parametrize("script", [lambda *_: None, lambda *_: answer("fail"), lambda *_: answer("fail", retry_after=1e9, leader=1)])
def test_the_deadline_is_kept(script):
    world = World(script)
    reply = world.asker.ask(SET, 7.3)
    assert reply.took == pytest.approx(7.3, abs=0.01)
    assert all(time + timeout <= 7.3 + 1e-9 and 0 < timeout <= ATTEMPT for time, _, _, timeout in world.calls)


def test_without_time_nothing_is_asked_and_nothing_was_done():
    world = World(led_by(1))
    assert world.asker.ask(SET, 0.0)[:5] == ("fail", "", None, 0, 0)
    assert world.calls == []


# ---------------------------------------------------------------- what may be concluded


def script_of(*answers):
    """Answer the first attempts as listed, all later ones as the last."""
    left = list(answers)
    return lambda node, request, now: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("request_", "answers", "outcome"),
    [
        (SET, [answer("fail")], "fail"),
        (SET, [None, answer("fail")], "unknown"),
        (SET, [answer("unknown", index=7), answer("fail")], "unknown"),
        (SET, [answer("fail"), None, answer("fail")], "unknown"),
        (SET, [None, answer("unknown"), success()], "success"),
        (SET, [None, answer("fail", final=True)], "unknown"),
        (SET, [answer("unknown", final=True)], "unknown"),
        (SET, [answer("fail", final=True)], "fail"),
        (GET, [None], "fail"),
        (GET, [answer("unknown")], "fail"),
        (GET, [None, success("v")], "success"),
    ],
)
def test_what_may_be_concluded(request_, answers, outcome):
    world = World(script_of(*answers))
    reply = world.asker.ask(request_, 6.0)
    assert reply.outcome == outcome
    assert (reply.reason == "") == (outcome == "success")


def test_a_final_refusal_is_not_asked_again():
    world = World(lambda *_: answer("fail", leader=1, final=True, reason="too large"))
    reply = world.asker.ask(SET, 30.0)
    assert (reply.outcome, reply.attempts, reply.reason) == ("fail", 1, "too large")


def test_the_last_reason_and_the_node_that_gave_it_are_told():
    world = World(lambda node, request, now: answer("fail", reason=f"node {node} is busy"))
    reply = world.asker.ask(SET, 3.0)
    assert reply.node == world.asked[-1]
    assert f"node {reply.node} is busy" in reply.reason
    assert f"{reply.attempts} attempts" in reply.reason


def test_silence_alone_names_nobody():
    reply = World(lambda *_: None).asker.ask(SET, 3.0)
    assert (reply.outcome, reply.node) == ("unknown", None)
    assert "did not answer" in reply.reason


# ---------------------------------------------------------------- ids


def test_retries_keep_their_ids_and_a_new_operation_has_new_ones():
    world = World(script_of(None, answer("unknown"), answer("fail"), success()))
    world.asker.ask(SET, 30.0)
    world.asker.ask(SET, 30.0)
    requests = [request for _, _, request, _ in world.calls]
    assert [(r.client, r.request) for r in requests] == [("c", 1)] * 4 + [("c", 2)]
    assert len({r.op_id for r in requests}) == 5
    assert {(r.op, r.key, r.value) for r in requests} == {("SET", "x", "1")}


def test_operations_of_one_asker_do_not_overlap():
    inside, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    def call(node, request, timeout):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        gate.wait(0.02)
        with lock:
            inside -= 1
        return success()

    asker = Asker((1,), call, now=lambda: 0.0, sleep=lambda _: None, client="c")
    threads = [threading.Thread(target=asker.ask, args=(SET, 1.0)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_an_interrupted_operation_leaves_the_asker_usable():
    def interrupt(*_):
        raise KeyboardInterrupt

    world = World(interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.asker.ask(SET, 1.0)
    world.script = led_by(1)
    assert world.asker.ask(SET, 1.0).outcome == "success"
    assert [request.request for _, _, request, _ in world.calls][:2] == [1, 2]


@pytest.mark.parametrize(("key", "value", "message"), [(1, "v", "key=1 is int, .* write '1'"), ("k", None, "value=None is NoneType")])
def test_what_is_not_text_is_refused_before_anybody_is_asked(key, value, message):
    world = World(led_by(1))
    with pytest.raises(TypeError, match=message):
        world.asker.ask(ClientRequest("SET", key, value), 1.0)
    assert world.calls == []
    assert world.asker.ask(SET, 1.0).outcome == "success"


def test_the_error_says_in_one_line_what_may_be_concluded():
    reply = World(lambda *_: None).asker.ask(SET, 3.0)
    error = RequestFailed(SET, reply)
    assert error.reply is reply
    assert str(error).startswith("SET 'x': unknown (it may have been done, or may yet be): no success in 3.000 s")
    assert "\n" not in str(error)
