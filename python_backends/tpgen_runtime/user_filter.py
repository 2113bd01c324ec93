"""The user's functions that say, item by item, whether a node or an operator runs."""

import functools
import inspect

from .filters import BREAK, ERROR, RUN, SERIAL_SKIP, SKIP, SUBGRAPH_SKIP, SWAP_STATUS
from .user import called
from .user_modules import modules_of

STATUSES = (RUN, SKIP, SERIAL_SKIP, SUBGRAPH_SKIP, BREAK, ERROR, SWAP_STATUS)


class UserFilter:
    """The verdict of ``module:name`` in ``directory``, from an item's values of the keys ``reads``.

    ``parameters`` are the values of the node's TOML keys. A class is in TorchPipe's style: its ``forward``
    gets a dictionary, with those of the ``optional`` keys that the item has. Loading raises whatever the
    user's module raises at its top, or the class when it is made.
    """

    def __init__(self, *, directory, module, name, parameters, reads, optional):
        found = getattr(modules_of(directory).load(module), name)
        self._where = f"{module.replace('.', '/')}.py, {name}()"
        self._keys = (*reads, *optional)
        self._takes_dictionary = inspect.isclass(found)
        self._code = found().forward if self._takes_dictionary else functools.partial(found, **parameters)

    def __call__(self, item):
        """The status; see `tpgen_runtime.filters`.

        Raises:
            TypeError: the user's code returned something else. What it raises itself passes through.
        """
        if self._takes_dictionary:
            keys = [key for key in self._keys if key in item]
            status = called(self._forward(keys), [item[key] for key in keys])
        else:
            status = called(self._code, [item[key] for key in self._keys])
        if not isinstance(status, str) or status not in STATUSES:
            known = ", ".join(STATUSES)
            raise TypeError(f"{self._where} returned {_shown(status)}; a filter returns one of {known}")
        return status

    def _forward(self, keys):
        return lambda *values: self._code(dict(zip(keys, values, strict=True)))


def _shown(status):
    is_short = status is None or isinstance(status, (str, int, float))
    return repr(status)[:80] if is_short else type(status).__name__
