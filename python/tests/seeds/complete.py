#!/usr/bin/env python3
"""Production-ready pymongoose HTTP server with proper cleanup."""

import signal
import sys
import logging
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

# Configure logging
logging.basicConfig(
    level=logging.INFO,
    format='%(asctime)s [%(levelname)s] %(message)s'
)
logger = logging.getLogger(__name__)

shutdown_requested = False

def signal_handler(signum, frame):
    """Handle shutdown signals."""
    global shutdown_requested
    shutdown_requested = True
    signame = signal.Signals(signum).name
    logger.info(f"Received {signame}, initiating graceful shutdown")

def handler(conn, ev, data):
    """HTTP request handler."""
    if ev == MG_EV_HTTP_MSG:
        logger.debug(f"{data.method} {data.uri}")
        conn.reply(
            200,
            b'{"status":"ok","message":"Hello from pymongoose"}',
            headers={"Content-Type": "application/json"}
        )

def main():
    global shutdown_requested

    # Parse command line
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000

    # Register signal handlers
    signal.signal(signal.SIGINT, signal_handler)
    signal.signal(signal.SIGTERM, signal_handler)

    # Create and start server
    manager = Manager(handler)

    try:
        manager.listen(f'http://0.0.0.0:{port}', http=True)
        logger.info(f"Server listening on http://0.0.0.0:{port}")
        logger.info("Press Ctrl+C to stop")

        # Main event loop
        while not shutdown_requested:
            manager.poll(100)

        logger.info("Event loop exited")

    except Exception as e:
        logger.error(f"Server error: {e}", exc_info=True)
        return 1

    finally:
        # Cleanup
        logger.info("Closing manager and cleaning up resources...")
        try:
            manager.close()
            logger.info("Cleanup complete")
        except Exception as e:
            logger.error(f"Error during cleanup: {e}", exc_info=True)
            return 1

    logger.info("Server stopped cleanly")
    return 0

if __name__ == "__main__":
    sys.exit(main())
