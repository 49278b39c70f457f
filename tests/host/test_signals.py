import os
import signal

from guesthouse.host.loop import Loop
from guesthouse.host.signals import CaughtSignals


def test_signals_come_through_the_loop_and_the_handlers_are_put_back() -> None:
    loop, seen = Loop(), []
    before = signal.getsignal(signal.SIGUSR1)
    with CaughtSignals(loop, [signal.SIGUSR1], seen.append):
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.turn(5)
        assert seen == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) == before
