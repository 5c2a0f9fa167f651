"""Use-case: what becomes, when a server starts, of the jobs that the one before left unfinished."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import JobState
from hexfusion.application.jobs.orders import Order
from hexfusion.application.ports.jobs import AcceptedJob, JobRequest, JobStore
from hexfusion.domain.errors import JobCancelled, NotFound, ServerRestarted, ServerStopping

#: Makes an order of a request as it came. Raises what is wrong with the request.
MakeOrder = Callable[[JobRequest], Order[Any]]

#: How often the work of a job is begun at most: it may be the job that ends the server.
MOST_BEGUN = 2

log = logging.getLogger(__name__)


class RestartJobs:
    """Takes the unfinished jobs of the store up again, oldest first; `orders` are by route.

    A job that was waiting is done, with its id and its owner. One that was at work is done again if
    `requeue` says so, unless its work was begun twice already; else it has failed, and so has one
    of which no order can be made any more. One that was cancelled stays so.
    """

    def __init__(
        self,
        board: JobBoard,
        store: JobStore,
        orders: Mapping[str, MakeOrder],
        *,
        requeue: bool = True,
    ) -> None:
        self._board = board
        self._store = store
        self._orders = orders
        self._requeue = requeue

    def __call__(self) -> None:
        """Jobs come in at their turn, and the work is done by the threads of the board."""
        jobs = self._store.unfinished()
        if jobs:
            log.info("%d jobs were left unfinished by the server before", len(jobs))
        for job in jobs:
            try:
                self._take_up(job)
            except ServerStopping:
                return  # the next start takes it up
            except Exception as error:
                self._board.give_up(job, JobState.FAILED, error)

    def _take_up(self, job: AcceptedJob) -> None:
        if job.cancelled:
            error = JobCancelled(f"job {job.id} was cancelled")
            self._board.give_up(job, JobState.CANCELLED, error)
        elif job.begun >= MOST_BEGUN or (job.begun and not self._requeue):
            raise ServerRestarted(job.begun)
        else:
            request = self._store.request(job)
            if request.route not in self._orders:
                raise NotFound("route", request.route)
            self._board.resume(job, self._orders[request.route](request))
