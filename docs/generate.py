"""Writes docs/operators.md and docs/errors.md from the declarations in the compiler.

`python docs/generate.py` writes them, `--check` only says which are stale (exit 1). The declarations are the
one place to change.
"""

import argparse
import sys
from pathlib import Path

from tpgen.driver.reference_docs import errors_page, operators_page

DOCS = Path(__file__).resolve().parent


def main() -> int:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    check = parser.parse_args().check
    stale = []
    for name, text in (("operators.md", operators_page()), ("errors.md", errors_page())):
        path = DOCS / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
