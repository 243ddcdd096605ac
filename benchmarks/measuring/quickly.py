"""For `--quick`: programs that are made soon and run slowly, since most of a short run is making them."""

import os


def compile_quickly() -> None:
    """Let XLA optimise nothing, here and in processes started from here; before JAX computes anything.

    The flags are of the locked XLA, as in the Makefile.
    """
    loops = "while-loop-invariant-code-motion,simplify-while-loops,while-loop-trip-count-annotator"
    flags = (
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
        f"--xla_cpu_use_fusion_emitters=false --xla_disable_hlo_passes={loops}"
    )
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
