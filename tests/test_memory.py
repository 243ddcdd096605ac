"""Memory that programs free is kept for the next one."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = 64 * 2**20 // 4096

TAKEN = f"""
import resource, sys
import threading
import numpy as np
from exit.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def take():
    for _ in range(10):
        np.empty({PAGES} * 4096, np.uint8).fill(1)
if sys.argv[2] == "aside":
    aside = threading.Thread(target=take)
    aside.start()
    aside.join()
else:
    take()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left as they are")
@pytest.mark.parametrize("where", ["in front", "aside"])
def test_blocks_that_are_freed_are_taken_again(where: str) -> None:
    """Pages that the system had to provide, of ten blocks one after another, in the main thread or not."""

    def provided(how: str) -> int:
        command = [sys.executable, "-c", TAKEN, how, where]
        folder = Path(__file__).parents[1]
        return int(subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True).stdout)

    assert provided("returned") > 5 * provided("kept")
