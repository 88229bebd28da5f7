from exeunt.graceful_shutdown import ShutdownProtection

import time

def do(name):
    print("begin", name, flush=True)
    time.sleep(0.05)
    print("end", name, flush=True)

print("ready", flush=True)
with ShutdownProtection(4) as protected_block:
  
  # BLOCK 1
  try:
      do("1")
  except (SystemExit, KeyboardInterrupt) as ex:
      print("rollback 1", flush=True)
      raise

  protected_block.allow_break()

  # BLOCK 2
  try:
      do("2")
  except (SystemExit, KeyboardInterrupt) as ex:
      print("rollback 2", flush=True)
      raise
