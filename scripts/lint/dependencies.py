"""Compares what each package imports with what its pyproject.toml declares, extras included, both ways.

A declared version is the `>=major.minor` of the locked one, and every pin of a requirements.in is declared.
"""

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lint.sources import Source, imports

# The file with the pins of a package, if it has one, and the lock that must hold its dependencies.
PACKAGES: Mapping[str, tuple[str | None, str]] = {
    "chassis": ("chassis/requirements.in", "requirements-dev.txt"),
    **{
        service: (f"{service}/requirements.in", f"{service}/requirements.txt")
        for service in ("userfc", "productfc", "orderfc", "paymentfc", "console")
    },
    "scripts": (None, "requirements-dev.txt"),
}
# What a library imports for this package when it is there.
NOT_IMPORTED = {
    ("scripts", "python-multipart"): "FastAPI reads the forms of the simulator's pay page with it.",
}
_OWN = {"chassis", "userfc", "productfc", "orderfc", "paymentfc", "console"}
# importlib's functions that take the name of a module.
_BY_NAME = frozenset({"files", "find_spec", "import_module"})


def problems(root: Path, sources: Iterable[Source]) -> list[str]:
    """Return a line for each dependency that is imported and not declared, or the other way round, or misdeclared."""
    by_package: dict[str, list[Source]] = {package: [] for package in PACKAGES}
    for source in sources:
        if source.group != "tests" and source.path.parts[0] in by_package:
            by_package[source.path.parts[0]].append(source)
    return [
        f"{package}/pyproject.toml: {problem}"
        for package, of in by_package.items()
        for problem in _problems(root, package, of)
    ]


def _problems(root: Path, package: str, sources: list[Source]) -> Iterator[str]:
    declared = _declared(root / package / "pyproject.toml")
    needed = _needed(package, sources)
    for name in sorted(needed.keys() - declared.keys()):
        yield f"{name} is not declared, but {needed[name]} imports it"
    for name in sorted(declared.keys() - needed.keys()):
        if (package, name) not in NOT_IMPORTED:
            yield f"{name} is declared, but not imported"
    for name in sorted(name for of, name in NOT_IMPORTED if of == package and name in needed):
        yield f"{name} needs no entry in NOT_IMPORTED"
    pins, lock = PACKAGES[package]
    yield from _misdeclared(declared, _locked(root / lock), lock)
    if pins:
        yield from _undeclared_pins(declared, root / pins)


def _misdeclared(declared: Mapping[str, Requirement], locked: Mapping[str, Version], lock: str) -> Iterator[str]:
    for name in sorted(declared.keys() - _OWN):
        if name not in locked:
            yield f"{name} is not in {lock}"
            continue
        expected = f">={locked[name].major}.{locked[name].minor}"
        if str(declared[name].specifier) != expected:
            yield f"{name} is declared as {str(declared[name].specifier) or 'any version'!r}, expected {expected!r}"


def _undeclared_pins(declared: Mapping[str, Requirement], pins: Path) -> Iterator[str]:
    lines = (line.split("#")[0].strip() for line in pins.read_text("utf-8").splitlines())
    for pin in (Requirement(line) for line in lines if line and not line.startswith("-")):
        name = canonicalize_name(pin.name)
        if name not in declared:
            yield f"{name} is in {pins.name}, but not declared"
        elif declared[name].extras != pin.extras:
            yield f"{name} has the extras {sorted(declared[name].extras)}, in {pins.name} {sorted(pin.extras)}"


def _declared(pyproject: Path) -> dict[str, Requirement]:
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    lines = chain(project.get("dependencies", ()), *project.get("optional-dependencies", {}).values())
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def _locked(lock: Path) -> dict[str, Version]:
    """Return the versions of a hashed requirements file; of several for one name, the highest."""
    locked: dict[str, Version] = {}
    for line in lock.read_text("utf-8").splitlines():
        name, equals, rest = line.partition("==")
        if equals and not line.startswith((" ", "#")):
            version = Version(rest.split()[0])
            locked[canonicalize_name(name)] = max(version, locked.get(canonicalize_name(name), version))
    return locked


def _needed(package: str, sources: Iterable[Source]) -> dict[str, Path]:
    """Return the distributions that a package imports, each with a file that does."""
    own = {source.module.split(".")[0] for source in sources} - (_OWN - {package})
    needed: dict[str, Path] = {}
    for source in sources:
        for module in (*imports(source.tree), *_named(source.tree)):
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and top not in own:
                needed.setdefault(top if top in _OWN else _distribution(module), source.path)
    return needed


def _named(tree: ast.AST) -> Iterator[str]:
    """Return the modules that are loaded by a name in quotes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BY_NAME:
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _distribution(module: str) -> str:
    """Return the name of the installed distribution that a module comes from; the module's own name for none."""
    owners = _owners()
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((owners[prefix] for prefix in prefixes if prefix in owners), parts[0])


@cache
def _owners() -> dict[str, str]:
    """Return the installed distributions by module; several may share the folder above their modules."""
    owners: dict[str, str] = {}
    for distribution in distributions():
        for file in distribution.files or ():
            if file.suffix in (".py", ".so"):
                parts = [*file.parts[:-1], file.name.split(".")[0]]
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                owners[module] = canonicalize_name(distribution.name)
    return owners
