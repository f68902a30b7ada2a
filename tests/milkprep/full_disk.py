"""The command line with files that may not grow beyond a number of bytes: what a full disk does, as far as a process can tell."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = ['cli.py', *sys.argv[2:]]
import cli
cli.main()
"""
UNLIMITED = 1 << 40


def command_line(*arguments: object, most_bytes: int = UNLIMITED, place: Path = ROOT) -> tuple[int, str]:
    """Exit code and what was said; it is stopped after some minutes.

    Args:
        arguments: of the command line.
        most_bytes: that a file may have.
        place: the folder it is run in.
    """
    # No bytecode: Python 3.11 cuts a .pyc that does not fit without a word, and whoever imports the module next, here or in any other
    # process, ends with "marshal data too short".
    command = [sys.executable, "-c", LIMITED, str(most_bytes), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300, env=environment, check=False)
    return done.returncode, done.stderr
