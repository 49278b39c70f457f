from guesthouse.host.entropy import HostEntropy


def test_random_bytes_differ() -> None:
    assert len(HostEntropy().bytes(32)) == 32
    assert HostEntropy().bytes(32) != HostEntropy().bytes(32)
