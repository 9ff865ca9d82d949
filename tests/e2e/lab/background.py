"""What goes on beside a case."""

import threading


class Background:
    """A context. `_run()` has a thread, and goes on while `running` is true."""

    def __init__(self):
        self.running = True
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.running = False
        self.thread.join()
