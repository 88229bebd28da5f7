from exeunt import DelayedKeyboardInterrupt
import time


class Application:
    def run(self):
        try:
            #
            # Shield _start() from termination.
            #

            try:
                with DelayedKeyboardInterrupt():
                    self._start()

            #
            # If there was an attempt to terminate the application,
            # the KeyboardInterrupt is raised AFTER the _start() finishes
            # its job.
            #

            except KeyboardInterrupt:
                print(f'!!! got KeyboardInterrupt during start')
                raise

            self._wait()

        except KeyboardInterrupt:
            #
            # The _stop() is also shielded from termination.
            #
            try:
                with DelayedKeyboardInterrupt():
                    self._stop()
            except KeyboardInterrupt:
                print(f'!!! got KeyboardInterrupt during stop')

    def _start(self):
        print("starting", flush=True)
        time.sleep(0.1)
        print("started", flush=True)

    def _wait(self):
        while True:
            time.sleep(0.01)

    def _stop(self):
        time.sleep(0.1)
        print("stopped", flush=True)


if __name__ == '__main__':
    Application().run()
    print("bye", flush=True)
