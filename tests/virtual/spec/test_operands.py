from guesthouse.virtual.spec.layout import Field, RegisterFile, StateLayout
from guesthouse.virtual.spec.operands import RegisterOperands, register_files

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


def test_a_function_that_several_call_is_read_for_each_of_them():
    operands = RegisterOperands(LAYOUT)
    for _ in range(2):
        assert operands.files_of(through) == {"x": "r", "y": "v"}
        assert operands.files_of(direct) == {"a": "r", "b": "v"}
    assert operands.files_of(helper) == {"number": "v"}
