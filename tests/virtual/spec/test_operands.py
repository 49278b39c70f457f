from guesthouse.virtual.spec.layout import Field, RegisterFile, StateLayout
from guesthouse.virtual.spec.operands import register_files

LAYOUT = StateLayout(RegisterFile("r", 4), RegisterFile("v", 4), Field("flags"))


def direct(s, a, b, c):
    s.r[a] = s.v[b] + c


def helper(s, value, number):
    s.v[number] = value


def through(s, x, y, z):
    helper(s, s.r[x], y)
    s.flags = z


def endless(s, n):
    endless(s, n)
    s.r[n] = 0


def test_files_are_found_in_the_function():
    assert register_files(direct, LAYOUT) == {"a": "r", "b": "v"}


def test_files_are_found_in_functions_called():
    assert register_files(through, LAYOUT) == {"x": "r", "y": "v"}


def test_recursion_ends():
    assert register_files(endless, LAYOUT) == {"n": "r"}
