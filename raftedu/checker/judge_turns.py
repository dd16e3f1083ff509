"""What a `Judge` looks at by what a step began with: vote requests and votes, appends and replies, clients, timers.

These are the obligations and duties of `raftedu.checker.vote_obligations` and its neighbours as far as they can be told from a node as it
is after a step and the little that is remembered of it. What a client was told is judged against the entries that were committed.
"""

from __future__ import annotations

from raftedu.checker.judge import NEARLY, Judge, Seen
from raftedu.core.inputs import ClientRequest, TimerFired
from raftedu.core.leases import lease_is_valid
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply
from raftedu.core.outputs import Answer, Outcome, Output, Persist, Send, SetTimer
from raftedu.core.rules import lease_is_valid as by_the_clock
from raftedu.core.state import ELECTION, State
from raftedu.core.types import SET, Index, NodeId, Role, Seconds, Term
from raftedu.core.views import ValidView

__all__ = ["Asked", "Turns"]


class Asked:
    """An operation of a client: which entry a GET must see (``floor``), how many ``attempts`` were made, how many ``failed``."""

    __slots__ = ("attempts", "began", "ended", "failed", "floor", "request")

    def __init__(self, request: ClientRequest, began: Seconds, floor: Index) -> None:
        self.request, self.began, self.floor = request, began, floor
        self.ended = False
        self.attempts = self.failed = 0


class Turns:
    """Looks closer for one judge, and follows what clients are told."""

    def __init__(self, judge: Judge) -> None:
        self._judge, self._breaks, self._config = judge, judge.breaks, judge.config
        self._votes: dict[tuple[NodeId, Term], NodeId] = {}
        self._floors: dict[str, Index] = {}
        self._promise = judge.config.promise if judge.leased else 0.0
        judge.turns.update({
            RequestVote: self._vote_request, VoteReply: self._vote, AppendEntries: self._append, AppendReply: self._reply,
            ClientRequest: self._client, TimerFired: self._timer,
        })  # fmt: skip

    # ---- terms

    def _term(self, s: State, seen: Seen, heard: Term, whose: str) -> None:
        if s.term == max(seen.term, heard):
            if heard > seen.term and s.role is not Role.FOLLOWER:
                self._breaks("Term Hygiene", f"node {s.node} heard of term {heard} and is still a {s.role}")
            return
        if s.term < heard:
            self._breaks("Term Hygiene", f"node {s.node} heard of term {heard} from {whose} and stayed in term {s.term}")
        else:
            self._breaks("Term Hygiene", f"node {s.node} was in term {seen.term}, heard of term {heard} and went to term {s.term}")

    def _voted(self, voter: NodeId, term: Term, candidate: NodeId) -> None:
        """Take note of a vote that was told; a crash does not take it back."""
        before = self._votes.setdefault((voter, term), candidate)
        if before != candidate:
            self._breaks("One Vote a Term", f"node {voter} voted for {before} and for {candidate} in term {term}")

    # ---- elections

    def _vote_request(self, s: State, seen: Seen, now: Seconds, m: RequestVote, outputs: list[Output]) -> None:
        self._term(s, seen, m.term, f"node {m.sender}")
        self._voted(m.sender, m.term, m.sender)
        sent = next((o for o in outputs if type(o) is Send and type(o.message) is VoteReply), None)
        if sent is None:
            return
        reply = sent.message
        assert isinstance(reply, VoteReply)
        if reply.term != s.term:
            self._breaks("Own Term in Replies", f"node {s.node} is in term {s.term} and answered {m.sender} with term {reply.term}")
        mine, theirs = (s.log.last_term, s.log.last_index), (m.last_log_term, m.last_log_index)
        if reply.granted:
            if not sent.after and (s.saved.term, s.saved.voted_for) != (s.term, m.sender):
                words = f"told {m.sender} of its vote in term {s.term} before the vote was on disk"
                self._breaks("Durable Vote", f"node {s.node} {words}")
            self._granted(s, now, m, reply, mine, theirs)
        elif m.term == s.term and theirs >= mine and (m.term > seen.term or seen.voted_for in (None, m.sender)):
            self._breaks("Grants a Vote", f"node {s.node} had no vote in term {m.term} and refused it to {m.sender}, {_logs(mine, theirs)}")
        restarted = s.generation[ELECTION] != seen.generation
        if seen.role is not Role.LEADER and s.role is not Role.LEADER and restarted != reply.granted:
            did = "voted for" if reply.granted else "refused its vote to"
            self._breaks("Timer Reset", f"node {s.node} {did} {m.sender} and {'restarted' if restarted else 'did not restart'} its timer")

    def _granted(self, s: State, now: Seconds, m: RequestVote, reply: VoteReply, mine: tuple[int, int], theirs: tuple[int, int]) -> None:
        if m.term != s.term:
            self._breaks("Vote of This Term", f"node {s.node} is in term {s.term} and voted for {m.sender}, a candidate of term {m.term}")
        if theirs < mine:
            self._breaks("Vote Log Check", f"node {s.node} voted for {m.sender}, {_logs(mine, theirs)}")
        self._judge.moment("voted", s.node)
        owed = max(0.0, s.promise_until - now)
        if reply.remaining < owed - NEARLY:
            self._breaks(
                "Vote Carries Promise",
                f"node {s.node} voted for {m.sender} and reported {reply.remaining:.1f} s left of its promise; it owes {owed:.1f} s",
            )
        elif reply.remaining > owed + NEARLY:
            self._judge.slow.add("Reports No More Than Owed")

    def _vote(self, s: State, seen: Seen, now: Seconds, m: VoteReply, outputs: list[Output]) -> None:
        self._term(s, seen, m.term, f"node {m.sender}")
        if m.granted:
            self._voted(m.sender, m.term, s.node)
        self._count(s, seen, now, outputs)

    def _timer(self, s: State, seen: Seen, now: Seconds, fired: TimerFired, outputs: list[Output]) -> None:
        if fired.timer != ELECTION or fired.generation != seen.generation or seen.role is Role.LEADER:
            return
        if s.term <= seen.term or s.role is Role.FOLLOWER:
            who = f"node {s.node}, a {seen.role} of term {seen.term}"
            self._breaks("Campaigns", f"{who}, heard of no leader and began no election in a new term")
        elif s.role is Role.CANDIDATE and s.voted_for != s.node:
            whom = "nobody" if s.voted_for is None else f"node {s.voted_for}"
            self._breaks("Candidate Votes for Itself", f"node {s.node} is a candidate in term {s.term}, and its vote is for {whom}")
        if any(type(o) is Send and type(o.message) is RequestVote and not o.after for o in outputs):
            self._asks_too_early(s)
        armed = [o for o in outputs if type(o) is SetTimer and o.timer == ELECTION and o.low >= 0]
        if any(o.high <= o.low for o in armed):
            self._breaks("Random Timeouts", f"node {s.node} waits exactly {armed[0].low} s before it campaigns: votes may split for ever")
        self._count(s, seen, now, outputs)

    def _asks_too_early(self, s: State) -> None:
        if (s.saved.term, s.saved.voted_for) != (s.term, s.node):
            self._breaks(
                "Durable Vote", f"node {s.node} asked for votes in term {s.term} before its term and its vote for itself were on disk"
            )

    def _count(self, s: State, seen: Seen, now: Seconds, outputs: list[Output]) -> None:
        """Judge what a candidate makes of its votes."""
        who = sorted({ballot.voter for ballot in s.ballots if ballot.granted and ballot.term == s.term})
        if s.role is Role.CANDIDATE and len(who) >= s.majority:
            votes = f"the votes of {', '.join(map(str, who))} in term {s.term}, a majority"
            self._breaks("Takes Office", f"node {s.node} has {votes}, and does not become leader")
        if s.role is not Role.LEADER or (seen.leads and seen.term == s.term):
            return
        if len(who) < s.majority:
            votes = f"the votes of {', '.join(map(str, who))} alone" if who else "no vote"
            self._breaks("Distinct Voters", f"node {s.node} became leader of term {s.term} with {votes}; a majority is {s.majority}")
        if self._judge.leased:
            self._wait(s, now)
        told = {o.to for o in outputs if type(o) is Send and type(o.message) is AppendEntries}
        silent = [peer for peer in s.peers if peer not in told]
        if silent:
            whom = ", ".join(map(str, silent))
            self._breaks("Heartbeat at Once", f"node {s.node} became leader of term {s.term} and did not tell {whom} at once")
        if self._config.no_op_on_election and not s.owes_no_op and s.log.last_term != s.term:
            self._breaks("NO-OP First", f"node {s.node} became leader of term {s.term} and has no NO-OP to append")

    def _wait(self, s: State, now: Seconds) -> None:
        owed = [(b.received_at + b.remaining, b.voter) for b in s.ballots if b.granted and b.term == s.term]
        until, whose = max([(s.promise_until, s.node), *owed])
        if until > now + NEARLY and s.wait_until < until - NEARLY:
            waits, lasts = max(0.0, s.wait_until - now), until - now
            self._breaks("Wait Covers Promises", f"node {s.node} waits {waits:.1f} s; the promise of node {whose} lasts {lasts:.1f} s")
        elif s.wait_until > max(until, now) + NEARLY:
            self._judge.slow.add("Waits No Longer Than Owed")

    # ---- replication

    def _append(self, s: State, seen: Seen, now: Seconds, m: AppendEntries, outputs: list[Output]) -> None:
        self._term(s, seen, m.term, f"node {m.sender}")
        last = outputs[-1] if outputs else None
        reply = last.message if type(last) is Send else None
        if not isinstance(reply, AppendReply):
            return
        if reply.term != s.term:
            self._breaks("Own Term in Replies", f"node {s.node} is in term {s.term} and answered {m.sender} with term {reply.term}")
        if m.term < s.term:
            if reply.success or reply.round:
                words = f"node {s.node} is in term {s.term} and accepted what {m.sender}, a leader of term {m.term}, sent"
                self._breaks("One Leader Followed", words)
            return
        if m.term == seen.term and seen.role is Role.LEADER:
            if s.role is not Role.LEADER:
                words = f"node {s.node} led term {m.term} and gave in to node {m.sender}, which says that it leads the same term"
                self._breaks("One Leader Followed", words)
            return
        if s.leader != m.sender or s.role is not Role.FOLLOWER:
            self._breaks("Leader Followed", f"node {s.node}, a {s.role}, does not follow node {m.sender}, the leader of term {m.term}")
        elif s.generation[ELECTION] == seen.generation:
            self._breaks("Timer Reset", f"node {s.node} heard of its leader {m.sender} and did not restart its election timer")
        lacks = now + self._promise - s.promise_until
        if self._promise and lacks > NEARLY:
            words = f"a promise that ends {lacks:.2f} s too early: {self._promise:.2f} s from now are due"
            self._breaks("Promise Before Ack", f"node {s.node} answered {m.sender} with {words}")
        if reply.success:
            self._sound(s, m, reply)
            if s.saved_index < reply.match_index and not last.after:  # type: ignore[union-attr]
                words = f"acknowledged entry {reply.match_index} to {m.sender} with only {s.saved_index} on disk"
                self._breaks("Durable Acknowledgement", f"node {s.node} {words}")
        self._follower_commit(s, seen, m, min(m.leader_commit, m.prev_log_index + len(m.entries)) if reply.success else 0)

    def _sound(self, s: State, m: AppendEntries, reply: AppendReply) -> None:
        """Judge what a follower says that it holds."""
        prev, last = m.prev_log_index, m.prev_log_index + len(m.entries)
        if s.log.term_at(prev) != m.prev_log_term:
            words = f"its entry {prev} is not the one of term {m.prev_log_term} that {m.sender} named"
        elif reply.match_index > last:
            words = f"acknowledged entry {reply.match_index}; what {m.sender} sent ends with entry {last}"
        elif s.log.last_index < last:
            words = f"acknowledged entry {last}, and its log ends with {s.log.last_index}"
        else:
            return
        self._breaks("Sound Acknowledgement", f"node {s.node} {'said yes, and ' if words.startswith('its') else ''}{words}")

    def _follower_commit(self, s: State, seen: Seen, m: AppendEntries, safe: Index) -> None:
        if s.commit_index > max(seen.commit, safe):
            words = f"by what {m.sender} sent only {safe} is known to be committed and the same"
            self._breaks("Follower Commit", f"node {s.node} committed index {s.commit_index}; {words}")
        elif s.commit_index <= seen.commit < safe:
            self._breaks("Follower Learns Commits", f"node {s.node} was told that index {safe} is committed and stayed at {s.commit_index}")

    def _reply(self, s: State, seen: Seen, now: Seconds, m: AppendReply, outputs: list[Output]) -> None:
        self._term(s, seen, m.term, f"node {m.sender}")
        if s.role is not Role.LEADER or not seen.leads or m.term != s.term or s.term != seen.term:
            return
        old, match = seen.matched.get(m.sender, 0), s.match_index.get(m.sender, 0)
        if s.next_index[m.sender] <= match:
            words = f"would send entry {s.next_index[m.sender]} to {m.sender} next, which holds {match} already"
            self._breaks("Next Above Match", f"node {s.node} {words}")
        if match == old:
            return
        seen.matched[m.sender] = match
        if match < old:
            self._breaks("Match Never Falls", f"node {s.node} knew that {m.sender} holds entry {old} and now believes {match}")
        elif match > max(old, m.match_index):
            told = f"{m.sender} holds entry {match}; it acknowledged {m.match_index or 'nothing'}"
            self._breaks("Match Is Sound", f"node {s.node} believes that {told} in term {s.term}")
        elif s.log.last_index > s.commit_index == seen.commit and now >= s.wait_until:
            self._commits(s)

    def _commits(self, s: State) -> None:
        held = sorted([*(s.match_index[peer] for peer in s.peers), s.saved_index], reverse=True)[s.majority - 1]
        can = min(held, s.log.last_index)
        if can > s.commit_index and s.log.term_at(can) == s.term:
            self._breaks("Commits What It Can", f"a majority holds entry {can} of term {s.term}, and node {s.node} does not commit it")

    # ---- clients

    def _client(self, s: State, seen: Seen, now: Seconds, request: ClientRequest, outputs: list[Output]) -> None:
        # The same step may answer others: its wait for an older lease may just have ended.
        answer = next((o for o in outputs if type(o) is Answer and o.op_id == request.op_id), None)
        if request.op == SET:
            self._write(s, now, answer, any(type(o) is Persist and any(e.request == request.request for e in o.entries) for o in outputs))
        elif answer is not None and self._config.read_mode == "lease":
            self._read(s, now, request, answer)

    def _write(self, s: State, now: Seconds, answer: Answer | None, appended: bool) -> None:
        leads = s.role is Role.LEADER
        open_ = leads and (self._config.lease_policy != "wait-then-append" or now >= s.wait_until - NEARLY)
        if appended and not leads:
            self._breaks("Leader Takes Writes", f"node {s.node}, a {s.role}, appended a SET")
        elif appended and not open_:
            left = s.wait_until - now
            self._breaks("Leader Takes Writes", f"node {s.node} appended a SET {left:.1f} s before its wait for an older lease is over")
        elif open_ and not s.waiting and answer is not None and answer.outcome == Outcome.FAIL and not answer.final:
            self._breaks("Leader Takes Writes", f"node {s.node} leads term {s.term}, waits for nothing, and refused a SET")

    def _read(self, s: State, now: Seconds, request: ClientRequest, answer: Answer) -> None:
        holds = lease_is_valid(s, now)
        valid = by_the_clock(ValidView(s.role, now, s.wait_until, s.lease_expiry))
        if holds != valid:
            words = "takes its lease for valid, and it is not" if holds else "has a valid lease and takes it for over"
            self._breaks("Lease by the Clock", f"node {s.node}, a {s.role}, {words}")
            return
        served, value = not answer.reason, s.kv.data.get(request.key, "")
        commit_term = s.log.term_at(s.commit_index) or 0
        allowed = valid and commit_term == s.term and s.last_applied >= s.commit_index
        if served and not allowed:
            why = "holds no valid lease" if not valid else "has not committed and applied an entry of its own term"
            self._breaks("Read Under Lease", f"node {s.node}, a {s.role} of term {s.term}, answers a GET, and {why}")
        elif served and (answer.outcome != Outcome.SUCCESS or answer.value != value):
            told = f"{answer.outcome.upper()} {answer.value!r}"
            self._breaks("Read Answers the Value", f"node {s.node} answers a GET with {told}; the value is {value!r}")
        elif allowed and not served:
            self._breaks("GET Is Answered", f"node {s.node} holds a valid lease in term {s.term}, has applied all, and refuses a GET")

    def asks(self, request: ClientRequest, now: Seconds) -> Asked:
        """Take note that a client begins an operation, and return what is known of it."""
        return Asked(request, now, self._floors.get(request.key, 0))

    def answered(self, asked: Asked, node: NodeId, answer: Answer | None) -> None:
        """Judge what a client is told after one attempt; ``None``: nothing."""
        if answer is None or asked.ended:
            return
        request = asked.request
        if answer.outcome == Outcome.FAIL:
            asked.failed += 1
            if answer.index:
                words = f"for entry {answer.index}, which it had appended and which may yet be committed"
                self._breaks("Fail Means Never", f"node {node} answered FAIL {words}")
        elif answer.outcome == Outcome.SUCCESS:
            asked.ended = True
            index = self._written(node, request) if request.op == SET else self._read_back(node, asked, answer.value)
            self._floors[request.key] = max(index, self._floors.get(request.key, 0))

    def _written(self, node: NodeId, request: ClientRequest) -> Index:
        index = self._judge.effects.get((request.client, request.request))
        if index is None:
            self._breaks("Success Is Committed", f"node {node} answered SUCCESS for {_words(request)}, which is not committed")
        return index or 0

    def _read_back(self, node: NodeId, asked: Asked, value: str) -> Index:
        key = asked.request.key
        self._judge.happened.add("a GET was answered")
        index = self._judge.versions.get((key, value), 0 if value == "" else None)
        if index is None:
            self._breaks("No Stale Read", f"node {node} answered GET {key} with {value!r}, which is not committed")
            return 0
        if index < asked.floor:
            self._breaks(
                "No Stale Read",
                f"node {node} answered GET {key} with {value!r} of entry {index}, though entry {asked.floor} was known before it was asked",
            )
        return index

    def ends(self, operations: list[Asked]) -> None:
        """Judge the whole at the end: what failed in every attempt has never happened."""
        for asked in operations:
            request = asked.request
            index = self._judge.effects.get((request.client, request.request))
            if request.op == SET and asked.attempts == asked.failed > 0 and index is not None:
                self._breaks("Fail Means Never", f"{_words(request)} was told FAIL, and was committed as entry {index}")


def _logs(mine: tuple[int, int], theirs: tuple[int, int]) -> str:
    return f"whose log ends with (term {theirs[0]}, index {theirs[1]}); its own ends with (term {mine[0]}, index {mine[1]})"


def _words(request: ClientRequest) -> str:
    return f"SET {request.key} {request.value}"
