"""Training settings, one file each: `configs/NAME.py` with a `config()` function is found by its name.

What several share is in files that begin with `_`.
"""
