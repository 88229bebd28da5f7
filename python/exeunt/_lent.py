"""Has the main thread run something of ours, whatever it waits in.

Python installs handlers of signals in the main thread alone, and runs nothing else there while that
sleeps: of what is pending (`Py_AddPendingCall`) only a wait for a lock takes notice. What it does
run, in every wait, is its own handler of SIGINT, `signal.default_int_handler`. So another thread
lends that function a body of ours for a moment, by the pointer to its `PyMethodDef` (behind the
object's head in `PyCFunctionObject`, in CPython 3.10 to 3.13; a newer one is not taken to have it
there), and SIGINT is sent to the main thread, where that counts for nothing else. It is given back
when our body is done, and in a forked child.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["call_pending", "is_inside", "lend"]

_METH_FASTCALL = 0x80


# Name, function, flags and text, each with the room of a pointer.
_MethodDef = ctypes.c_void_p * 4

_FastCall = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t)


def _keep(what: object) -> None:
    """Has C code find that for ever: a list of ours would go when the interpreter ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(what))


def lend(act: Callable[[], None]) -> bool:
    """Has Python's own handler of SIGINT call `act`, once; false where that cannot be.

    `act` puts another handler there. Whoever calls this sends SIGINT to the main thread then.
    """
    handler = signal.default_int_handler
    if not _is_known() or signal.getsignal(signal.SIGINT) is not handler:
        return False
    slot = ctypes.c_void_p.from_address(id(handler) + object.__basicsize__)
    own = slot.value
    if own is None or _MethodDef.from_address(own)[1] != _function_of(handler):
        return False

    runs = False

    def run(_self: int, _arguments: int, _count: int) -> None:
        nonlocal runs
        if not runs:
            runs = True
            try:
                act()
            except BaseException as error:
                # The interpreter would crash over one that left this.
                sys.excepthook(type(error), error, error.__traceback__)
            finally:
                slot.value = own

    body = _FastCall(run)
    lent = _MethodDef.from_buffer_copy(_MethodDef.from_address(own))
    lent[1] = ctypes.cast(body, ctypes.c_void_p).value
    _keep(body)
    _keep(lent)

    def give_back() -> None:
        nonlocal runs
        runs, slot.value = True, own

    # A child forked in between has no use for ours (L17), and nobody who would send it SIGINT.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=give_back)
    slot.value = ctypes.addressof(lent)
    return True


def call_pending(act: Callable[[], None]) -> None:
    """Has the main thread call `act` between two lines, or in a wait for a lock."""

    def run(_: object) -> int:
        act()
        return 0

    pending = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(run)
    _keep(pending)
    ctypes.pythonapi.Py_AddPendingCall(pending, None)


def is_inside(frame: FrameType | None) -> bool:
    """Whether that runs on behalf of `act`: what is raised there goes nowhere."""
    for _ in range(12):
        if frame is None:
            return False
        if frame.f_code.co_name == "run" and frame.f_code.co_filename == __file__:
            return True
        frame = frame.f_back
    return False


def _is_known() -> bool:
    return (
        sys.implementation.name == "cpython"
        and sys.platform == "linux"
        and (3, 10) <= sys.version_info < (3, 14)
        and threading.current_thread() is not threading.main_thread()
    )


def _function_of(handler: object) -> int | None:
    api = ctypes.pythonapi
    api.PyCFunction_GetFlags.argtypes = [ctypes.py_object]
    api.PyCFunction_GetFunction.argtypes = [ctypes.py_object]
    api.PyCFunction_GetFunction.restype = ctypes.c_void_p
    if api.PyCFunction_GetFlags(handler) != _METH_FASTCALL:
        return None
    function: int | None = api.PyCFunction_GetFunction(handler)
    return function
