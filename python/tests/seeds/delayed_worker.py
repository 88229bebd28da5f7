from exeunt import DelayedKeyboardInterrupt
import multiprocessing
import sys
import time


def _process_worker():
    try:
        __process_worker()
    except KeyboardInterrupt:
        print(f'[{multiprocessing.current_process().name}] ... Ctrl+C pressed, terminating ...')

def __process_worker():
    while True:
        time.sleep(1)


if __name__ == '__main__':
    multiprocessing.set_start_method(sys.argv[1])
    try:
        with DelayedKeyboardInterrupt():
            print("starting", flush=True)
            p = multiprocessing.Process(target=_process_worker)
            p.start()
            print("started", flush=True)
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        try:
            with DelayedKeyboardInterrupt():
                p.terminate()
                p.join()
                print("stopped", flush=True)
        except KeyboardInterrupt:
            print(f'!!! got KeyboardInterrupt during stop')
    print("bye", flush=True)
