"""The stubs say what the extension module has."""

import subprocess
import sys

import pytest


def test_stubs_are_those_of_the_module():
    pytest.importorskip("mypy", reason="mypy is not installed")
    command = [sys.executable, "-m", "mypy.stubtest", "parans._parans"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
