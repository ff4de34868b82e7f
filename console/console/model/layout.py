"""Where each part of the topology is drawn: a fixed graph, placed by hand, in pixels of its SVG."""

from dataclasses import dataclass

WIDTH, HEIGHT = 1100, 404
_BOX = (176, 74)
_SMALL = (118, 46)
_TOP, _ROW, _BOTTOM = 16, 118, 322
_CENTRES = {"productfc": 128, "orderfc": 404, "paymentfc": 684, "userfc": 972}
# How far beside the middle of a service its two lines to Kafka are.
_SENT, _APPLIED = -48, 0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `round` is drawn as a store."""

    x: int
    y: int
    width: int
    height: int
    small: bool = False

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line with its head (the points of a triangle), and where its text begins.

    The second line of text is `more` pixels below the first; with 0 there is one line only.
    """

    path: str
    head: str
    text: tuple[int, int]
    anchor: str = "start"
    more: int = 15


def _around(middle: int, top: int, size: tuple[int, int], small: bool = False) -> Box:
    return Box(middle - size[0] // 2, top, *size, small)


def _head(x: int, y: int, direction: str) -> str:
    """Return a triangle whose tip is at a place and shows up, down, left or right."""
    shapes = {
        "down": ((-5, -9), (5, -9)),
        "up": ((-5, 9), (5, 9)),
        "left": ((9, -5), (9, 5)),
        "right": ((-9, -5), (-9, 5)),
    }
    return " ".join(f"{x + dx},{y + dy}" for dx, dy in ((0, 0), *shapes[direction]))


def _boxes() -> dict[str, Box]:
    found = {name: _around(middle, _ROW, _BOX) for name, middle in _CENTRES.items()}
    found |= {f"{name}-db": _around(middle, _TOP, _SMALL, True) for name, middle in _CENTRES.items()}
    for name, beside, other in (("paymentfc", "mongodb", 66), ("userfc", "redis", 66)):
        found[f"{name}-db"] = _around(_CENTRES[name] - other, _TOP, _SMALL, True)
        found[beside] = _around(_CENTRES[name] + other, _TOP, _SMALL, True)
    found["kafka"] = Box(40, _BOTTOM, _CENTRES["paymentfc"] + 30, 62)
    found["xendit"] = _around(_CENTRES["userfc"], _BOTTOM, (_BOX[0], 62))
    return found


def _arrows() -> dict[str, Arrow]:
    half, under, middle = _BOX[0] // 2, _ROW + _BOX[1], _ROW + _BOX[1] // 2
    order, product = _CENTRES["orderfc"] - half, _CENTRES["productfc"] + half
    payment, user = _CENTRES["paymentfc"] + half, _CENTRES["userfc"] - half
    found = {
        "orderfc-productfc": _across(order, product, middle, "left"),
        "paymentfc-userfc": _across(payment, user, middle, "right"),
    }
    for name in ("productfc", "orderfc", "paymentfc"):
        sent, applied = _CENTRES[name] + _SENT, _CENTRES[name] + _APPLIED
        text = _BOTTOM - 40
        found[f"{name}-kafka"] = Arrow(
            f"M{sent} {under}V{_BOTTOM - 8}", _head(sent, _BOTTOM, "down"), (sent - 8, text), "end"
        )
        found[f"kafka-{name}"] = Arrow(
            f"M{applied} {_BOTTOM}V{under + 8}", _head(applied, under, "up"), (applied + 8, text)
        )
    start, end = _CENTRES["paymentfc"] + 44, _CENTRES["userfc"] - 44
    found["paymentfc-xendit"] = Arrow(
        f"M{start} {under}V250q0 12 12 12H{end - 12}q12 0 12 12V{_BOTTOM - 8}",
        _head(end, _BOTTOM, "down"),
        ((start + end) // 2, 256),
        "middle",
        0,
    )
    start, end = _CENTRES["userfc"] + 44, _CENTRES["paymentfc"] + 74
    found["xendit-paymentfc"] = Arrow(
        f"M{start} {_BOTTOM}V236q0 -12 -12 -12H{end + 12}q-12 0 -12 -12V{under + 8}",
        _head(end, under, "up"),
        ((start + end) // 2, 218),
        "middle",
        0,
    )
    return found


def _across(source: int, target: int, y: int, direction: str) -> Arrow:
    stop = target + (8 if direction == "left" else -8)
    return Arrow(f"M{source} {y}H{stop}", _head(target, y, direction), ((source + target) // 2, y - 8), "middle", 23)


BOXES = _boxes()
ARROWS = _arrows()
# Short lines without a figure: what a service has for itself.
OWN = [
    f"M{BOXES[store].middle} {_TOP + _SMALL[1]}V{_ROW}"
    for store in ("productfc-db", "orderfc-db", "paymentfc-db", "userfc-db", "mongodb", "redis")
]
