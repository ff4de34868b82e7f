"""Expressions that several dashboards have."""

from observability.dashboards.grafana import Query

# Grafana puts in a range of four scrapes or more.
RANGE = "[$__rate_interval]"


def rate(metric: str, selector: str = "", by: str = "") -> str:
    """Return the rate of a counter, summed by labels."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{f'{{{selector}}}' if selector else ''}{RANGE}))"


def quantile(share: float, histogram: str, selector: str = "", by: str = "") -> str:
    """Return a quantile of a histogram, by labels."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share:g}, {rate(f'{histogram}_bucket', selector, labels)})"


def quantiles(histogram: str, selector: str = "", *, exemplars: bool = False) -> tuple[Query, ...]:
    return tuple(
        Query(quantile(share, histogram, selector), f"p{share * 100:g}", exemplars and share == 0.95)
        for share in (0.5, 0.95, 0.99)
    )


def share(counter: str, part: str, whole: str) -> str:
    """Return what share of a counter one selector has of another; 0 where nothing of it was ever counted."""
    return f"({rate(counter, part)} or vector(0)) / {rate(counter, whole)}"
