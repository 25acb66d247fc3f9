"""A limit of memory for a process and for what it starts."""

from __future__ import annotations


def limit_memory(megabytes: int) -> bool:
    """Let this process, and each one that it starts, have no more data than so many MB; says whether the system can.

    What is counted is what a process may write to and shares with nobody (RLIMIT_DATA): libraries, and address space
    that is only set aside, do not count, as they would with RLIMIT_AS. Linux heeds it; elsewhere nothing is limited.

    Parameters
    ----------
    megabytes : int
        0 sets no limit.
    """
    try:
        import resource
    except ImportError:  # Windows has none
        return False
    if megabytes <= 0:
        return False
    wanted = megabytes << 20
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
    except (ValueError, OSError):
        return False
    return True
