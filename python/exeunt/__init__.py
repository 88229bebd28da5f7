"""Stop without losing anything: shields, workers, asyncio and servers that drain.

Each name is imported when it is first used, so that `import exeunt` costs next to nothing.
"""

from importlib import import_module

# The type checker knows it by its name; importing it from `typing` would take longer than all the
# rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._version import __version__ as __version__

__all__ = ["__version__"]

_HOME = {
    "__version__": "._version",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
