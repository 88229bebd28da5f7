"""Signals in a poll of the main thread: real ones, sent to real processes."""

import signal
import socket

from running import program

from exeunt.mongoose import Manager

FLAG = """
    import os, signal, sys, time
    from exeunt.mongoose import Manager
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
"""


def test_keyboard_interrupt_leaves_a_poll_without_limit() -> None:
    with program(
        """
        from exeunt.mongoose import Manager
        manager = Manager()
        manager.listen("tcp://127.0.0.1:0")
        manager.poll(0)
        try:
            print("ready")
            while True:
                manager.poll(-1)
        except KeyboardInterrupt:
            print("interrupted")
        finally:
            manager.close()
        """
    ) as server:
        server.wait_for("ready\n")
        server.kill(signal.SIGINT)
        assert server.end() == (0, "ready\ninterrupted\n")


def test_a_handler_that_raises_nothing_ends_the_poll() -> None:
    with program(
        FLAG
        + """
    with Manager() as manager:
        print("ready")
        while not seen:
            manager.poll(-1)
    print(seen == [signal.SIGUSR1])
        """
    ) as server:
        server.wait_for("ready\n")
        server.kill(signal.SIGUSR1)
        assert server.end() == (0, "ready\nTrue\n")


def test_a_signal_before_the_wait_is_not_slept_over() -> None:
    # Each poll would wait for ever: the signal came before it, and its handler has run by then.
    with program(
        FLAG
        + """
    with Manager() as manager:
        for number in range(1, 101):
            os.kill(os.getpid(), signal.SIGUSR1)
            manager.poll(-1)
            assert len(seen) == number, seen
    print("done")
        """
    ) as server:
        assert server.end() == (0, "done\n")


def test_signals_at_any_moment_are_seen() -> None:
    # A storm from another process: the last is as the first, whatever the main thread is at.
    with program(
        FLAG
        + """
    with Manager() as manager:
        print("ready")
        shown = 0
        while True:
            manager.poll(-1)
            if len(seen) > shown:
                shown = len(seen)
                print("seen", shown)
        """
    ) as server:
        server.wait_for("ready\n")
        for number in range(1, 301):
            server.kill(signal.SIGUSR1)
            server.wait_for(f"seen {number}\n")


def test_a_signal_that_another_thread_gets_ends_the_wait_of_the_main_thread() -> None:
    with program(
        FLAG
        + """
    import threading
    there = threading.Event()
    def other():
        there.set()
        time.sleep(600)
    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    there.wait()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    with Manager() as manager:
        print("ready")
        while not seen:
            manager.poll(-1)
    print("seen")
        """
    ) as server:
        server.wait_for("ready\n")
        server.kill(signal.SIGUSR1)
        assert server.end() == (0, "ready\nseen\n")


def test_what_a_handler_raises_leaves_poll_unless_it_is_an_exception() -> None:
    with program(
        """
        import asyncio
        from exeunt.mongoose import Manager
        raising = None
        def handler(conn, ev, data):
            if ev == 19:
                raise raising
        told = lambda error: print("told", error)
        with Manager(handler, enable_wakeup=True, error_handler=told) as m:
            listener = m.listen("tcp://127.0.0.1:0")
            for raising in (
                ValueError("v"),
                KeyboardInterrupt("k"),
                SystemExit(3),
                GeneratorExit("g"),
                asyncio.CancelledError("c"),
            ):
                m.wakeup(listener.id)
                m.wakeup(listener.id)
                for _ in range(2):
                    try:
                        m.poll(0)
                    except BaseException as error:
                        assert error is raising
                        print("left", repr(error))
            m.timer_add(0, lambda: exit(7))
            m.poll(1000)
        """
    ) as server:
        status, said = server.end()
    assert status == 7
    assert said.splitlines() == [
        "told v",
        "told v",
        "left KeyboardInterrupt('k')",
        "left KeyboardInterrupt('k')",
        "left SystemExit(3)",
        "left SystemExit(3)",
        "left GeneratorExit('g')",
        "left GeneratorExit('g')",
        "left CancelledError('c')",
        "left CancelledError('c')",
    ]


def test_an_interrupt_inside_a_handler_leaves_poll_and_the_server_lives_on() -> None:
    with program(
        """
        import http.client, threading, time
        from exeunt.mongoose import Manager
        busy = True
        def handler(conn, ev, data):
            if ev == 11:
                print("busy")
                while busy:
                    time.sleep(0.01)
                conn.reply(200, b"late")
        manager = Manager(handler)
        port = manager.listen("http://127.0.0.1:0").local_addr[1]
        answers = []
        def ask():
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            client.request("GET", "/")
            answers.append(client.getresponse().status)
            client.close()
        first = threading.Thread(target=ask)
        try:
            first.start()
            while True:
                manager.poll(-1)
        except KeyboardInterrupt:
            print("interrupted")
        busy = False
        second = threading.Thread(target=ask)
        second.start()
        while len(answers) < 1:
            manager.poll(20)
        print(answers)
        manager.close()
        first.join()
        """
    ) as server:
        server.wait_for("busy\n")
        server.kill(signal.SIGINT)
        server.wait_for("[200]")


def test_a_signal_during_close_comes_behind_it() -> None:
    with program(
        """
        import os, signal
        from exeunt.mongoose import Manager
        told = []
        def handler(conn, ev, data):
            if ev == 9:
                told.append(conn)
                if len(told) == 1:
                    os.kill(os.getpid(), signal.SIGINT)
        manager = Manager(handler)
        for _ in range(3):
            manager.listen("tcp://127.0.0.1:0")
        try:
            manager.close()
        except KeyboardInterrupt:
            print("interrupted", len(told), manager._freed, manager.connections)
        """
    ) as server:
        status, said = server.end()
    assert (status, said) == (0, "interrupted 3 True ()\n")


def test_what_nobody_can_be_told_is_not_lost() -> None:
    with program(
        """
        from exeunt.mongoose import Manager
        def handler(conn, ev, data):
            if ev == 9:
                raise SystemExit(conn.id)
        manager = Manager(handler)
        for _ in range(2):
            manager.listen("tcp://127.0.0.1:0")
        manager.close(grace=0)
        """
    ) as server:
        status, said = server.end()
    assert status == 2
    assert "Exception ignored" in said
    assert "SystemExit: 1" in said


def wakeup_fd() -> int:
    there = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(there)
    return there


def test_the_wakeup_descriptor_is_nobodys_behind_the_last_manager() -> None:
    assert wakeup_fd() == -1
    one, other = Manager(), Manager()
    assert wakeup_fd() != -1
    one.poll(1)
    one.close()
    assert wakeup_fd() != -1
    other.close()
    assert wakeup_fd() == -1
    dropped = Manager()
    assert wakeup_fd() != -1
    del dropped
    assert wakeup_fd() == -1


def test_whose_the_wakeup_descriptor_was_has_it_back_and_misses_nothing() -> None:
    theirs, write = socket.socketpair()
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        theirs.settimeout(30)
        write.setblocking(False)
        assert signal.set_wakeup_fd(write.fileno()) == -1
        with Manager() as manager:
            manager.poll(0)
            assert wakeup_fd() == write.fileno()
            for _ in range(10):
                # Most of them within the wait, where the descriptor is ours.
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                manager.poll(2000)
                assert theirs.recv(10) == bytes([signal.SIGALRM])
            assert wakeup_fd() == write.fileno()
        assert wakeup_fd() == write.fileno()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, before)
        theirs.close()
        write.close()


def test_a_descriptor_that_a_handler_sets_stays() -> None:
    theirs, write = socket.socketpair()
    other, another = socket.socketpair()
    write.setblocking(False)
    another.setblocking(False)
    try:
        signal.set_wakeup_fd(another.fileno())
        with Manager() as manager:
            manager.timer_add(0, lambda: signal.set_wakeup_fd(write.fileno()))
            manager.poll(1000)
            assert wakeup_fd() == write.fileno()
            # With a wait, too, which is where it is ours.
            manager.timer_add(1, lambda: signal.set_wakeup_fd(another.fileno()))
            manager.poll(1000)
            assert wakeup_fd() == another.fileno()
    finally:
        signal.set_wakeup_fd(-1)
        for end in (theirs, write, other, another):
            end.close()
