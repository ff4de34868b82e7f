"""`python -m delivery release TAG | notes | sbom TOOL FOLDER`: what make release-check, release-notes and sbom run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from delivery.sbom import SPEC, differences, locked
from lint.sources import ROOT
from lint.versions import sections, unready, version

SERVICES = ("userfc", "productfc", "orderfc", "paymentfc", "console")
_RELATIVE = re.compile(r"\]\((?=[\w.])(?![a-z]+:)")


def release(tag: str) -> int:
    """Print what keeps a tag from being released."""
    lines = unready(ROOT, tag)
    print("\n".join(lines) if lines else f"{tag} is ready: tag, changelog and packages agree.")
    return 1 if lines else 0


def notes() -> int:
    """Print the changes of the version; in a workflow their links lead to the files of the tag."""
    text = sections(ROOT)[version(ROOT)][1]
    repository = os.environ.get("GITHUB_REPOSITORY")
    if repository:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        text = _RELATIVE.sub(f"]({server}/{repository}/blob/v{version(ROOT)}/", text)
    print(text)
    return 0


def sbom(tool: str, folder: str) -> int:
    """Write the document of each service by cyclonedx-py, which validates it, and compare it with the lock."""
    lines = []
    Path(folder).mkdir(parents=True, exist_ok=True)
    for service in SERVICES:
        file, lock = Path(folder) / f"{service}.cdx.json", ROOT / service / "requirements.txt"
        _write(tool, service, lock, file)
        document = json.loads(file.read_text("utf-8"))
        lines += [f"{service}: {line}" for line in differences(document, service, version(ROOT), locked(lock))]
        print(f"{file}: {len(document['components'])} components")
    print("\n".join(lines) if lines else "Each document has what its lock has, with the same hashes.")
    return 1 if lines else 0


def _write(tool: str, service: str, lock: Path, file: Path) -> None:
    # The tool reads the name and version of what it describes from such a file, and knows no dynamic version.
    about = file.with_suffix(".toml")
    text = f'[project]\nname = "{service}"\nversion = "{version(ROOT)}"\nlicense = "MIT"\n'
    about.write_text(text, "utf-8")
    form = ["--spec-version", SPEC, "--output-format", "JSON", "--output-reproducible", "--validate"]
    command = [tool, "requirements", *form, "--pyproject", str(about), "--output-file", str(file), str(lock)]
    # It warns that the root lists no dependencies: a lock does not say which of its lines are direct.
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    try:
        subprocess.run(command, check=True, env=environment)
    finally:
        about.unlink()


COMMANDS: Mapping[str, Callable[..., int]] = {"release": release, "notes": notes, "sbom": sbom}


def main(arguments: list[str]) -> int:
    """Run a command and return its exit code."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        print(__doc__)
        return 2
    return command(*arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
