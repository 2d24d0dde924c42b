"""How long jobs take on this machine, learnt from those it has done."""

import threading

PRIORS = {"scene": 4.0, "motions": 3.0, "video": 5.0, "stereo": 2.0, "export": 6.0}
"""Seconds of a job of one unit before any has been done."""

WEIGHT = 0.4
"""Weight of a new measurement against what was known."""


class Estimates:
    """Seconds of each kind of job for its amount of work, in units that the caller chooses. Thread-safe."""

    def __init__(self) -> None:
        self._seconds = dict(PRIORS)
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def seconds(self, kind: str, units: float = 1.0) -> float:
        """Estimated seconds of a job of this kind."""
        with self._lock:
            return self._seconds.get(kind, 1.0) * units

    def learn(self, kind: str, units: float, seconds: float) -> None:
        """Learns from a job that was done; the first replaces the prior."""
        with self._lock:
            measured = seconds / max(units, 1e-6)
            weight = WEIGHT if kind in self._known else 1.0
            self._seconds[kind] = (1 - weight) * self._seconds.get(kind, measured) + weight * measured
            self._known.add(kind)


def in_words(seconds: float) -> str:
    """Seconds as people say them: "about 4 s", "about 2 min"; less than 1.5 are "a moment"."""
    if seconds < 1.5:
        return "a moment"
    return f"about {round(seconds)} s" if seconds < 90 else f"about {round(seconds / 60)} min"
