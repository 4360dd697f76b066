"""Where generated code is run: a sandbox that has withstood its own probes, or nowhere.

sandbox = find_sandbox().sandbox
outcome = sandbox.run(Job(("/usr/bin/python3", "/box/main.py"), {"main.py": b"print(1)"}))
"""

from tracemill.sandbox.job import Finding, Job, Limits, Outcome, Sandbox, SandboxBroken
from tracemill.sandbox.standing import Standing, find_sandbox

__all__ = ["Finding", "Job", "Limits", "Outcome", "Sandbox", "SandboxBroken", "Standing", "find_sandbox"]
