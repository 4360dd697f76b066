"""What is run, within which limits, and what came of it; and what every sandbox can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Limited = Literal["wall", "cpu", "memory", "output", "file_size"]

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use. A limit that is reached ends it, and `Outcome.limit` says which."""

    wall: float = 10.0
    """Seconds by the clock, from start to end."""
    cpu: int = 5
    """Seconds of processor time of one process."""
    memory: int = 512 * MIB
    """Bytes that each process may map to write to, and that all of them may hold together."""
    processes: int = 64
    """Processes and threads, the sandbox's own two included."""
    open_files: int = 64
    file_size: int = 16 * MIB
    """Bytes of one file."""
    scratch: int = 16 * MIB
    """Bytes of all files in /tmp, the only place that can be written to."""
    output: int = MIB
    """Bytes of stdout and stderr together."""


@dataclass(frozen=True, slots=True)
class Job:
    """One program."""

    argv: tuple[str, ...]
    """The command; its program is named by its path inside, e.g. "/usr/bin/python3" or "/box/main"."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What lies in /box, by name, to be read and run but not changed."""
    stdin: bytes = b""
    limits: Limits = Limits()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Beside PATH; nothing of our own environment is passed on."""
    links: tuple[int, ...] = ()
    """Our descriptors that it inherits, under the same numbers: pipes to another sandbox, and nothing else. They are closed
    on our side as soon as it has them."""
    until: int | None = None
    """A descriptor of ours: once it can be read, or its other end is closed, the job is ended."""
    shows: tuple[str, ...] = ()
    """Directories of the host that it may read beside /usr, such as /etc/java-17-openjdk."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job."""

    exit: int | None
    """None: it was ended by a signal, its own or ours."""
    signal: int | None
    stdout: bytes
    stderr: bytes
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of processor time that it was seen to use; the last look is up to 25 ms before its end."""
    memory: int
    """Bytes that its largest process was seen to hold."""
    limit: Limited | None = None
    """The limit that ended it."""

    @property
    def ok(self) -> bool:
        """It ended by itself, with exit code 0."""
        return self.exit == 0 and self.limit is None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found."""

    name: str
    held: bool
    """Whether the sandbox withstood it."""
    detail: str = ""
    """What was seen, where it did not."""


class Sandbox(Protocol):
    """A place where generated code can do no harm."""

    name: str
    """The driver, e.g. "bubblewrap"."""

    def run(self, job: Job) -> Outcome:
        """Run a job to its end or to its limits. Blocks; threads may call it at once.

        Raises:
            SandboxBroken: the sandbox itself could not be set up, so that nothing was run.
        """
        ...

    def probe(self) -> tuple[Finding, ...]:
        """Try to break out, in every way that we know."""
        ...


class SandboxBroken(Exception):
    """A sandbox could not be set up; the program was not run."""
