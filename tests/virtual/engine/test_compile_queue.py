"""The queue: hottest first, clients in turn, and nothing made twice."""

from guesthouse.virtual.engine.compile_queue import MOST_WAITING, CompileQueue, Job


def order(queue: CompileQueue) -> list[str]:
    """The names of all jobs as they are begun."""
    names = []
    while (job := queue.take()) is not None:
        names.append(job.name)
    return names


def test_the_hottest_is_first() -> None:
    queue = CompileQueue()
    for name, heat in (("a", 1), ("b", 3), ("c", 2)):
        assert queue.add(1, Job(name, {}, heat))
    assert order(queue) == ["b", "c", "a"] and not queue.waits


def test_clients_take_turns() -> None:
    queue = CompileQueue()
    for name in "abcd":
        queue.add(1, Job(name, {}, 100))
    for name in "xy":
        queue.add(2, Job(name, {}, 1))
    assert sorted(order(queue)[:4]) == ["a", "b", "x", "y"]


def test_what_two_want_is_made_once_and_told_to_both() -> None:
    queue = CompileQueue()
    queue.add(1, Job("a", {}, 1))
    queue.add(2, Job("a", {}, 5))
    job = queue.take()
    assert job is not None and job.askers == [1, 2] and job.heat == 5
    queue.add(3, Job("a", {}))  # while it is being made
    assert job.askers == [1, 2, 3] and queue.take() is None
    queue.finish(job)
    assert len(queue) == 0


def test_who_is_gone_gets_nothing_made() -> None:
    queue = CompileQueue()
    queue.add(1, Job("a", {}))
    queue.add(1, Job("both", {}))
    queue.add(2, Job("both", {}))
    queue.forget(1)
    assert order(queue) == ["both"]


def test_a_client_may_not_fill_the_queue() -> None:
    queue = CompileQueue()
    assert all(queue.add(1, Job(str(n), {})) for n in range(MOST_WAITING))
    assert not queue.add(1, Job("one more", {}))
    assert queue.add(2, Job("another's", {}))
