"""Forked children: what was made before says so, nothing deadlocks, and the parent serves on."""

from running import program

QUIET = {"PYTHONWARNINGS": "ignore"}

SERVER = """
    import http.client, multiprocessing, os, signal, socket, sys, threading, time
    from exeunt.mongoose import Manager

    def handler(conn, ev, data):
        if ev == 11:
            conn.reply(200, b"%d" % os.getpid())

    manager = Manager(handler, enable_wakeup=True)
    listener = manager.listen("http://127.0.0.1:0")
    udp = manager.listen("udp://127.0.0.1:0")
    port = listener.local_addr[1]
    timer = manager.timer_add(1, lambda: None, repeat=True)

    def ask():
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("GET", "/")
        answer = int(client.getresponse().read())
        client.close()
        return answer

    def refusal(call):
        try:
            call()
        except RuntimeError as error:
            return str(error)
        return "no error"

    CALLS = {
        "poll": lambda: manager.poll(10),
        "listen": lambda: manager.listen("tcp://127.0.0.1:0"),
        "connect": lambda: manager.connect("tcp://127.0.0.1:1"),
        "ws_connect": lambda: manager.ws_connect("ws://127.0.0.1:1"),
        "wakeup": lambda: manager.wakeup(1),
        "timer_add": lambda: manager.timer_add(1, print),
        "close": lambda: manager.close(),
        "connections": lambda: manager.connections,
        "wakeup_id": lambda: manager.wakeup_id,
        "_freed": lambda: manager._freed,
        "enter": lambda: manager.__enter__(),
        "active": lambda: timer.active,
        "cancel": lambda: timer.cancel(),
        "id": lambda: listener.id,
        "local_addr": lambda: listener.local_addr,
        "reply": lambda: listener.reply(200),
        "send": lambda: udp.send(b"x"),
        "drain": lambda: listener.drain(),
        "close a connection": lambda: listener.close(),
    }

    def all_refused(parent):
        wanted = f"made in another process (pid {parent}), before a fork: make a new Manager here"
        return [name for name, call in CALLS.items() if wanted not in refusal(call)]

    def polling():
        while True:
            manager.poll(-1)

    def child_ends(child):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "hangs"
"""


def run(text: str) -> str:
    with program(SERVER + text, env=QUIET) as server:
        status, said = server.end()
    assert status == 0, said
    return said


def test_everything_made_before_a_fork_is_refused_in_the_child() -> None:
    said = run(
        """
    threading.Thread(target=polling, daemon=True).start()
    ask()
    for _ in range(20):
        parent = os.getpid()
        child = os.fork()
        if not child:
            left = all_refused(parent)
            print(left) if left else None
            os._exit(len(left))
        assert child_ends(child) == 0
        assert ask() == os.getpid()
    os._exit(0)
        """
    )
    assert said == ""


def test_a_child_that_ends_as_programs_do_takes_nothing_from_the_parent() -> None:
    said = run(
        """
    threading.Thread(target=polling, daemon=True).start()
    kept = socket.create_connection(("127.0.0.1", port), timeout=20)
    kept.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    assert b"200 OK" in kept.recv(65536)
    for _ in range(5):
        child = os.fork()
        if not child:
            sys.exit(3)
        assert child_ends(child) == 3
        kept.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        assert b"200 OK" in kept.recv(65536)
    print("done", flush=True)
    os._exit(0)
        """
    )
    assert said == "done\n"


def test_a_child_that_lives_on_keeps_no_peer_of_the_parents_waiting() -> None:
    said = run(
        """
    threading.Thread(target=polling, daemon=True).start()
    raw = manager.listen("tcp://127.0.0.1:0")
    peer = socket.create_connection(raw.local_addr[:2], timeout=20)
    while len(manager.connections) < 4:
        time.sleep(0.01)
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        # Left behind by a parent that fails, it ends by itself.
        signal.alarm(45)
        os.write(told, b"x")
        time.sleep(600)
    os.read(ready, 1)
    for conn in manager.connections:
        conn.close()
    # The end of both, though the child still runs.
    assert peer.recv(10) == b""
    while listener.local_addr:
        time.sleep(0.01)
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20)
    except ConnectionRefusedError:
        print("refused")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    sys.stdout.flush()
    os._exit(0)
        """
    )
    assert said == "refused\n"


def test_a_child_serves_with_a_manager_of_its_own() -> None:
    said = run(
        """
    threading.Thread(target=polling, daemon=True).start()
    def serve(queue):
        with Manager(handler) as own:
            queue.put(own.listen("http://127.0.0.1:0").local_addr[1])
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            while True:
                own.poll(-1)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=serve, args=(queue,))
    process.start()
    parents, port = port, queue.get(timeout=20)
    assert ask() == process.pid
    port = parents
    assert ask() == os.getpid()
    process.terminate()
    process.join(20)
    assert process.exitcode == 0, process.exitcode
    assert ask() == os.getpid()
    print("done", flush=True)
    os._exit(0)
        """
    )
    assert said == "done\n"


def test_a_handler_that_forks_serves_on_in_the_parent_alone() -> None:
    said = run(
        """
    children = []
    parent = os.getpid()
    def forking(conn, ev, data):
        if os.getpid() != parent:
            os._exit(7)
        if ev == 11:
            child = os.fork()
            if child:
                children.append(child)
                conn.reply(200, b"%d" % os.getpid())
            else:
                try:
                    conn.reply(200, b"never")
                except RuntimeError:
                    pass
    listener.set_handler(forking)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    try:
        while not answers:
            manager.poll(20)
    except RuntimeError as error:
        # Back from its handler, the child is in a poll that is not its own.
        os._exit(5 if "in another process" in str(error) and os.getpid() != parent else 6)
    thread.join()
    assert answers == [parent], answers
    assert [child_ends(child) for child in children] == [5]
    print("done")
        """
    )
    assert said == "done\n"


def test_a_signal_in_the_child_does_not_wake_the_parent() -> None:
    said = run(
        """
    signal.signal(signal.SIGUSR1, lambda *_: None)
    manager.poll(0)
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGUSR1)
        os._exit(0 if signal.set_wakeup_fd(-1) == -1 else 1)
    assert child_ends(child) == 0
    assert signal.set_wakeup_fd(-1) != -1
    manager.close()
    print("done")
        """
    )
    assert said == "done\n"
