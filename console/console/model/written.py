"""Writes figures for people; `-` for what is not known."""

from math import isfinite


def per_second(rate: float | None) -> str:
    if rate is None or not isfinite(rate):
        return "-"
    if rate == 0:
        return "0/s"
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 0.1 else f"{rate * 60:.1f}/min"


def seconds(value: float | None) -> str:
    if value is None or not isfinite(value):
        return "-"
    if value < 1:
        return f"{value * 1000:,.0f} ms" if value >= 0.01 or value == 0 else f"{value * 1000:,.1f} ms"
    return f"{value:,.1f} s" if value < 60 else f"{value / 60:,.0f} min" if value < 7200 else f"{value / 3600:,.0f} h"


def whole(value: float | None) -> str:
    return "-" if value is None or not isfinite(value) else f"{value:,.0f}"


def at_least(count: float | None, *, is_whole: bool) -> str:
    """Write a count, as `12+` where not everything was counted; then a 0 says nothing."""
    if is_whole or not count:
        return whole(count if is_whole else None)
    return f"{whole(count)}+"


def share(value: float | None) -> str:
    if value is None or not isfinite(value):
        return "-"
    return f"{value:.0%}" if value >= 0.1 or value == 0 else f"{value:.1%}"


def mebibytes(value: float | None) -> str:
    return "-" if value is None or not isfinite(value) else f"{value / 2**20:,.0f} MiB"
