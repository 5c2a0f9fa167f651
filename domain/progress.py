"""Progress and time remaining of a job: the formulas behind `/progress`.

Source: spec api.md 11.1 and 11.2.
"""

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Completed work of a job.

    `units` is the number of sampling runs of the job (-1 while unknown, 0 when idle), `units_done`
    the number of finished ones; `step` of `steps` counts within the current run.
    """

    units: int = 0
    units_done: int = 0
    step: int = 0
    steps: int = 0

    def fraction(self) -> float:
        """Share done, 0 to 1, as A1111 reports it: 0 when idle, else at least 0.01."""
        return min(self._raw(), 1.0)

    def share_done(self) -> float:
        """Share done, 0 to 1, without A1111's 0.01 for a job that has begun (spec api.md 11.4)."""
        return min(self._sampled(0.0), 1.0) if self.units > 0 else 0.0

    def eta(self, elapsed: float) -> float:
        """Estimated seconds remaining after `elapsed` seconds; may be negative at the very end."""
        share = self._raw()
        return elapsed / share - elapsed if share else 0.0

    def _raw(self) -> float:
        return self._sampled(0.01) if self.units else 0.0

    def _sampled(self, share: float) -> float:
        """`share` plus the completed share of all sampling runs."""
        if self.units > 0:
            share += self.units_done / self.units
        if self.steps > 0:
            share += self.step / self.steps / self.units
        return share
