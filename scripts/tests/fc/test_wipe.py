"""`fc down --wipe` removes what a stack has made, and nothing else."""

from collections.abc import Callable

import pytest

from fc.stack.layout import Layout

from .conftest import Ended

Fc = Callable[[str], Ended]


def test_wipe_removes_data_logs_and_configuration_and_nothing_else(fc: Fc, layout: Layout) -> None:
    files = (
        "data/redis/data/file",
        "data/brokers/cluster.json",
        "logs/redis.log",
        "logs/redis.log.1",
        "run/supervisord.conf",
    )
    # The folder may be the user's home.
    others = ("mine/file", "data/photos/file", "logs/mine.log")
    for name in (*files, *others):
        (layout.home / name).parent.mkdir(parents=True, exist_ok=True)
        (layout.home / name).write_text('{"identity": "x", "directories": ["a", "b", "c"]}')
    elsewhere = layout.home / "mine" / "kafka"
    elsewhere.mkdir()
    (layout.home / "data" / "kafka").symlink_to(elsewhere)
    assert fc("down").code == 0
    assert (layout.home / "data" / "redis" / "data" / "file").exists()
    said = fc("down --wipe")
    assert said.code == 0
    assert f"Removed all data and logs in {layout.home}." in said.out
    left = [str(path.relative_to(layout.home)) for path in layout.home.rglob("*") if not path.is_dir()]
    assert sorted(left) == sorted(["lock", *others])
    assert not elsewhere.exists()
    assert not (layout.home / "run").exists()


def test_what_can_not_be_wiped_is_named(fc: Fc, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    (layout.home / "data" / "redis").mkdir(parents=True)
    # As it is for a user who may not remove what root has made.
    monkeypatch.setattr("shutil.rmtree", lambda _path, ignore_errors: None)
    said = fc("down --wipe")
    assert said.code == 1
    assert f"{layout.home / 'data' / 'redis'} can't be removed" in said.err
    assert "Removed" not in said.out
