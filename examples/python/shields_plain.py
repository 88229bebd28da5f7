"""No blocks, but SIGTERM, SIGQUIT and SIGHUP unwind the program as Ctrl-C does."""

import sys
import time

from exeunt import configure_shutdown_manager

configure_shutdown_manager()
try:
    print("ready", flush=True)
    for _ in range(int(sys.argv[1])):
        time.sleep(0.02)
finally:
    print("closed", flush=True)
