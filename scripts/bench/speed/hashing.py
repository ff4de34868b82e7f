"""The floor of log-in: as many password checks as two threads do. Argument: seconds."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from pwdlib.hashers.argon2 import Argon2Hasher

from userfc.service.passwords import LANES, MEMORY_KIB, PASSES

THREADS = 2


def main() -> None:
    """Print the checks a second."""
    seconds = float(sys.argv[1])
    hasher = Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
    password = "correct horse 7 battery"
    stored = hasher.hash(password)
    began = time.perf_counter()

    def check() -> int:
        checks = 0
        while time.perf_counter() - began < seconds:
            hasher.verify(password, stored)
            checks += 1
        return checks

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(check) for _ in range(THREADS)]
        checks = sum(one.result() for one in running)
    sys.stdout.write(f"{checks / (time.perf_counter() - began)}\n")


if __name__ == "__main__":
    main()
