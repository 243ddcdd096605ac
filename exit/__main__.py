"""`python -m exit` is `xit`."""

from exit.cli import main

if __name__ == "__main__":
    main()
