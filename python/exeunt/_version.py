"""The version, as the native module has it."""

from ._native import __version__ as __version__
