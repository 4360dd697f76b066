"""The Python that README shows passes a user's strict type check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_examples_of_the_readme_pass_mypy_strict(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "readme.py").write_text("\n".join(blocks))
    words = ["--strict", "--disable-error-code", "import-untyped", "--cache-dir", str(tmp_path / "cache"), "readme.py"]
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=tmp_path, capture_output=True, text=True)
    assert len(blocks) >= 3
    assert done.returncode == 0, done.stdout
