"""The operators. The list of families is explicit, so that it can be searched."""

from . import boxes as boxes
from . import geometry as geometry
from . import geometry_compat as geometry_compat
from . import geometry_crop as geometry_crop
from . import geometry_tensor as geometry_tensor
from . import image as image
from . import inference as inference
from . import keys as keys
from . import postprocess as postprocess
from . import subgraph as subgraph
from . import tensor as tensor
from . import text as text
from . import torchscript as torchscript
from . import user as user
