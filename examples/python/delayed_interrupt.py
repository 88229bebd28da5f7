"""Initialization and finalization that Ctrl-C does not interrupt, by hand.

A program that was written so keeps its code; `services.py` is the shorter way.
"""

import time

from exeunt import DelayedKeyboardInterrupt


class Application:
    def run(self) -> None:
        try:
            with DelayedKeyboardInterrupt():
                print("starting", flush=True)
                self._start()
            self._wait()
        except KeyboardInterrupt:
            try:
                with DelayedKeyboardInterrupt():
                    self._stop()
            except KeyboardInterrupt:
                print("interrupted while stopping", flush=True)

    def _start(self) -> None:
        time.sleep(0.1)
        print("started", flush=True)

    def _wait(self) -> None:
        while True:
            time.sleep(0.01)

    def _stop(self) -> None:
        time.sleep(0.1)
        print("stopped", flush=True)


if __name__ == "__main__":
    Application().run()
