"""The seccomp filter of the sandbox, as the bytes of a BPF program; no library is needed.

A refused call gives EPERM, so that programs which try something and go on without it still work; `clone3` gives ENOSYS,
after which libraries use `clone`, whose flags can be looked at. A call by another convention (32 bits, x32) kills.
"""

from __future__ import annotations

import errno
import platform
import struct

from tracemill.sandbox.syscalls import LOOKED_AT, MACHINES, REFUSED

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF codes: LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, JMP|JSET|K, RET|K."""
_NUMBER, _ARCH = 0, 4
_ARGUMENT = (16, 24)
"""Offsets in struct seccomp_data, of arguments their lower halves."""
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
_NAMESPACES = 0x7E020080
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and NEWTIME."""
_AF_UNIX = 1
_TERMINAL = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which put text into a terminal as if it had been typed."""


def machine_known() -> bool:
    """Whether this processor's calls are in the table."""
    return platform.machine() in MACHINES


def program(machine: str | None = None) -> bytes:
    """The filter as an array of `struct sock_filter`, for `bwrap --seccomp`.

    Args:
        machine: As `platform.machine()` says it; None: this one.

    Raises:
        KeyError: the machine is not in the table.
    """
    column, arch = MACHINES[machine or platform.machine()]
    refuse = (_RETURN, _ERRNO | errno.EPERM)
    steps: list[tuple[int, int] | tuple[int, int, int, int]] = [
        (_LOAD, _ARCH),
        (_EQUAL, arch, 1, 0),
        (_RETURN, _KILL),
        (_LOAD, _NUMBER),
    ]
    if column == 0:
        steps += [(_AT_LEAST, _X32, 0, 1), (_RETURN, _KILL)]
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            steps += [(_EQUAL, number, 0, 1), refuse]
    looked = {name: numbers[column] for name, numbers in LOOKED_AT.items()}
    steps += [(_EQUAL, looked["clone3"], 0, 1), (_RETURN, _ERRNO | errno.ENOSYS)]
    steps += [(_EQUAL, looked["clone"], 0, 4), (_LOAD, _ARGUMENT[0]), (_ANY_BIT, _NAMESPACES, 0, 1), refuse]
    steps += [(_LOAD, _NUMBER)]
    for name in ("socket", "socketpair"):
        steps += [(_EQUAL, looked[name], 0, 4), (_LOAD, _ARGUMENT[0]), (_EQUAL, _AF_UNIX, 1, 0), refuse]
        steps += [(_LOAD, _NUMBER)]
    steps += [(_EQUAL, looked["ioctl"], 0, 4), (_LOAD, _ARGUMENT[1])]
    steps += [(_EQUAL, _TERMINAL[0], 1, 0), (_EQUAL, _TERMINAL[1], 0, 1), refuse]
    steps += [(_RETURN, _ALLOW)]
    return b"".join(struct.pack("=HBBI", s[0], *(s[2:] if len(s) == 4 else (0, 0)), s[1]) for s in steps)
