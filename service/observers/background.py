"""Work nobody waits for: one thread, a bounded queue, and a count of what was left undone."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

_STOP = None


class Background:
    """Jobs are done one after the other; with `size` waiting one more is dropped, and `dropped` told."""

    def __init__(self, name: str, size: int, dropped: Callable[[], None] = lambda: None) -> None:
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(size)
        self._dropped = dropped
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """Whether the job was taken; never waits."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self._dropped()
            return False
        return True

    def close(self) -> None:
        """Finish what was taken, then stop."""
        self._jobs.put(_STOP)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not _STOP:
            try:
                job()
            except Exception:
                # Nobody waits for the job, so nobody else would hear of it.
                logger.exception("a background job failed")
