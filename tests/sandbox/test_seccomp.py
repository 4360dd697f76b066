"""The filter's bytes, worked through by an interpreter of our own: what is refused, and what is not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.sandbox import seccomp
from tracemill.sandbox.syscalls import LOOKED_AT, MACHINES, REFUSED

ALLOWED, KILLED, NOT_PERMITTED, NO_SUCH_CALL = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the kernel would do with a call."""
    _column, own = MACHINES[machine]
    data = struct.pack("=IIQ6Q", number, own if arch is None else arch, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    held = at = 0
    while True:
        code, true, false, value = steps[at]
        at += 1
        if code == 0x20:
            (held,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return value
        else:
            holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            at += true if holds else false


@pytest.mark.parametrize("machine", MACHINES)
def test_each_call_of_the_table_is_refused(machine):
    column = MACHINES[machine][0]
    numbers = {name: both[column] for name, both in REFUSED.items() if both[column] is not None}
    assert len(numbers) == len(set(numbers.values())) >= 70
    assert {verdict(machine, number) for number in numbers.values()} == {NOT_PERMITTED}


@given(machine=st.sampled_from(sorted(MACHINES)), number=st.integers(0, 600), first=st.integers(0, 2**32 - 1))
def test_every_other_call_is_allowed(machine, number, first):
    column = MACHINES[machine][0]
    named = {both[column] for both in (*REFUSED.values(), *LOOKED_AT.values())}
    if number not in named:
        assert verdict(machine, number, first) == ALLOWED


@pytest.mark.parametrize("machine", MACHINES)
def test_another_convention_kills(machine):
    assert verdict(machine, 0, arch=0x40000003) == KILLED
    assert verdict(machine, 0, arch=MACHINES["aarch64" if machine == "x86_64" else "x86_64"][1]) == KILLED
    if machine == "x86_64":
        assert verdict(machine, 0x40000000 | 39) == KILLED


@pytest.mark.parametrize("machine", MACHINES)
@given(flag=st.sampled_from([0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80]))
def test_a_process_may_be_begun_but_no_namespace(machine, flag):
    clone = LOOKED_AT["clone"][MACHINES[machine][0]]
    assert verdict(machine, clone, 0x01200011) == ALLOWED
    assert verdict(machine, clone, 0x3D0F00) == ALLOWED, "a thread"
    assert verdict(machine, clone, 0x11 | flag) == NOT_PERMITTED
    assert verdict(machine, LOOKED_AT["clone3"][MACHINES[machine][0]]) == NO_SUCH_CALL


@pytest.mark.parametrize("machine", MACHINES)
@given(family=st.integers(0, 50), high=st.integers(0, 2**32 - 1))
def test_only_sockets_within_the_sandbox_are_made(machine, family, high):
    for name in ("socket", "socketpair"):
        number = LOOKED_AT[name][MACHINES[machine][0]]
        wanted = ALLOWED if family == 1 else NOT_PERMITTED
        assert verdict(machine, number, family | high << 32) == wanted, "the kernel reads the lower half alone"


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_typed_into_a_terminal(machine):
    ioctl = LOOKED_AT["ioctl"][MACHINES[machine][0]]
    for request, wanted in ((0x5412, NOT_PERMITTED), (0x541C, NOT_PERMITTED), (0x5413, ALLOWED), (0x5401, ALLOWED)):
        assert verdict(machine, ioctl, 0, request) == wanted
        assert verdict(machine, ioctl, 0, request | 1 << 32) == wanted


def test_the_table_says_what_the_headers_of_this_machine_say():
    import platform
    import re
    from pathlib import Path

    header = next(Path("/usr/include").glob("*/asm/unistd_64.h"), None)
    if header is None or platform.machine() != "x86_64":
        pytest.skip("the kernel's headers for x86_64 are not installed")
    there = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text()))
    for name, (number, _) in {**REFUSED, **LOOKED_AT}.items():
        assert name not in there or int(there[name]) == number, name
