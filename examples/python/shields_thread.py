"""A thread that is not interrupted within a step; the main thread leaves after it."""

import sys
import threading
import time

from exeunt import ShutdownProtection, configure_shutdown_manager


def work() -> None:
    with ShutdownProtection() as block:
        for number in range(int(sys.argv[1])):
            block.allow_break()
            print("begin", number, flush=True)
            time.sleep(0.02)
            print("end", number, flush=True)


configure_shutdown_manager()
thread = threading.Thread(target=work, daemon=True)
print("ready", flush=True)
thread.start()
thread.join()
