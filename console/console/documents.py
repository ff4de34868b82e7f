"""Documents of the project that the console shows or reads. The wheel packs them; a checkout has them as they are."""

from pathlib import Path

_HERE = Path(__file__).parent
_PACKED = _HERE / "documents"


def document(name: str) -> Path:
    """Return a file or folder by its path in the project, such as `docs/operations.md`."""
    packed = _PACKED / name
    return packed if packed.exists() else _HERE.parent.parent / name
