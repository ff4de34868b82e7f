"""The release `shop` in the cluster of kubectl's context: steps of helm, and ports of this machine that lead there."""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from fc.stack.layout import ROOT
from testkit.ports import free_port

CHART = ROOT / "deploy" / "helm" / "go-commerce"
RELEASE = "shop"
STEP_S = 900
# What the tests reach: name of the Service -> its port.
SERVICES = {"userfc": 28080, "productfc": 28081, "orderfc": 28082, "paymentfc": 28083, "xendit-simulator": 28090}


def helm(*words: str) -> None:
    """Run a step of helm. Raises CalledProcessError when it fails, and TimeoutExpired after 15 minutes."""
    subprocess.run(["helm", *words], check=True, timeout=STEP_S)


def upgrade(*settings: str) -> None:
    """Bring the release to the chart of this checkout, and wait until every pod is ready."""
    values = ["--values", str(CHART / "values-dev.yaml"), "--set", "defaults.http.replicas=2"]
    chosen = [word for each in settings for word in ("--set", each)]
    helm("upgrade", "--install", RELEASE, str(CHART), *values, *chosen, "--wait", "--timeout", "10m")


def rollback() -> None:
    helm("rollback", RELEASE, "--wait", "--timeout", "10m")


@contextmanager
def reached() -> Iterator[dict[str, str]]:
    """Lead a port of this machine to each Service in the block; yields the URLs by the names that `Shop` knows."""
    ports = {name: free_port() for name in SERVICES}
    with ExitStack() as exits:
        for name, port in ports.items():
            exits.enter_context(_forwarded(name, port))
        yield {name.removesuffix("-simulator"): f"http://127.0.0.1:{port}" for name, port in ports.items()}


@contextmanager
def _forwarded(name: str, port: int) -> Iterator[None]:
    ended = threading.Event()
    words = ["kubectl", "port-forward", f"service/{name}", f"{port}:{SERVICES[name]}"]
    thread = threading.Thread(target=_forward, args=(words, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _forward(words: Sequence[str], ended: threading.Event) -> None:
    """Forward a port until `ended`: kubectl goes to one pod of the Service, and ends with it."""
    while not ended.is_set():
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not ended.wait(0.2):
                pass
            process.terminate()
