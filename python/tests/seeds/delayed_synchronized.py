from exeunt import DelayedKeyboardInterrupt
import multiprocessing
import sys
import time


def _process_worker(
        process_bootstrapped_event: multiprocessing.Event,
        stop_event: multiprocessing.Event
    ):
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
            process_bootstrapped_event.set()
            __process_worker(
                process_bootstrapped_event,
                stop_event
            )

    #
    # Keep in mind that the KeyboardInterrupt will get delivered
    # after leaving from the DelayedKeyboardInterrupt() block.
    #
    except KeyboardInterrupt:
        print(f'[{multiprocessing.current_process().name}] ... Ctrl+C pressed, terminating ...')

def __process_worker(
        process_bootstrapped_event: multiprocessing.Event,
        stop_event: multiprocessing.Event
    ):
    stop_event.wait()


if __name__ == '__main__':
    multiprocessing.set_start_method(sys.argv[1])
    # Around the start as well: an interrupt of that is raised at the block's end.
    try:
        with DelayedKeyboardInterrupt():
            print("starting", flush=True)
            process_bootstrapped_event = multiprocessing.Event()
            stop_event = multiprocessing.Event()
            p = multiprocessing.Process(target=_process_worker, args=(process_bootstrapped_event, stop_event))
            p.start()

            #
            # Set some meaningful timeout - we don't want to wait here
            # infinitelly if the process creation somehow failed.
            #
            process_bootstrapped_event.wait(5)
            print("started", flush=True)

        #
        # Let the process run for some time.
        #
        time.sleep(0.3)
    except KeyboardInterrupt:
        print(f'... Ctrl+C pressed, terminating ...')
    finally:
        #
        # And then stop it and wait for graceful termination.
        #
        with DelayedKeyboardInterrupt():
            stop_event.set()
            p.join()
            print("stopped", flush=True)
    print("bye", flush=True)
