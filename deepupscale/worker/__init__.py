"""The worker: one persistent process that a host (a compositor, a farm) talks to by JSON-RPC 2.0 over a pipe.

``docs/worker.md`` is its protocol. ``streams`` carries lines, ``messages`` knows what a message is, ``params`` what
may be asked, ``server`` answers in order, and ``work`` runs the engine. Only the last imports anything heavy.
"""
