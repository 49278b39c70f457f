from guesthouse.manager.escape import Action, EscapeKeys


def test_plain_bytes_pass_unchanged() -> None:
    assert EscapeKeys().feed(b"ls\r\x00\xff") == (b"ls\r\x00\xff", [])


def test_quit_and_help_are_taken_out() -> None:
    assert EscapeKeys().feed(b"a\x01hb\x01x") == (b"ab", [Action.HELP, Action.QUIT])


def test_the_prefix_itself_can_be_sent_both_ways() -> None:
    assert EscapeKeys().feed(b"\x01\x01\x01a") == (b"\x01\x01", [])


def test_the_two_keys_may_come_apart() -> None:
    keys = EscapeKeys()
    assert keys.feed(b"\x01") == (b"", [])
    assert keys.feed(b"x") == (b"", [Action.QUIT])


def test_an_unknown_key_is_dropped_with_its_prefix() -> None:
    assert EscapeKeys().feed(b"\x01qz") == (b"z", [])
