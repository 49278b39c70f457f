from guesthouse.virtual.engine.ir import FunctionText


def lines(text: FunctionText) -> list[str]:
    """The body, without indentation."""
    return [line.strip() for line in text.text().splitlines()[1:-1]]


# --- known ------------------------------------------------------------------------------------------------------------


def test_a_block_computes_nothing_twice() -> None:
    text = FunctionText("")
    first = text.value("add i64 %a, 1")
    assert text.value("add i64 %a, 1") == first
    assert text.value("add i64 %a, 2") != first
    assert lines(text) == ["entry:", "%v1 = add i64 %a, 1", "%v2 = add i64 %a, 2"]


def test_what_may_differ_the_next_time_is_done_again() -> None:
    text = FunctionText("")
    for operation in ("load i64, ptr %p", "call i64 @f()", "phi i64 [ 0, %entry ]"):
        assert text.value(operation) != text.value(operation)


def test_another_block_knows_only_what_it_is_told() -> None:
    text = FunctionText("")
    first = text.value("add i64 %a, 1")
    kept = text.known
    text.begin("elsewhere")
    assert text.value("add i64 %a, 1") != first
    text.begin("dominated", kept)
    assert text.value("add i64 %a, 1") == first


def test_cold_blocks_neither_know_nor_tell() -> None:
    text = FunctionText("")
    first = text.value("add i64 %a, 1")
    with text.cold("rare"):
        assert text.value("add i64 %a, 1") != first
        other = text.value("add i64 %a, 2")
        text.end("ret void")
    assert text.value("add i64 %a, 1") == first
    assert text.value("add i64 %a, 2") != other


# --- spare ------------------------------------------------------------------------------------------------------------


def test_spare_results_that_nobody_uses_are_left_out() -> None:
    text = FunctionText("")
    text.spare("add i64 %a, 1")
    text.emit("store i64 0, ptr %p")
    assert lines(text) == ["entry:", "store i64 0, ptr %p"]


def test_spare_results_that_are_used_stay_and_are_known() -> None:
    text = FunctionText("")
    name = text.spare("add i64 %a, 1")
    assert text.spare("add i64 %a, 1") == text.value("add i64 %a, 1") == name
    text.emit(f"store i64 {name}, ptr %p")
    assert lines(text) == ["entry:", f"{name} = add i64 %a, 1", f"store i64 {name}, ptr %p"]


def test_what_only_unwanted_results_use_is_unwanted() -> None:
    text = FunctionText("")
    first = text.spare("add i64 %a, 1")
    second = text.spare(f"mul i64 {first}, {first}")
    text.spare(f"or i64 {second}, {first}")
    assert lines(text) == ["entry:"]


def test_what_one_user_wants_stays_though_another_is_unwanted() -> None:
    text = FunctionText("")
    first = text.spare("add i64 %a, 1")
    text.spare(f"mul i64 {first}, 3")
    text.emit(f"store i64 {first}, ptr %p")
    assert lines(text) == ["entry:", f"{first} = add i64 %a, 1", f"store i64 {first}, ptr %p"]


def test_a_use_in_a_cold_block_counts() -> None:
    text = FunctionText("")
    name = text.spare("add i64 %a, 1")
    with text.cold("rare"):
        text.end(f"ret i64 {name}")
    text.end("ret i64 0")
    assert f"{name} = add i64 %a, 1" in lines(text)


def test_names_that_begin_alike_are_not_confused() -> None:
    text = FunctionText("")
    names = [text.spare(f"add i64 %a, {number}") for number in range(12)]
    text.emit(f"store i64 {names[10]}, ptr %p")
    assert names[10].startswith(names[0])
    assert lines(text) == ["entry:", f"{names[10]} = add i64 %a, 10", f"store i64 {names[10]}, ptr %p"]


# --- reopen -----------------------------------------------------------------------------------------------------------


def test_a_block_whose_jump_was_just_written_goes_on() -> None:
    text = FunctionText("")
    text.end("br label %done")
    assert text.block is None
    assert text.reopen("entry", "done")
    assert text.block == "entry"
    text.end("ret void")
    assert lines(text) == ["entry:", "ret void"]


def test_only_the_jump_to_that_label_may_be_taken_back() -> None:
    text = FunctionText("")
    text.end("br label %done_too")
    assert not text.reopen("entry", "done")
    assert text.block is None
    text.begin("done_too")
    text.emit("store i64 0, ptr %p")
    assert not text.reopen("entry", "done_too")
    assert lines(text) == ["entry:", "br label %done_too", "done_too:", "store i64 0, ptr %p"]


# --- replace_cold -----------------------------------------------------------------------------------------------------


def test_the_last_line_written_to_the_end_is_written_anew() -> None:
    text = FunctionText("")
    with text.cold("first"):
        text.end("br label %back")
    place = text.written_cold()
    with text.cold("second"):
        text.end("ret void")
    text.replace_cold(place, "br i1 %c, label %back, label %second")
    text.end("br label %first")
    expected = ["first:", "br i1 %c, label %back, label %second", "second:", "ret void"]
    assert lines(text) == ["entry:", "br label %first", *expected]


def test_results_used_only_in_the_line_that_was_replaced_are_left_out() -> None:
    text = FunctionText("")
    name = text.spare("icmp eq i64 %a, 0")
    with text.cold("rare"):
        text.end(f"br i1 {name}, label %x, label %y")
    text.replace_cold(text.written_cold(), "br label %x")
    assert lines(text) == ["entry:", "rare:", "br label %x"]
