from exeunt import DelayedKeyboardInterrupt
import multiprocessing
import sys
import time


def _process_worker(stop_event: multiprocessing.Event):
    try:
        #
        # Because we have our own stop_event, we're going to suppress the
        # KeyboardInterrupt during the execution of the __process_worker().
        #
        # Note that if the parent process dies without setting the stop_event,
        # this process will be unresponsive to SIGINT/SIGTERM.
        # The only way to stop this process would be to ruthlessly kill it.
        #
        with DelayedKeyboardInterrupt():
            __process_worker(stop_event)

    #
    # Keep in mind that the KeyboardInterrupt will get delivered
    # after leaving from the DelayedKeyboardInterrupt() block.
    #
    except KeyboardInterrupt:
        print(f'[{multiprocessing.current_process().name}] ... Ctrl+C pressed, terminating ...')

def __process_worker(stop_event: multiprocessing.Event):
    stop_event.wait()


if __name__ == '__main__':
    multiprocessing.set_start_method(sys.argv[1])
    try:
        with DelayedKeyboardInterrupt():
            print("starting", flush=True)
            stop_event = multiprocessing.Event()
            p = multiprocessing.Process(target=_process_worker, args=(stop_event,))
            p.start()
            print("started", flush=True)
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        try:
            with DelayedKeyboardInterrupt():
                stop_event.set()
                p.join()
                print("stopped", flush=True)
        except KeyboardInterrupt:
            print(f'!!! got KeyboardInterrupt during stop')
    print("bye", flush=True)
