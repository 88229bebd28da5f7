from exeunt.graceful_shutdown import configure_shutdown_manager

configure_shutdown_manager()
import time
try:
    print("ready", flush=True)
    time.sleep(0.2)
finally:
    print("closed", flush=True)
