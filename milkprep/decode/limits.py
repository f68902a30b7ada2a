"""What a decoding process allows itself, so that no file takes a machine's memory, and none keeps it busy for ever.

Both bounds are kept by the system, also inside of a library that has lost its way, and where the parent has been killed.
"""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

#: Bytes a process may take on top of what its libraries have when it is ready. Measured as growth of VmData: pictures of 64 million
#: pixels 1.5 GiB (transparent ones, laid on white), 2.7 GiB where they are one pixel wide and fitted to a network; eight frames of 4K
#: video 1.2 GiB; ten minutes of sound at 96 kHz 1.5 GiB with torchaudio's import.
MOST_MEMORY = 4 << 30
#: Where a process states how soon it is ended when memory runs out, and the most it can state (proc(5)).
SACRIFICE, FIRST_OF_ALL = Path("/proc/self/oom_score_adj"), 1000
#: Seconds one file may take before the process that decodes it is ended by its parent; a long video on a slow machine takes a tenth of it.
PATIENCE_S = 120.0
#: And those after which it ends itself, for its parent may have been killed.
LONGEST_S = PATIENCE_S + 15.0


def bound_memory() -> None:
    """Bound the memory this process may take from now on; what goes beyond is a `MemoryError`, or the end of the process.

    Data is bounded (`RLIMIT_DATA`), not addresses, of which torch reserves more than it uses; on a small machine by half of its memory.
    Where several processes have not enough of it together, the system ends one of them rather than their parent. Without effect where
    the system has no such bound, e.g. on Windows, or does not keep it for mapped memory, e.g. on macOS.
    """
    try:
        import resource
    except ImportError:
        return
    with suppress(OSError):  # Linux alone has it
        SACRIFICE.write_text(f"{FIRST_OF_ALL}\n")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _held() + min(MOST_MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def bound_time(seconds: float = LONGEST_S) -> None:
    """End this process at once when some time has passed, even where it is inside of a library then.

    Args:
        seconds: from now on, instead of what was set before; 0 lifts the bound.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _held() -> int:
    """Bytes of data this process has, where the system tells."""
    try:
        found = re.search(r"^VmData:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0
