"""Times and amounts as pages show them. Times come as datetimes, or as the text of a service's answer."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from chassis.clock import now

Time = datetime | str | None

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def moment(time: Time) -> datetime | None:
    """Return the time in UTC. Raises ValueError for text that is no time."""
    if not time:
        return None
    at = datetime.fromisoformat(time) if isinstance(time, str) else time
    return at.astimezone(UTC)


def clock(time: Time) -> str:
    """Write the time of day in UTC, with milliseconds."""
    at = moment(time)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}" if at else "-"


def exact(time: Time) -> str:
    """Write date and time in UTC, with milliseconds."""
    at = moment(time)
    return f"{at:%Y-%m-%d} {clock(at)} UTC" if at else "-"


def iso(time: Time) -> str:
    """Write a time as HTML has it, which knows no parts of milliseconds."""
    at = moment(time)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else ""


def duration(seconds: float | None) -> str:
    """Write a number of seconds in its two greatest units: `3 s`, `2 min 5 s`, `4 d 3 h`."""
    if seconds is None:
        return "-"
    left, parts = int(max(seconds, 0)), []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def ago(time: Time) -> str:
    """Write how long ago a time was, or how far ahead it is."""
    at = moment(time)
    if at is None:
        return "-"
    seconds = (now() - at).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"


def after(time: Time, begin: Time) -> str:
    """Write how much later than `begin` a time is: `+6 ms`, `+2.3 s`, `+4 min 5 s`."""
    at, first = moment(time), moment(begin)
    if at is None or first is None:
        return "-"
    ms = (at - first).total_seconds() * 1000
    if abs(ms) < 1000:
        return f"{ms:+.0f} ms"
    return f"{ms / 1000:+.1f} s" if abs(ms) < 60_000 else f"+{duration(ms / 1000)}"


def amount(value: object) -> str:
    """Write an amount with thousands grouped; what is no number is shown as it came."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return f"{number.normalize() if number != number.to_integral() else number.to_integral():,f}"


FILTERS = {
    "after": after,
    "iso": iso,
    "clock": clock,
    "exact": exact,
    "ago": ago,
    "duration": duration,
    "amount": amount,
}
