"""The committed gRPC code is what protos/user.proto says."""

import subprocess
import sys
from pathlib import Path

import pytest

import chassis.pb

ROOT = Path(__file__).parents[3]
COMMITTED = Path(str(chassis.pb.__file__)).parent


def generate(folder: Path) -> dict[str, str]:
    """Generate anew; gives the text by file name."""
    pytest.importorskip("grpc_tools")
    subprocess.run(
        [ROOT / "scripts/gen_protos.sh", folder], check=True, env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    )
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_generated_code_is_not_stale(tmp_path: Path) -> None:
    fresh = generate(tmp_path)
    assert set(fresh) == {"user_pb2.py", "user_pb2.pyi", "user_pb2_grpc.py"}
    for name, text in fresh.items():
        assert (COMMITTED / name).read_text() == text, f"{name} is stale: run scripts/gen_protos.sh"


def test_the_wire_is_the_go_originals() -> None:
    from chassis.pb import user_pb2

    service = user_pb2.DESCRIPTOR.services_by_name["UserService"]
    assert service.full_name == "user.UserService"
    fields = {
        method.name: (
            {field.name: field.number for field in method.input_type.fields},
            {field.name: field.number for field in method.output_type.fields},
        )
        for method in service.methods
    }
    assert fields == {
        "GetUserInfoByUserId": ({"user_id": 1}, {"id": 1, "email": 2, "name": 3, "role": 4}),
        "ValidateToken": ({"token": 1}, {"valid": 1, "user_id": 2, "email": 3, "error": 4}),
    }
