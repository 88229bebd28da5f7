"""P55: what a close begins is part of it, and not of what was cut."""

from pathlib import Path

from programs import Program

PROGRAM = """
import asyncio
import exeunt


async def main(app):
    loop = asyncio.get_running_loop()
    driver = app._components.look.__self__
    # As if the loop told of the component before it tells of the phase.
    loop.remove_reader(driver._watch.fileno())

    async def close(_):
        loop.add_reader(driver._watch.fileno(), driver._look)
        await asyncio.wait_for(asyncio.ensure_future(asyncio.sleep(0.01)), 30)

    await app.component("database", lambda: 1, close)


exeunt.run(main)
print("report", exeunt.last_report().exit_status)
"""


def test_a_close_may_begin_tasks_whatever_the_loop_tells_first(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    with Program(path) as program:
        assert program.end() == 0, program.output
        assert "report 0\n" in program.output
