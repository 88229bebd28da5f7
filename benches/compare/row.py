"""One row of the comparison: row.py NAME WITHOUT_FLIGHT.json WITH_FLIGHT.json

A star marks figures from rounds of which some were void: the server was too slow to be under load when stopped.
"""

import json
import sys


def cell(path):
    try:
        with open(path) as file:
            verdict = json.load(file)
    except ValueError:
        return "no verdict"
    lost = []
    for scenario in verdict["scenarios"]:
        stops = scenario["rounds"] + len(scenario["void_rounds"])
        mark = "*" if scenario["void_rounds"] else ""
        lost.append(f"{scenario['lost'] / stops:.1f}{mark}" if stops else "-")
    return " / ".join(lost)


print(f"{sys.argv[1]:20} {cell(sys.argv[2]):>16} {cell(sys.argv[3]):>18}", flush=True)
