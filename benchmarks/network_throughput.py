"""How fast the user network is by itself: bulk TCP both ways, played against the network's process by a bare peer.

Run it as `python -m benchmarks.network_throughput [MEGABYTES]`. The peer hands over frames of 64 KiB as a guest with
segmentation offload does, and keeps as little state as that takes; a process of the host sends or swallows. Told are
megabytes a second, and the processor time of the network's process.
"""

import os
import socket
import struct
import sys
import time
from collections.abc import Callable

from guesthouse.host.loop import Loop
from guesthouse.manager.network import start_network
from guesthouse.virtual.network.plan import NetworkPlan

MSS, HEADERS = 1460, 54
PAYLOAD = 44 * MSS
GUEST, GATEWAY = socket.inet_aton("10.0.2.15"), socket.inet_aton("10.0.2.2")
GUEST_MAC, GATEWAY_MAC = bytes.fromhex("525400123456"), bytes.fromhex("525500676801")
WINDOW, SCALE = 4 << 20, 7
SYN, ACK = 2, 16
RUNS, ECHOES = 3, 10_000


class Peer:
    """The guest's side of one connection."""

    def __init__(self, link: socket.socket, port: int) -> None:
        self._link = link
        self._port = port
        self._buffer = memoryview(bytearray(1 << 17))
        self.seq, self.ack, self.una, self.window = 1000, 0, 1000, 0
        self.frames = 0
        link.setblocking(True)
        link.settimeout(10)
        self._send(SYN, bytes([2, 4, 5, 180, 1, 3, 3, SCALE]))
        self.seq += 1
        self.receive()
        self._send(ACK)

    def _send(self, flags: int, options: bytes = b"", payload: bytes | memoryview = b"") -> None:
        total = 40 + len(options) + len(payload)
        ip = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, 6, 0, GUEST, GATEWAY))
        words = sum(struct.unpack("!10H", ip))
        ip[10:12] = (0xFFFF - (words % 0xFFFF)).to_bytes(2, "big")
        gso = (1, 1, HEADERS, MSS) if len(payload) > MSS else (1, 0, 0, 0)
        head = struct.pack("<BBHHHHH", *gso, 34, 16, 1) + GATEWAY_MAC + GUEST_MAC + b"\x08\x00" + ip
        tcp = struct.pack(
            "!HHIIBBHHH", 40000, self._port, self.seq & 0xFFFFFFFF, self.ack & 0xFFFFFFFF, (5 + len(options) // 4) << 4,
            flags, WINDOW >> SCALE if not flags & SYN else 0xFFFF, 0, 0,
        )  # fmt: skip
        self._link.sendmsg([head, tcp, options, payload])
        self.frames += 1

    def receive(self) -> int:
        """One frame; how many bytes it brought."""
        size = self._link.recv_into(self._buffer)
        frame = self._buffer[:size]
        if frame[24:26] != b"\x08\x00" or frame[35] != 6:
            return 0
        self.frames += 1
        _, _, seq, ack, offset, flags, window, _, _ = struct.unpack_from("!HHIIBBHHH", frame, 46)
        header = offset >> 2
        data = size - 46 - header
        if flags & SYN:
            self.ack = seq + 1
        elif data and seq == self.ack & 0xFFFFFFFF:
            self.ack += data
        self.una += (ack - self.una) & 0xFFFFFFFF if (ack - self.una) & 0xFFFFFFFF < 1 << 31 else 0
        self.window = window << (0 if flags & SYN else SCALE)
        return data

    def upload(self, amount: int) -> None:
        """Send so many bytes, as fast as the window takes them."""
        payload = bytes(PAYLOAD)
        end = self.seq + amount
        while self.una < end:
            while self.seq < end and self.seq - self.una + PAYLOAD <= self.window:
                self._send(ACK, b"", payload)
                self.seq += PAYLOAD
            self.receive()

    def exchange(self) -> None:
        """Send a byte and wait for one."""
        self._send(ACK, b"", b"x")
        self.seq += 1
        while not self.receive():
            pass

    def download(self, amount: int) -> None:
        """Receive so many bytes, and acknowledge what has come as often as the link runs empty."""
        got = 0
        while got < amount:
            got += self.receive()
            self._link.setblocking(False)
            try:
                while got < amount:
                    got += self.receive()
            except BlockingIOError:
                pass
            self._link.setblocking(True)
            self._send(ACK)


def _swallow(listening: socket.socket) -> None:
    client = listening.accept()[0]
    space = bytearray(1 << 20)
    while client.recv_into(space):
        pass


def _pour(listening: socket.socket) -> None:
    client = listening.accept()[0]
    data = bytes(1 << 20)
    while True:
        client.sendall(data)


def _cpu(pid: int) -> float:
    return time.clock_gettime(~pid << 3 | 2)


def measure(work: Callable[[socket.socket], None], upload: bool, amount: int) -> tuple[float, float, int]:
    """Seconds, the network's seconds of processor time, and frames, for `amount` bytes."""
    listening = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if not child:
        try:
            work(listening)
        finally:
            os._exit(0)
    network = start_network(NetworkPlan(), Loop())
    peer = Peer(network.device, listening.getsockname()[1])
    listening.close()
    began, cpu, frames = time.perf_counter(), _cpu(network.pid), peer.frames
    (peer.upload if upload else peer.download)(amount)
    result = time.perf_counter() - began, _cpu(network.pid) - cpu, peer.frames - frames
    network.stop()
    os.kill(child, 9)
    os.waitpid(child, 0)
    return result


def _echo(listening: socket.socket) -> None:
    client = listening.accept()[0]
    while data := client.recv(1 << 16):
        client.sendall(data)


def measure_echoes() -> float:
    """The network's seconds of processor time for a byte to a server and one back."""
    listening = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if not child:
        try:
            _echo(listening)
        finally:
            os._exit(0)
    network = start_network(NetworkPlan(), Loop())
    peer = Peer(network.device, listening.getsockname()[1])
    listening.close()
    cpu = _cpu(network.pid)
    for _ in range(ECHOES):
        peer.exchange()
    cpu = _cpu(network.pid) - cpu
    network.stop()
    os.kill(child, 9)
    os.waitpid(child, 0)
    return cpu / ECHOES


def main() -> None:
    """Measure both ways, some times in turn."""
    amount = int(sys.argv[1] if len(sys.argv) > 1 else 1000) * 1_000_000 // PAYLOAD * PAYLOAD
    for _ in range(RUNS):
        for name, work, upload in (("guest to host", _swallow, True), ("host to guest", _pour, False)):
            seconds, cpu, frames = measure(work, upload, amount)
            print(
                f"{name}: {amount / seconds / 1e6:6.0f} MB/s; {cpu / (amount / PAYLOAD) * 1e6:5.1f} us for 64 KiB,"
                f" {cpu / frames * 1e6:5.1f} us a frame, {frames} frames",
                flush=True,
            )
        cpu = measure_echoes()
        print(f"there and back: {cpu * 1e6:5.1f} us for a byte each way", flush=True)


if __name__ == "__main__":
    main()
