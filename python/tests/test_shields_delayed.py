"""Both kinds of blocks, one in the other: what one holds off the other does not raise."""

import signal

import pytest
from shielded import shielded

INT, TERM = signal.SIGINT, signal.SIGTERM

BLOCKS = {
    "delayed": "exeunt.DelayedKeyboardInterrupt()",
    "protected": "exeunt.ShutdownProtection()",
}


@pytest.mark.parametrize("sent", [INT, TERM])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("outer", "inner"), [tuple(BLOCKS), tuple(BLOCKS)[::-1]])
def test_p50_a_signal_waits_for_the_last_of_both_kinds(
    outer: str, inner: str, before: bool, sent: signal.Signals
) -> None:
    text = f"""
    import exeunt
    exeunt.configure_shutdown_manager() if {before} else None
    raised = []
    try:
        with {BLOCKS[outer]}:
            with {BLOCKS[inner]}:
                print("inside")
                input()
                print("still inside")
            print("between")
        print("never")
    except BaseException as error:
        print(repr(error))
    """
    left = "KeyboardInterrupt()" if sent == INT else "SystemExit(1)"
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(sent)
        running.wait_until_taken(sent)
        running.say("\n")
        status, out = running.end()
    assert (status, out) == (0, f"inside\nstill inside\nbetween\n{left}\n")
