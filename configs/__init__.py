"""Training settings, one file each; a file `configs/NAME.py` with a `config()` function is found by its name."""
