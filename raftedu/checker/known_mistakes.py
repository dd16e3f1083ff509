"""Mistakes of real systems that no rule can make, as data: faults of threads, disks, clients and settings, and of what is still to come.

Beside `raftedu.checker.wrong_rules`, with the same ids. Of kind ``runtime`` our own runtime is free, and a test shows it; kind ``later``
needs what this version does not have. Only data; docs/coverage.md tells the same to a reader.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KNOWN_MISTAKES", "KnownMistake"]


class KnownMistake(NamedTuple):
    """One row. ``shown_by``: the tests, below ``tests/``, that fail if our runtime makes it; ``waits_for``: the part that it needs."""

    id: str
    kind: str
    what: str
    shown_by: tuple[str, ...] = ()
    waits_for: str = ""
    note: str = ""


# fmt: off
KNOWN_MISTAKES = (
    KnownMistake("EL-16", "runtime", "a role set by a message to oneself; what comes in between uses what was left over", (
        "unit/test_runtime_mistakes.py::test_el_16_a_leader_is_ready_in_the_very_step_that_elects_it",
    )),
    KnownMistake("UP-08", "later", "after compaction an empty log counts as one of term 0", waits_for="snapshots"),
    KnownMistake("TO-06", "runtime", "the timeout is drawn anew at every tick", (
        "unit/test_runtime_mistakes.py::test_to_06_a_timeout_is_drawn_once_and_what_happens_meanwhile_leaves_it_alone",
        "unit/test_runtime_mistakes.py::test_to_06_in_a_run_nobody_campaigns_before_the_shortest_timeout",
    )),
    KnownMistake("TO-07", "runtime", "heartbeats rarer than election timeouts, or a lease shorter than a heartbeat", (
        "unit/test_core_config.py::test_a_contradiction_is_refused",
        "scenarios/leases/L10-settings-that-contradict.txt",
    )),
    KnownMistake("TO-09", "runtime", "the leader's election timer runs on", (
        "paper/test_elections.py::test_a_leader_has_no_election_timer_and_gets_one_when_it_steps_down",
    )),
    KnownMistake("TO-10", "runtime", "a timer of an earlier role or term fires", (
        "paper/test_elections.py::test_an_outdated_timer_does_nothing",
        "unit/test_core_node.py::test_the_leader_is_woken_at_its_next_deadline_and_no_earlier_timer_counts",
    )),
    KnownMistake("PE-03", "runtime", "the state file is not read, or wrongly, and the error swallowed", (
        "unit/test_storage.py::test_metadata_comes_back_with_its_types",
        "unit/test_storage.py::test_damage_is_named_and_left_alone",
    )),
    KnownMistake("PE-04", "runtime", "voted_for changes its type: None, \"None\", False, 0", (
        "unit/test_storage.py::test_node_0_is_not_nobody",
        "paper/test_elections.py::test_node_zero_is_a_node_like_any_other",
    )),
    KnownMistake("PE-07", "runtime", "vote and term in two writes", (
        "unit/test_storage_crash.py::test_nothing_synced_is_ever_lost_and_every_kind_of_sync_is_known",
    ), note="one file, replaced whole: there is no moment between term and vote"),
    KnownMistake("PE-08", "runtime", "rewritten in place, torn by a crash", (
        "unit/test_storage_crash.py::test_nothing_synced_is_ever_lost_and_every_kind_of_sync_is_known",
        "unit/test_storage.py::test_a_torn_last_line_is_cut_off",
    )),
    KnownMistake("PE-09", "runtime", "after a failed write the same index and term are given to another entry", (
        "unit/test_storage.py::test_after_a_failure_the_storage_is_broken_for_good",
        "live/test_trouble.py::test_a_node_with_a_full_disk_stops_and_acknowledges_nothing",
    )),
    KnownMistake("PE-10", "runtime", "a tail that was cut comes back", (
        "unit/test_storage.py::test_a_cut_tail_is_gone_whatever_else_is_in_the_batch",
    )),
    KnownMistake("PE-11", "runtime", "commit index restored and the state machine not, or the reverse", (
        "unit/test_runtime_mistakes.py::test_pe_11_a_restarted_node_applies_from_the_first_entry_and_never_beyond_the_commit",
        "scenarios/mit/4A-restart-replay.txt",
    )),
    KnownMistake("AE-12", "runtime", "next index below match, or before the log", (
        "unit/test_runtime_mistakes.py::test_ae_12_next_is_always_above_match_and_never_before_the_log",
        "unit/test_runtime_mistakes.py::test_ae_12_a_leader_stands_any_refusal",
    )),
    KnownMistake("AE-13", "runtime", "indexes from 0 and from 1 mixed", (
        "unit/test_core_log.py::test_before_the_log_and_beyond_it",
        "paper/test_replication.py::test_conflicting_entries_are_removed_with_all_that_follow_and_new_ones_appended",
    )),
    KnownMistake("AP-02", "runtime", "two appliers", (
        "unit/test_runtime_mistakes.py::test_ap_02_every_entry_is_applied_once_and_in_order_in_every_life_of_a_node",
    )),
    KnownMistake("AP-05", "runtime", "answers are matched by index alone", (
        "unit/test_runtime_mistakes.py::test_ap_05_an_index_that_reappears_answers_nobody_elses_client",
        "scenarios/mit/3B-rejoin.txt",
    )),
    KnownMistake("AP-06", "runtime", "a circle of locks", (
        "live/test_one_thread.py::test_every_input_of_a_node_is_taken_by_its_own_thread",
        "live/test_cluster.py::test_many_callers_at_once",
    ), note="one thread owns the node: there are no two locks"),
    KnownMistake("AP-07", "runtime", "a command that differs from node to node", (
        "unit/test_core_kv.py::test_the_state_is_the_same_for_the_same_entries_on_leader_and_follower",
        "unit/test_sim_simulation.py::test_the_same_seed_gives_the_same_bytes_in_every_process",
    )),
    KnownMistake("NO-03", "runtime", "the NO-OP is visible", (
        "unit/test_core_kv.py::test_a_no_op_leaves_no_trace",
    )),
    KnownMistake("CL-03", "later", "the table of requests is not in the snapshot", waits_for="snapshots"),
    KnownMistake("CL-06", "runtime", "clients of a deposed leader are never answered", (
        "unit/test_core_clients.py::test_everybody_who_waits_is_answered_when_the_leader_is_deposed_or_gives_up",
    )),
    KnownMistake("CL-07", "runtime", "a follower takes a SET", (
        "unit/test_core_clients.py::test_who_does_not_lead_says_who_does",
    )),
    KnownMistake("CL-08", "runtime", "hints are followed in circles", (
        "unit/test_asking.py::test_two_nodes_that_point_at_each_other_are_asked_once_a_sweep",
        "unit/test_asking.py::test_nodes_that_all_point_at_each_other_in_a_ring_do_not_spin",
    )),
    KnownMistake("CL-10", "runtime", "a retry with a new number, or an old number for something new", (
        "unit/test_asking.py::test_retries_keep_their_ids_and_a_new_operation_has_new_ones",
    )),
    KnownMistake("LS-14", "runtime", "a flag in the place of a look at the clock", (
        "points/test_points_u11_u20.py::test_u13_the_clock_is_compared_at_use",
        "live/test_cluster.py::test_a_thread_that_did_not_run_serves_no_stale_read",
        "scenarios/leases/L06-paused-leader.txt",
    )),
    KnownMistake("LS-15", "runtime", "wall time, or a clock that stops in a suspend", (
        "unit/test_clock.py::test_the_systems_clock_counts_a_suspend_where_it_can",
        "unit/test_clock.py::test_no_clock_ever_runs_backwards",
    )),
    KnownMistake("LS-21", "later", "leadership handed over with the lease kept", waits_for="transfer"),
    KnownMistake("LS-22", "runtime", "nodes with different leases", (
        "paper/test_elections.py::test_a_peer_with_another_lease_is_refused_before_its_term_is_looked_at",
        "points/test_points_u01_u10.py::test_u7_a_promise_longer_than_todays_lease_survives_the_restart",
    )),
    KnownMistake("LS-24", "runtime", "renewed while the disk is stuck", (
        "points/test_points_u11_u20.py::test_u19_a_leader_whose_disk_is_stuck_gives_up",
        "live/test_durable.py::test_a_leader_whose_disk_is_stuck_loses_its_lease",
    )),
    KnownMistake("LS-25", "later", "a revocation clears all older leases", waits_for="transfer"),
    KnownMistake("RD-08", "later", "the limbo of the last entry only", waits_for="inherited reads"),
    KnownMistake("RD-09", "runtime", "reads before the commit index is known", (
        "unit/test_runtime_mistakes.py::test_rd_09_after_a_restart_of_all_nobody_answers_before_it_knows_what_is_committed",
        "scenarios/mit/4A-restart-replay.txt",
    )),
    KnownMistake("RT-01", "runtime", "no deadline of an RPC", (
        "live/test_trouble.py::test_a_peer_that_never_answers_holds_nobody_up",
    )),
    KnownMistake("RT-02", "runtime", "peers are asked one after the other", (
        "live/test_trouble.py::test_a_peer_that_never_answers_holds_nobody_up",
    )),
    KnownMistake("RT-03", "runtime", "state is read, then awaited, then used", (
        "unit/test_runtime_mistakes.py::test_rt_03_the_core_knows_no_threads_and_never_waits",
    )),
    KnownMistake("RT-04", "runtime", "a handler changes the core beside its queue", (
        "unit/test_runtime_mistakes.py::test_rt_04_one_module_alone_gives_the_core_its_inputs",
        "live/test_one_thread.py::test_every_input_of_a_node_is_taken_by_its_own_thread",
    )),
    KnownMistake("RT-05", "runtime", "flags and timers race", (
        "paper/test_elections.py::test_an_outdated_timer_does_nothing",
        "unit/test_inbox.py::test_a_wake_ends_the_wait",
        "points/test_points_u11_u20.py::test_u13_the_clock_is_compared_at_use",
    )),
    KnownMistake("RT-06", "runtime", "a log that two nodes or messages share", (
        "unit/test_runtime_mistakes.py::test_rt_06_what_travels_cannot_be_changed_and_no_two_nodes_share_a_log",
    )),
    KnownMistake("RT-07", "runtime", "gRPC sends a request twice", (
        "paper/test_elections.py::test_a_vote_counts_once_however_often_its_reply_arrives",
        "points/test_points_u11_u20.py::test_u20_a_late_shorter_message_removes_nothing_that_matches",
    )),
    KnownMistake("RT-08", "runtime", "what is not set is 0", (
        "unit/test_proto.py::test_none_and_zero_differ_after_the_wire",
        "unit/test_proto.py::test_no_leader_and_leader_zero_differ",
        "unit/test_proto.py::test_an_empty_peer_message_is_none_of_the_four",
    )),
    KnownMistake("RT-09", "runtime", "moments in float32", (
        "unit/test_proto.py::test_seconds_keep_double_precision",
    )),
    KnownMistake("RT-10", "runtime", "written in a thread, and the reply does not wait", (
        "live/test_durable.py::test_no_reply_to_a_peer_leaves_before_the_disk_is_done",
        "unit/test_sim_simulation.py::test_a_reply_waits_for_the_disk",
    )),
)
# fmt: on
