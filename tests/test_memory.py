"""Memory that programs free is kept for the next one."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

TAKEN = """
import ctypes, resource, sys, threading
from exit.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def take():
    for _ in range(10):
        block = ctypes.c_void_p(libc.malloc(64 << 20))
        libc.memset(block, 1, 64 << 20)
        libc.free(block)
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
