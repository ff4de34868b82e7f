"""Draws where the time of one order goes: its steps at a steady rate, and the CPU of each process in a burst."""

from collections.abc import Iterator, Mapping
from html import escape

WIDTH, LEFT, BAR, GAP, TOP = 900, 210, 20, 6, 60
RIGHT = 80
STEPS_TITLE = "One order at 20 orders a second: milliseconds from the checkout to each step (medians)"
CPU_TITLE = "CPU of one order in a burst, by process, in milliseconds"
FONT = "font-family='sans-serif' font-size='13'"
COLOURS = {
    "userfc": "#8c6bb1",
    "productfc": "#2b8cbe",
    "orderfc": "#238b45",
    "paymentfc": "#d94801",
    "postgres": "#636363",
    "redis": "#cb181d",
    "kafka": "#bdbdbd",
    "mongo": "#a6761d",
}
# The process that has done a step.
DONE_BY = {
    "answered": "orderfc",
    "order stored": "orderfc",
    "events sent": "orderfc",
    "stock taken": "productfc",
    "payment stored": "paymentfc",
    "invoice stored": "paymentfc",
    "callback stored": "paymentfc",
    "payment confirmed": "paymentfc",
    "payment.success sent": "paymentfc",
    "order completed": "orderfc",
    "seen completed": "orderfc",
}


def draw(steps_ms: Mapping[str, float], cpu_us: Mapping[str, float]) -> str:
    """Return the picture as SVG.

    `steps_ms`: the median milliseconds from sending a checkout to each step. `cpu_us`: CPU of an order by process.
    """
    steps = sorted(steps_ms.items(), key=lambda step: step[1])
    cpu = [(name, cpu_us[name] / 1000) for name in COLOURS if cpu_us.get(name)]
    below = TOP + len(steps) * (BAR + GAP) + 60
    height = below + len(cpu) * (BAR + GAP) + 20
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}'>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        _text(
            10,
            TOP - 25,
            STEPS_TITLE,
            bold=True,
        ),
        *_bars([(name, value, COLOURS.get(DONE_BY.get(name, ""), "#999999")) for name, value in steps], TOP, "ms"),
        _text(10, below - 25, CPU_TITLE, bold=True),
        *_bars([(name, value, COLOURS[name]) for name, value in cpu], below, "ms"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bars(bars: list[tuple[str, float, str]], top: int, unit: str) -> Iterator[str]:
    longest = max((value for _, value, _ in bars), default=0) or 1
    for number, (name, value, colour) in enumerate(bars):
        y = top + number * (BAR + GAP)
        width = max(value, 0) / longest * (WIDTH - LEFT - RIGHT)
        yield f"<rect x='{LEFT}' y='{y}' width='{width:.1f}' height='{BAR}' fill='{colour}'/>"
        yield _text(10, y + 15, name)
        yield _text(LEFT + width + 6, y + 15, f"{value:.1f} {unit}")


def _text(x: float, y: float, text: str, *, bold: bool = False) -> str:
    weight = " font-weight='bold'" if bold else ""
    return f"<text x='{x:.1f}' y='{y}' {FONT}{weight}>{escape(text)}</text>"
