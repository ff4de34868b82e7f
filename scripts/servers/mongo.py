"""A MongoDB-protocol server on a file: mongo-java-server with its H2 backend, jars by Maven."""

import asyncio
import struct
import subprocess

import bson

from servers.base import HOST, JAVA_ENVIRONMENT, Missing, Server, cache, locked, maven

VERSION = "1.47.0"
ARTIFACTS = [f"de.bwaldvogel:mongo-java-server-h2-backend:{VERSION}"]

_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013

# The backend reports an old wire version that PyMongo refuses, and commits its file once a second by default.
_MAIN = """
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.util.List;
import org.h2.mvstore.MVStore;

public class Main {
    public static void main(String[] args) {
        MVStore store = new MVStore.Builder().fileName(args[0]).open();
        store.setAutoCommitDelay(20);
        H2Backend backend = new H2Backend(store);
        backend.version(new MongoVersion() {
            public List<Integer> getVersionArray() { return List.of(5, 0, 0, 0); }
            public int getWireVersion() { return 13; }
        });
        MongoServer server = new MongoServer(backend);
        server.bind("127.0.0.1", Integer.parseInt(args[1]));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    }
}
"""


class Mongo(Server):
    """The server of the audit log without Docker. It has no authentication and no transactions; no code needs them."""

    name = "mongo"
    environment = JAVA_ENVIRONMENT

    def origin(self) -> str:
        return f"mongo-java-server {VERSION} (stands in for MongoDB)"

    def prepare(self) -> None:
        """Download the jars, compile the main class once, make the data folder."""
        jars = maven(f"mongo-java-server-{VERSION}", ARTIFACTS)
        self.home.mkdir(parents=True, exist_ok=True)
        source = jars / "Main.java"
        if (jars / "Main.class").exists() and source.read_text(encoding="utf-8") == _MAIN:
            return
        with locked(cache() / f"mongo-java-server-{VERSION}"):
            # One that stays from an older version would pass for the one of this source.
            (jars / "Main.class").unlink(missing_ok=True)
            source.write_text(_MAIN, encoding="utf-8")
            command = ["javac", "-cp", f"{jars}/libs/*", "-d", str(jars), str(source)]
            result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if result.returncode:
            raise Missing(f"javac failed:\n{result.stderr[-2000:]}")

    def command(self) -> list[str]:
        """Return the command, with a small heap."""
        jars = maven(f"mongo-java-server-{VERSION}", ARTIFACTS)
        # A read of the whole collection is assembled in memory: 96 MiB were too few for 50,000 entries.
        heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return ["java", *heap, "-cp", f"{jars}:{jars}/libs/*", "Main", str(self.home / "audit.mv"), str(self.port)]

    async def ready(self) -> bool:
        """Send a ping in the wire protocol itself: the driver's monitors outlive a failed attempt."""
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(HOST, self.port)
                try:
                    writer.write(_ping())
                    answer = await reader.readexactly(_HEADER.size)
                finally:
                    writer.close()
                    await writer.wait_closed()
        except (OSError, EOFError, TimeoutError):
            return False
        return bool(_HEADER.unpack(answer)[3] == _OP_MSG)


def _ping() -> bytes:
    """Return an OP_MSG message with one section of kind 0, the command document."""
    body = struct.pack("<IB", 0, 0) + bson.encode({"ping": 1, "$db": "admin"})
    return _HEADER.pack(_HEADER.size + len(body), 1, 0, _OP_MSG) + body
