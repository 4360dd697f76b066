"""What every test may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("daily", max_examples=25, deadline=None)
settings.register_profile("long", max_examples=250, deadline=None)
settings.load_profile(os.environ.get("EXAMPLES", "daily"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI, a test that skips for want of a tool fails: the tool is to be installed there."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and "tool:" in str(report.longrepr):
        report.outcome = "failed"
