"""The command that serves the page, as a process."""

import subprocess
import sys

import pytest

COMPILING_FOR_EVER = """
import itertools, sys, time
import jax, jax.numpy as jnp
import exit.cli.serve, exit.web
from exit.cli import main

def get_ready(desks):
    for size in itertools.count(2):
        jax.jit(lambda x: jnp.linalg.qr(jnp.sin(x) @ x)[0])(jnp.ones((size, size)))

exit.cli.serve._get_ready = get_ready
exit.web.warm_up = lambda desk: None
exit.web.Server.run = lambda server: time.sleep(0.5)
sys.argv = ["xit", "serve", "connect_four", "--port", "0"]
main()
"""


@pytest.mark.slow
def test_the_page_may_be_stopped_while_something_is_compiled() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPILING_FOR_EVER], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines()[-1] == "stopped"
    assert done.returncode == 0, done.stderr
