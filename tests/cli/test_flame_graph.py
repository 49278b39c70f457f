from xml.etree import ElementTree

from guesthouse.cli.flame_graph import COLOURS, WIDTH, flame_graph, grown

SVG = "{http://www.w3.org/2000/svg}"
STACKS = [
    (("start", "compute", "inner"), "translator", 600),
    (("start", "compute"), "interpreter", 100),
    (("start", "write", "[device_write uart]"), "monitor", 300),
]


def boxes(text: str) -> dict[str, tuple[float, float, float, str]]:
    """x, y, width and colour of each box by its tooltip's name."""
    found = {}
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        name = group.find(f"{SVG}title").text.rpartition(":")[0]
        box = group.find(f"{SVG}rect").attrib
        found[name] = (float(box["x"]), float(box["y"]), float(box["width"]), box["fill"])
    return found


def test_boxes_lie_above_their_callers_and_are_as_wide_as_their_share() -> None:
    found = boxes(flame_graph(grown(STACKS), "A title", "ms", 1.0))
    assert set(found) == {"all", "start", "compute", "inner", "write", "[device_write uart]"}
    whole = found["all"][2]
    assert abs(found["compute"][2] / whole - 0.7) < 0.001
    assert abs(found["inner"][2] / whole - 0.6) < 0.001
    for caller, callee in (("all", "start"), ("start", "compute"), ("compute", "inner"), ("start", "write")):
        x, y, width, _ = found[caller]
        inner_x, inner_y, inner_width, _ = found[callee]
        assert inner_y < y
        assert x - 0.02 <= inner_x and inner_x + inner_width <= x + width + 0.02
    assert found["write"][0] >= found["compute"][0] + found["compute"][2] - 0.02


def test_a_box_has_the_colour_of_the_engine_that_ran_most_of_it() -> None:
    found = boxes(flame_graph(grown(STACKS), "", "ms", 1.0))
    assert found["compute"][3] == COLOURS["translator"]
    assert found["write"][3] == COLOURS["monitor"]


def test_tooltips_tell_weight_and_share() -> None:
    text = flame_graph(grown(STACKS), "", "ms", 10.0)
    assert "<title>compute: 70.0 ms, 70.00 %</title>" in text


def test_hostile_names_stay_text() -> None:
    name = '</text><script>alert("1")</script>&\0\x1b[2J￿\ud800'
    text = flame_graph(grown([((name,), "interpreter", 5)]), name, "ms", 1.0)
    text.encode()
    tree = ElementTree.fromstring(text)
    assert not list(tree.iter(f"{SVG}script"))
    assert "alert" in next(iter(tree.iter(f"{SVG}title"))).text


def test_narrow_boxes_are_left_out_and_no_samples_are_no_error() -> None:
    many = [((f"f{number}",), "interpreter", 1) for number in range(WIDTH * 10)]
    assert len(flame_graph(grown(many), "", "ms", 1.0)) < 5000
    ElementTree.fromstring(flame_graph(grown([]), "", "ms", 1.0))
