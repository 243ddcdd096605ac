"""Games, one file each; a file `games/STEM.py` with a `make(*sizes)` function is found by its name."""
