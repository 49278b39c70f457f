import threading
import time

import pytest

from guesthouse.virtual.machine.inbox import Inbox
from guesthouse.virtual.machine.work import QUICK, Work


class State:
    request = 0


def slow() -> None:
    time.sleep(20 * QUICK)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(State())  # type: ignore[arg-type]


def test_quick_jobs_are_done_at_once_and_slow_ones_by_a_thread(inbox: Inbox) -> None:
    work = Work(inbox, at_once=False)
    lane, threads, ends = work.lane(), [], []
    for _ in range(3):
        lane.do(lambda: threads.append(threading.current_thread()), ends.append)
    assert threads == [threading.current_thread()] * 3 and ends == [None] * 3
    lane.do(slow, ends.append)
    lane.do(lambda: threads.append(threading.current_thread()), ends.append)
    assert work.busy and len(ends) == 4
    work.wait()
    assert threads[-1] is not threading.current_thread() and ends == [None] * 5
    work.close()


def test_an_error_reaches_who_asked(inbox: Inbox) -> None:
    work = Work(inbox, at_once=False)
    lane, ends = work.lane(), []

    def fail() -> None:
        slow()
        raise OSError(5, "broken")

    lane.do(fail, ends.append)
    lane.do(fail, ends.append)
    work.wait()
    assert [error.errno for error in ends] == [5, 5]
    work.close()


def test_a_repeatable_run_has_no_other_threads(inbox: Inbox) -> None:
    work = Work(inbox, at_once=True)
    lane, threads = work.lane(), []
    for _ in range(3):
        lane.do(lambda: (slow(), threads.append(threading.current_thread()))[0], lambda error: None)
    assert threads == [threading.current_thread()] * 3


def test_the_end_comes_through_the_inbox(inbox: Inbox) -> None:
    work = Work(inbox, at_once=False)
    lane, ends = work.lane(), []
    lane.do(slow, ends.append)
    lane.do(slow, ends.append)
    while not inbox.waiting:
        inbox.wait(1)
    inbox.serve()
    assert ends == [None, None] and not work.busy
    work.close()


def test_holding_and_going_on_are_told_once(inbox: Inbox) -> None:
    work, told, answers = Work(inbox, at_once=True), [], iter([False, True, True])
    work.notice = told.append
    for _ in range(2):
        work.hold("No room.", lambda: next(answers))
    work.try_again()
    assert len(work.held) == 2 and told == ["No room."]
    work.try_again()
    assert not work.held and len(told) == 2
