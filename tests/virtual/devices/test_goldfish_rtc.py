from guesthouse.virtual.devices.goldfish_rtc import GoldfishRtc
from tests.virtual.devices.fakes import Clock, Line


def rtc() -> tuple[GoldfishRtc, Line, Clock]:
    irq, clock = Line(), Clock()
    return GoldfishRtc(irq, clock), irq, clock


def now(device: GoldfishRtc) -> int:
    return device.read(0, 4) | device.read(4, 4) << 32


def arm(device: GoldfishRtc, when: int) -> None:
    device.write(0x0C, 4, when >> 32)
    device.write(0x08, 4, when & 0xFFFF_FFFF)


def test_tells_the_host_s_time() -> None:
    device, _, clock = rtc()
    clock.advance(5)
    assert now(device) == Clock.EPOCH + 5


def test_reading_the_low_half_latches_the_high_one() -> None:
    device, _, clock = rtc()
    low = device.read(0, 4)
    clock.advance(1 << 33)
    assert low | device.read(4, 4) << 32 == Clock.EPOCH


def test_the_guest_may_set_it() -> None:
    device, _, clock = rtc()
    device.write(4, 4, 2)
    device.write(0, 4, 7)
    clock.advance(100)
    assert now(device) == (2 << 32) + 107


def test_an_alarm_interrupts_once() -> None:
    device, irq, clock = rtc()
    device.write(0x10, 4, 1)
    arm(device, Clock.EPOCH + 1000)
    assert device.read(0x18, 4) == 1
    clock.advance(999)
    assert not irq.level
    clock.advance(1)
    assert irq.level and device.read(0x18, 4) == 0
    device.write(0x1C, 4, 1)
    assert not irq.level


def test_a_past_alarm_rings_at_once_and_a_cleared_one_never() -> None:
    device, irq, clock = rtc()
    arm(device, 1)
    assert not irq.level
    device.write(0x10, 4, 1)
    assert irq.level
    device.write(0x1C, 4, 1)
    arm(device, Clock.EPOCH + 10)
    device.write(0x14, 4, 1)
    clock.advance(100)
    assert not irq.level


def test_a_loaded_alarm_rings() -> None:
    device, _, _ = rtc()
    device.write(0x10, 4, 1)
    arm(device, Clock.EPOCH + 10)
    other, irq, clock = rtc()
    other.load(device.save())
    clock.advance(10)
    assert irq.level
