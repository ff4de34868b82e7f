"""Health check of an image without curl: `python -m healthy [PORT PATH]` exits with 0 when the answer is 200.

By default it asks this container's service whether it is ready, on HTTP_PORT or else the port in config.yaml.
"""

import http.client
import os
import sys
from pathlib import Path

# /ready gives each of its checks two seconds, all at the same time.
TIMEOUT_S = 4


def service_port() -> int:
    """Give the port on which the service of this image listens."""
    if given := os.environ.get("HTTP_PORT"):
        return int(given)
    import yaml

    file = Path(os.environ.get("CONFIG_FILE") or "files/config/config.yaml")
    return int(yaml.safe_load(file.read_text(encoding="utf-8"))["app"]["port"])


def main() -> None:
    """Ask once. Exits with 1 and what was answered unless the status is 200."""
    port, path = (int(sys.argv[1]), sys.argv[2]) if len(sys.argv) == 3 else (service_port(), "/ready")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    if answer.status != http.client.OK:
        sys.exit(f"{answer.status} {body}")


if __name__ == "__main__":
    main()
