"""Ctrl-C that is never lost: Python only prints one that arrives within a finaliser.

In: exceptions that nothing could catch. Out: SIGINT again, for the code that was running.
"""

from __future__ import annotations

import signal
import sys
import threading

AGAIN_SECONDS = 0.01


def keep_interrupts() -> None:
    """Send SIGINT to the main thread again whenever a `KeyboardInterrupt` could not be raised.

    One raised in `__del__` or in a weak reference's callback goes to `sys.unraisablehook` and the
    program runs on. It is sent from a thread, later, because the hook itself cannot raise either.
    """
    report = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)
            return
        main = threading.main_thread().ident
        assert main is not None
        again = threading.Timer(AGAIN_SECONDS, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
