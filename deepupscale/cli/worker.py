"""``deepupscale worker``: the engine as a process that hosts talk to."""

from __future__ import annotations

from deepupscale.worker.server import Worker
from deepupscale.worker.streams import take_over


def serve(threads: int) -> None:
    """Serve one client over standard input and output until it ends the conversation.

    Args:
        threads: CPU threads; 0 for all.

    Raises:
        UsageError: Standard input or output is closed.
    """
    source, target = take_over()
    Worker(source, target, threads).serve()
