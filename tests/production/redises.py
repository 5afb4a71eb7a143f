"""Redis as it runs in production, from local binaries on loopback ports: with TLS, behind Sentinels, as a cluster.

Processes are leashed to this one. Nothing is written to disk but what a node must remember of its cluster.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
import trustme

from services.bench.stack import free_port
from services.embedded import Child
from shared.listening import is_free

PATIENCE = 30.0
PASSWORD = "a kettle and a lamp"
QUOTED = PASSWORD.replace(" ", "%20")


class Node:
    """One redis-server with `options`, as on its command line; a list gives an option several values."""

    def __init__(self, program: Path, folder: Path, options: Mapping[str, str | Sequence[str]], port: int) -> None:
        self.port = port
        self.folder = folder / str(port)
        self.folder.mkdir()
        self._program = program
        self._options = {
            **{"bind": "127.0.0.1", "dir": str(self.folder), "save": "", "appendonly": "no", "loglevel": "warning"},
            **options,
        }
        self._child: Child | None = None

    def start(self, *, mode: Sequence[str] = ()) -> None:
        """It runs and answers; started again it remembers what lies in its folder."""
        flags: list[str] = []
        for name, value in self._options.items():
            flags += [f"--{name}", *([value] if isinstance(value, str) else value)]
        with (self.folder / "log").open("ab") as log:
            self._child = Child([str(self._program), *mode, *flags], output=log, cwd=self.folder)

    def send(self, number: int) -> None:
        assert self._child is not None
        self._child.send(number)

    def kill(self) -> None:
        """Ended without a word."""
        assert self._child is not None
        self._child.end()

    @property
    def said(self) -> str:
        """Its log."""
        return (self.folder / "log").read_text(errors="replace")


def awaited(holds: Any, what: str) -> None:
    """Returns when `holds()` is true; what Redis raises meanwhile counts as not yet."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if holds():
                return
        except (redis.RedisError, OSError):
            pass
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


@contextmanager
def running(*nodes: Node, mode: Sequence[str] = ()) -> Iterator[None]:
    """All of them, for the length of the block."""
    with ExitStack() as stack:
        for node in nodes:
            node.start(mode=mode)
            stack.callback(node.kill)
        yield


ACL = (
    "~chorus:* &chorus:wake &chorus:sessions* -@all +@connection +@stream +@scripting +get +set +exists +del "
    "+publish +subscribe +unsubscribe +info +config|get"
)
"""What the Redis user of Chorus needs; docs/PRODUCTION.md says the same. `info` and `config|get` are for the doctor."""


class Secured:
    """One Redis that takes TLS alone, and knows one user who may do what Chorus does."""

    def __init__(self, program: Path, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        key, chain = folder / "key.pem", folder / "chain.pem"
        certificate.private_key_pem.write_to_path(str(key))
        certificate.cert_chain_pems[0].write_to_path(str(chain))
        users = folder / "users.acl"
        users.write_text(f"user default off\nuser chorus on >{PASSWORD.replace(' ', '')} {ACL}\n")
        self.port = free_port()
        options = {
            "port": "0",
            "tls-port": str(self.port),
            "tls-cert-file": str(chain),
            "tls-key-file": str(key),
            "tls-ca-cert-file": str(self.ca),
            "tls-auth-clients": "no",
            "aclfile": str(users),
        }
        self.node = Node(program, folder, options, self.port)
        self.url = f"rediss://chorus:{PASSWORD.replace(' ', '')}@127.0.0.1:{self.port}"


class Sentinels:
    """A primary, a replica and three Sentinels, all of them with passwords."""

    name = "chorus"

    def __init__(self, program: Path, folder: Path) -> None:
        first, second = free_port(), free_port()
        secrets = {"requirepass": PASSWORD, "masterauth": PASSWORD}
        self.primary = Node(program, folder, {**secrets, "port": str(first)}, first)
        self.replica = Node(
            program, folder, {**secrets, "port": str(second), "replicaof": f"127.0.0.1 {first}"}, second
        )
        self._sentinels = [self._sentinel(program, folder, first) for _ in range(3)]
        hosts = ",".join(f"127.0.0.1:{port}" for _, port in self._sentinels)
        self.url = f"redis+sentinel://:{QUOTED}@{hosts}/{self.name}?sentinel_password={QUOTED}"
        self._program = program
        self._children: list[Child] = []

    def _sentinel(self, program: Path, folder: Path, primary: int) -> tuple[Path, int]:
        port = free_port()
        config, secret = folder / f"sentinel-{port}.conf", f'"{PASSWORD}"'
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {secret}\n"
            f"sentinel sentinel-pass {secret}\n"
            f"sentinel monitor {self.name} 127.0.0.1 {primary} 2\n"
            f"sentinel auth-pass {self.name} {secret}\n"
            f"sentinel down-after-milliseconds {self.name} 700\nsentinel failover-timeout {self.name} 3000\n"
        )
        return config, port

    @contextmanager
    def running(self) -> Iterator["Sentinels"]:
        """All five know each other when the block begins."""
        with ExitStack() as stack:
            stack.enter_context(running(self.primary, self.replica))
            for config, _ in self._sentinels:
                with config.with_suffix(".log").open("ab") as log:
                    child = Child([str(self._program), str(config), "--sentinel"], output=log)
                stack.callback(child.end)
                self._children.append(child)
            awaited(self._know_each_other, "Sentinels that know each other and the replica")
            yield self

    def _know_each_other(self) -> bool:
        for _, port in self._sentinels:
            with redis.Redis(port=port, password=PASSWORD) as sentinel:
                about = sentinel.sentinel_masters()[self.name]
                if (about["num-other-sentinels"], about["num-slaves"]) != (2, 1):
                    return False
        with redis.Redis(port=self.replica.port, password=PASSWORD) as replica:
            return bool(replica.info("replication")["master_link_status"] == "up")

    def address(self) -> int:
        """The port of the primary that the Sentinels name."""
        with redis.Redis(port=self._sentinels[0][1], password=PASSWORD) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(self.name)[1])


class Cluster:
    """Three primaries with a third of the slots each, and a replica of the first, which has log {3}."""

    def __init__(self, program: Path, folder: Path) -> None:
        options = {"cluster-enabled": "yes", "cluster-node-timeout": "1000", "cluster-require-full-coverage": "no"}
        self.nodes = []
        for _ in range(4):
            port = _port_for_cluster()
            self.nodes.append(Node(program, folder, {**options, "port": str(port)}, port))
        self.primaries, self.replica = self.nodes[:3], self.nodes[3]
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes[:3])}"

    @contextmanager
    def running(self) -> Iterator["Cluster"]:
        """Whole when the block begins."""
        with running(*self.nodes):
            for node in self.nodes:
                awaited(lambda node=node: self._ask(node, "PING"), f"an answer of {node.port}")
            for number, node in enumerate(self.primaries):
                self._ask(node, "CLUSTER", "ADDSLOTSRANGE", *_share(number))
                self._ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for node in self.nodes[1:]:
                self._ask(node, "CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
            awaited(lambda: all(self._knows(node, 4) for node in self.nodes), "nodes that know each other")
            first = self._ask(self.nodes[0], "CLUSTER", "MYID").decode()
            self._ask(self.replica, "CLUSTER", "REPLICATE", first)
            awaited(lambda: all(self._whole(node) for node in self.nodes), "a whole cluster")
            awaited(self._replicates, "a replica that follows")
            yield self

    def promoted(self) -> bool:
        """Whether the replica has taken the first primary's place."""
        return bool(self._ask(self.replica, "ROLE")[0] == b"master")

    def _replicates(self) -> bool:
        role = self._ask(self.replica, "ROLE")
        return bool(role[0] == b"slave" and role[3] == b"connected")

    def _knows(self, node: Node, count: int) -> bool:
        lines = self._ask(node, "CLUSTER", "NODES").decode().splitlines()
        return len(lines) == count and not any("handshake" in line for line in lines)

    def _whole(self, node: Node) -> bool:
        info = self._ask(node, "CLUSTER", "INFO").decode()
        return "cluster_state:ok" in info and "cluster_slots_assigned:16384" in info

    def _ask(self, node: Node, *command: Any) -> Any:
        with redis.Redis(port=node.port, socket_timeout=2) as client:
            connection = client.connection_pool.get_connection()
            connection.send_command(*command)
            return connection.read_response()


def _share(number: int) -> tuple[int, int]:
    return (number * 5461, 16383 if number == 2 else number * 5461 + 5460)


def _port_for_cluster() -> int:
    """A free port whose bus port, 10,000 above, is free too, and none that the system gives to clients."""
    while (port := free_port()) > 22_000 or not is_free("127.0.0.1", port + 10_000):
        pass
    return port


async def settled(holds: Any, what: str) -> None:
    """`awaited` for tests that have a loop to keep going."""
    await asyncio.to_thread(awaited, holds, what)
