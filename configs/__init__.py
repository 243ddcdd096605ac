"""Training settings, one file each: `configs/NAME.py` with a `config()` function is found by its name."""
