"""The scripts in ``model_repos`` are imported from beside their models, as their users do."""

import sys
from pathlib import Path

for example in ("resnet50", "digits"):
    sys.path.insert(0, str(Path(__file__).parents[2] / "model_repos" / example))
