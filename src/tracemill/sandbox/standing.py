"""Whether there is a sandbox here that code may be run in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from threading import Lock

from tracemill.sandbox.job import Finding, Sandbox, SandboxBroken


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found out about this machine."""

    sandbox: Sandbox | None
    """None: there is none, and no generated code may be run."""
    driver: str
    findings: tuple[Finding, ...] = ()
    missing: str = ""
    """Why there is none, with what to do; "" where there is one."""

    @property
    def held(self) -> int:
        return sum(finding.held for finding in self.findings)


_looking = Lock()


def find_sandbox() -> Standing:
    """The sandbox of this machine, once it has withstood every probe; looked for once in the life of a process."""
    with _looking:
        return _found()


@cache
def _found() -> Standing:
    if sys.platform != "linux":
        return Standing(None, "none", (), f"generated code is run on Linux only, and this is {sys.platform}")
    from tracemill.sandbox.linux import Bubblewrap

    if why := Bubblewrap.missing():
        return Standing(None, Bubblewrap.name, (), why)
    return examined(Bubblewrap())


def examined(sandbox: Sandbox) -> Standing:
    """A sandbox after its probes: usable only if all of them were withstood."""
    try:
        findings = sandbox.probe()
    except SandboxBroken as exc:
        why = f"{sandbox.name} cannot set up a sandbox on this machine ({exc}); it needs user namespaces"
        return Standing(None, sandbox.name, (), why)
    broken = [f"{finding.name} ({finding.detail})" for finding in findings if not finding.held]
    if broken or not findings:
        why = f"{sandbox.name} did not withstand {len(broken)} of {len(findings)} probes: {', '.join(broken[:5])}"
        return Standing(None, sandbox.name, findings, why)
    return Standing(sandbox, sandbox.name, findings)
