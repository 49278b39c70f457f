from ..fake import MASK, result


def test_zero_where_the_condition_says():
    assert (result("czero_eqz", 5, 0), result("czero_eqz", 5, MASK)) == (0, 5)
    assert (result("czero_nez", 5, 0), result("czero_nez", 5, 1 << 63)) == (5, 0)
