"""The version has one place; the changelog and the tag of a release agree with it."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from chassis import __version__
from lint.sources import ROOT
from lint.versions import CHANGELOG, PACKAGES, PLACE, problems, unready, version

TAG = f"v{__version__}"
HEADING = f"## [{__version__}]"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that hold versions, with nothing unreleased."""
    for name in (str(PLACE), str(CHANGELOG), *(f"{package}/pyproject.toml" for package in PACKAGES)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    text = (tmp_path / CHANGELOG).read_text("utf-8")
    before, _, after = text.partition("## [Unreleased]")
    (tmp_path / CHANGELOG).write_text(f"{before}## [Unreleased]\n\n{HEADING}{after.partition(HEADING)[2]}", "utf-8")
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_this_checkout_has_one_version_which_the_changelog_names() -> None:
    assert problems(ROOT) == []
    assert version(ROOT) == __version__


def test_documents_name_the_version_and_an_image_that_is_given_none_claims_none() -> None:
    named = [json.loads(path.read_text("utf-8"))["info"]["version"] for path in (ROOT / "docs/openapi").glob("*.json")]
    named.append(yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text("utf-8"))["info"]["version"])
    assert named == [__version__] * 5
    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    assert re.findall(r"^ARG VERSION=(.*)$", dockerfile, re.MULTILINE) == ["unknown"]
    assert 'org.opencontainers.image.version="${VERSION}"' in dockerfile


def test_a_tag_of_the_version_may_be_released(checkout: Path) -> None:
    assert unready(checkout, TAG) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_with_a_version_of_its_own_is_found(checkout: Path, package: str) -> None:
    change(checkout / package / "pyproject.toml", 'dynamic = ["version"]', f'version = "{__version__}"')
    assert problems(checkout) == [f"{package}/pyproject.toml: its version does not come from {PLACE}"]


def test_a_package_that_reads_its_version_elsewhere_is_found(checkout: Path) -> None:
    change(checkout / "orderfc/pyproject.toml", "../chassis/chassis/__init__.py", "orderfc/__init__.py")
    assert problems(checkout) == [f"orderfc/pyproject.toml: its version does not come from {PLACE}"]


def test_a_version_that_the_changelog_does_not_name_is_found(checkout: Path) -> None:
    change(checkout / PLACE, f'"{__version__}"', '"9.8.7"')
    assert problems(checkout) == [f"CHANGELOG.md: its newest version is {__version__}, expected 9.8.7"]


def test_a_version_of_another_form_is_found(checkout: Path) -> None:
    change(checkout / PLACE, f'"{__version__}"', '"1.2"')
    assert problems(checkout) == [f"{PLACE} has no __version__ of the form 1.2.3"]


@pytest.mark.parametrize("tag", ["", __version__, "v9.8.7"])
def test_another_tag_is_refused(checkout: Path, tag: str) -> None:
    assert unready(checkout, tag) == [f"the tag is {tag or 'missing'}, expected {TAG}"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("## [Unreleased]\n", "## [Unreleased]\n\n- A new route.\n", "[Unreleased] holds changes that belong to"),
        ("## [Unreleased]\n", "", "its first section is not [Unreleased]"),
        (f"{HEADING} - 20", f"{HEADING} 20", "its newest version is missing"),
    ],
)
def test_a_changelog_that_is_not_ready_is_refused(checkout: Path, old: str, new: str, problem: str) -> None:
    change(checkout / CHANGELOG, old, new)
    assert problem in "\n".join(unready(checkout, TAG))


@pytest.mark.parametrize(
    ("section", "problem"),
    [(f"{HEADING}\n\n- First.\n", "has no date"), (f"{HEADING} - 2026-11-28\n", "says nothing")],
)
def test_a_section_without_date_or_text_is_refused(checkout: Path, section: str, problem: str) -> None:
    (checkout / CHANGELOG).write_text(f"# Changelog\n\n## [Unreleased]\n\n{section}", "utf-8")
    assert unready(checkout, TAG) == [f"CHANGELOG.md: [{__version__}] {problem}"]
