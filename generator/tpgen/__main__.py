"""Lets `python -m tpgen` stand for the `tpgen` command."""

from tpgen.cli import main

if __name__ == "__main__":
    main()
