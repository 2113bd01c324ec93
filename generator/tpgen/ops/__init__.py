"""The operators. The list of families is explicit, so that it can be searched."""

from . import image as image
from . import inference as inference
