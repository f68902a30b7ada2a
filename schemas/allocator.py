"""Memory of some megabytes that is freed and taken again for every block of a file, or chunk of scores.

glibc gives such memory back to the system each time, and takes it page by page anew; with several threads that do so, the system's
lock on the process's memory lets only one of them work. Keeping it halves the time of reading and of ranking (see `benchmarks/`).
"""

import ctypes
import sys
from functools import cache

#: Parameters of glibc's mallopt (malloc.h), and their values in bytes: the greatest that it takes, and what it keeps for later.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT, KEPT = 12 << 20, 64 << 20


@cache
def keep_freed_memory() -> bool:
    """Let this process keep what it frees, up to 64 MiB; whether that was possible. Other systems than glibc's are left as they are."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))
