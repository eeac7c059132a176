"""How long a demo takes from nothing, from its second start, and how much memory at most.

usage: python benchmarks/demo.py [--small]

There is no peer for this one; the figures are absolute and of this machine. Memory is the sum
of the proportional set sizes (PSS) of the command and everything below it, five times a second.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from meter import Meter, family

__all__ = ["DemoFigures", "measure"]


@dataclass(frozen=True)
class DemoFigures:
    """One start of a demo."""

    benchmark: str
    case: str
    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    disk_megabytes: float


def measure(folder: Path, case: str, size: str) -> DemoFigures:
    """Start a demo in a folder, wait for its address, and stop it."""
    command = [str(Path(sys.executable).with_name("lenticular")), "demo", "--size", size]
    began = time.monotonic()
    with subprocess.Popen([*command, "--folder", str(folder)], stderr=subprocess.PIPE, text=True) as process:
        meter = Meter(family(process.pid))
        meter.start()
        assert process.stderr is not None  # noqa: S101  asked for above
        for line in process.stderr:
            print(line, end="", file=sys.stderr)
            if line.startswith("Open "):
                break
        seconds = time.monotonic() - began
        cpu = meter.stop()
        process.send_signal(signal.SIGINT)
        process.communicate()
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return DemoFigures(
        "demo",
        f"{size}, {case}",
        round(seconds, 1),
        round(cpu, 1),
        round(meter.peak / 1e6),
        round(used / 1e6),
    )


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the size tiny instead of demo")
    size = "tiny" if parser.parse_args().small else "demo"
    with tempfile.TemporaryDirectory() as folder:
        for case in ("first start", "second start"):
            print(json.dumps(asdict(measure(Path(folder), case, size))), flush=True)


if __name__ == "__main__":
    main()
