"""How long `g6 --version`, `g6 --help` and `g6 chain --help` take, beside a bare interpreter; whole processes, medians.

`python bench/startup.py [runs]`
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "g6 --version": [sys.executable, "-m", "g6core", "--version"],
    "g6 --help": [sys.executable, "-m", "g6core", "--help"],
    "g6 chain --help": [sys.executable, "-m", "g6core", "chain", "--help"],
    "python -c 'import pandas'": [sys.executable, "-c", "import pandas"],
}


def once(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print("| command | median ms | min | max |\n|---|---|---|---|")
    for name, command in COMMANDS.items():
        once(command)
        times = [once(command) for _ in range(runs)]
        print(f"| `{name}` | {statistics.median(times):.0f} | {min(times):.0f} | {max(times):.0f} |")


if __name__ == "__main__":
    main()
