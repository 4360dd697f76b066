"""How each language is compiled and run inside the sandbox, with what is installed on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from tracemill.code_task import Language
from tracemill.sandbox import Job, Limits

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Toolchain:
    """How programs of a language are run."""

    source: str
    """The name that the program has in /box."""
    run: tuple[str, ...]
    """The command; what `build` has printed is /box/main."""
    build: tuple[str, ...] = ()
    """A command that prints the binary; () where nothing is built."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Programs of which each must be installed, and the Debian package that each is in."""
    processes: int = 64
    environment: Mapping[str, str] | None = None
    shows: tuple[str, ...] = ()


_JAVA = ("-Xmx256m", "-Xss8m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto")
_SH = "/usr/bin/sh"
_TOOLCHAINS: Mapping[Language, Toolchain] = {
    "python": Toolchain("main.py", ("/usr/bin/python3", "-s", "/box/main.py"), needs={"/usr/bin/python3": "python3"}),
    "javascript": Toolchain("main.js", ("/usr/bin/node", "/box/main.js"), needs={"/usr/bin/node": "nodejs"}),
    "c": Toolchain(
        "main.c",
        ("/box/main",),
        (_SH, "-c", "gcc -w -O1 -std=gnu17 -o /tmp/main /box/main.c -lm && cat /tmp/main"),
        needs={"/usr/bin/gcc": "gcc"},
    ),
    "cpp": Toolchain(
        "main.cpp",
        ("/box/main",),
        (_SH, "-c", "g++ -w -O1 -std=gnu++17 -o /tmp/main /box/main.cpp && cat /tmp/main"),
        needs={"/usr/bin/g++": "g++"},
    ),
    "java": Toolchain(
        "Main.java",
        ("{java}", *_JAVA, "-cp", "/box/main", "Main"),
        (
            _SH,
            "-c",
            "{javac} -J-Xmx256m -J-XX:+UseSerialGC -J-XX:TieredStopAtLevel=1 -nowarn -d /tmp/classes /box/Main.java 1>&2 "
            "&& cd /tmp/classes && {jar} -J-Xmx128m -J-XX:+UseSerialGC --create --file /tmp/main . && cat /tmp/main",
        ),
        needs={"/usr/bin/java": "default-jdk-headless", "/usr/bin/javac": "default-jdk-headless"},
        processes=128,
    ),
    "go": Toolchain(
        "main.go",
        ("/box/main",),
        (_SH, "-c", "go build -o /tmp/main /box/main.go 1>&2 && cat /tmp/main"),
        needs={"/usr/bin/go": "golang-go"},
        processes=128,
        environment={"GOCACHE": "/tmp/cache", "GOPATH": "/tmp/go", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"},  # noqa: S108
    ),
    "rust": Toolchain(
        "main.rs",
        ("/box/main",),
        (
            _SH,
            "-c",
            "rustc -O --edition 2021 -A warnings -C linker=gcc -o /tmp/main /box/main.rs 1>&2 && cat /tmp/main",
        ),
        needs={"/usr/bin/rustc": "rustc", "/usr/bin/gcc": "gcc"},
    ),
    "typescript": Toolchain(
        "main.ts",
        ("/usr/bin/node", "/box/main"),
        (_SH, "-c", "esbuild --loader=ts --format=cjs --target=es2022 --log-level=error < /box/main.ts"),
        needs={"/usr/bin/node": "nodejs", "/usr/bin/esbuild": "esbuild"},
    ),
}
"""By Debian's compilers, under /usr, since a sandbox sees no others. TypeScript's types are taken off, not checked."""

BUILDING = Limits(
    wall=60,
    cpu=40,
    memory=1024 * MIB,
    processes=128,
    file_size=64 * MIB,
    scratch=256 * MIB,
    output=64 * MIB,
    open_files=256,
)


def lacking(language: Language) -> str:
    """What must be installed before programs of a language can be run, with how; "" where nothing is lacking."""
    needs = _TOOLCHAINS[language].needs
    absent = [program for program in needs if not Path(program).exists()]
    if absent:
        packages = dict.fromkeys(needs[program] for program in absent)
        return f"{' and '.join(absent)} not installed; install it: apt-get install {' '.join(packages)}"
    return "" if toolchain(language) else "its compiler is not whole, or not under /usr"


@cache
def toolchain(language: Language) -> Toolchain | None:
    """How a language is run here; None: it is not, see `lacking`."""
    known = _TOOLCHAINS[language]
    if not all(map(os.path.exists, known.needs)):
        return None
    if language != "java":
        return known
    home = Path("/usr/bin/java").resolve().parents[1]
    tools = {name: str(home / "bin" / name) for name in ("java", "javac", "jar")}
    if not all(map(os.path.exists, tools.values())) or not str(home).startswith("/usr/"):
        return None
    settings = (home / "lib" / "jvm.cfg").resolve().parent
    return replace(
        known,
        run=tuple(part.format_map(tools) for part in known.run),
        build=tuple(part.format_map(tools) for part in known.build),
        shows=(str(settings),) if str(settings).startswith("/etc/java") else (),
    )


def building(language: Language, program: str) -> Job | None:
    """The job that prints a program's binary; None where nothing is built."""
    tools = toolchain(language)
    assert tools is not None
    if not tools.build:
        return None
    return Job(
        tools.build,
        {tools.source: program.encode()},
        limits=BUILDING,
        environment=tools.environment or {},
        shows=tools.shows,
    )


def running(language: Language, program: str, binary: bytes | None, stdin: str, limits: Limits) -> Job:
    """The job that runs a program on an input."""
    tools = toolchain(language)
    assert tools is not None
    files = {tools.source: program.encode()} if binary is None else {"main": binary}
    limits = replace(limits, processes=max(limits.processes, tools.processes))
    return Job(tools.run, files, stdin.encode(), limits, tools.environment or {}, shows=tools.shows)
