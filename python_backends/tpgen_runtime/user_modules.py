"""The user's modules, a namespace per directory, so that equal names never meet in one process.

The modules of a directory are loaded as parts of a private package. An ``import helper`` in one of them,
at its top or later inside a function, means the ``helper`` beside it; the hook for that is the
``__import__`` of the builtins that these modules, and only these, are given; so is an ``importlib`` whose
``import_module`` does the same. Nothing is added to ``sys.path``, and ``sys.modules`` holds them under their
private names only.
"""

import builtins
import importlib
import importlib.util
import itertools
import os
import sys
import threading
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from types import ModuleType

from .errors import USER_MODULES as PREFIX

SHARED = frozenset({"tpgen_runtime"})  # one copy for everybody: its ItemError is caught by its class

_numbers = itertools.count()
_by_package = {}
_by_directory = {}
_lock = threading.Lock()


def modules_of(directory):
    """The `UserModules` of a directory; new ones if a file that was loaded has changed since."""
    place = os.path.realpath(directory)
    with _lock:
        found = _by_directory.get(place)
        if found is None or not found.is_current():
            found = _by_directory[place] = UserModules(place)
    return found


class UserModules:
    """The modules of one directory, loaded apart from all others."""

    def __init__(self, directory):
        self.directory = directory
        self.package = f"{PREFIX}{next(_numbers)}"
        self.builtins = {**vars(builtins), "__import__": self._import}
        self.stamps = {}
        self._importlib = _Importlib(self)
        self._owned = {}
        root = ModuleType(self.package, f"User modules of {directory}")
        root.__path__ = [directory]
        _by_package[self.package] = self
        sys.modules[self.package] = root
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)

    def load(self, name):
        """The module ``name`` (dotted: inside a package) of this directory.

        Raises:
            ModuleNotFoundError: there is no such module; whatever the module itself raises passes through.
        """
        with self._names_for_users():
            return importlib.import_module(f"{self.package}.{name}")

    def is_current(self):
        """True if every source file that was loaded still is what it was."""
        return all(_stamp(path) == stamp for path, stamp in self.stamps.items())

    def owns(self, top):
        """True if a plain ``import top`` in one of the modules means one of them."""
        if top not in self._owned:
            self._owned[top] = self._lies_here(top)
        return self._owned[top]

    def _lies_here(self, top):
        if top in sys.stdlib_module_names or top in SHARED:
            return False
        spec = _finder(self, self.directory).find_spec(top)
        if spec is None or spec.loader is not None:
            return spec is not None
        # A folder without __init__.py gives way to an installed package, as everywhere in Python.
        return top not in sys.modules and importlib.util.find_spec(top) is None

    def _import(self, name, globals=None, locals=None, fromlist=(), level=0):  # noqa: A002 - its signature
        top = name.partition(".")[0]
        if level or not self.owns(top):
            module = builtins.__import__(name, globals, locals, fromlist, level)
            return self._importlib if module is importlib else module
        with self._names_for_users():
            # Some name in the list makes __import__ answer the module itself instead of its package.
            wanted = fromlist or ("__name__",)
            module = builtins.__import__(f"{self.package}.{name}", globals, locals, wanted, 0)
        return module if fromlist else sys.modules[f"{self.package}.{top}"]

    def _names_for_users(self):
        return _PlainNames(f"{self.package}.")


class _Importlib(ModuleType):
    """The standard library's ``importlib``, for the modules of one directory."""

    def __init__(self, owner):
        super().__init__("importlib", importlib.__doc__)
        self._owner = owner

    def __getattr__(self, name):
        return getattr(importlib, name)

    def import_module(self, name, package=None):
        """`importlib.import_module`; a name of the directory's own means the module there."""
        if name.startswith(".") or not self._owner.owns(name.partition(".")[0]):
            return importlib.import_module(name, package)
        return self._owner.load(name)


class _PlainNames:
    """Context: a module that is not found is reported under the name that the user wrote."""

    def __init__(self, prefix):
        self._prefix = prefix

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        if isinstance(problem, ModuleNotFoundError) and (problem.name or "").startswith(self._prefix):
            name = problem.name[len(self._prefix) :]
            raise ModuleNotFoundError(f"No module named {name!r}", name=name) from None


class _Loader(SourceFileLoader):
    """Runs a module with the builtins of its namespace, and leaves no bytecode in the user's folder."""

    def __init__(self, owner, fullname, path):
        super().__init__(fullname, path)
        self._owner = owner

    def exec_module(self, module):
        self._owner.stamps[self.path] = _stamp(self.path)
        module.__dict__["__builtins__"] = self._owner.builtins
        super().exec_module(module)

    def set_data(self, path, data, **_):
        pass


class _Finder:
    """Finds the modules of private packages; asked by the import system, never for any other name."""

    @staticmethod
    def find_spec(fullname, path, _target=None):
        owner = _by_package.get(fullname.partition(".")[0])
        for entry in path if owner is not None and path is not None else ():
            spec = _finder(owner, entry).find_spec(fullname)
            if spec is not None:
                return spec
        return None

    @staticmethod
    def invalidate_caches():
        pass


_FINDER = _Finder()


def _finder(owner, directory):
    """What finds modules in one directory: a new one each time, as it caches the directory's contents."""
    sources = (lambda fullname, path: _Loader(owner, fullname, path), SOURCE_SUFFIXES)
    return FileFinder(directory, (ExtensionFileLoader, EXTENSION_SUFFIXES), sources)


def _stamp(path):
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
