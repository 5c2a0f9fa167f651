"""What requests share before they are jobs."""

from hexfusion.adapters.http.access.body_memory import BodyMemory, TooMuchWaiting
from hexfusion.adapters.http.access.rate_limit import Rate, RateLimit, TooManyRequests
from tests.concurrency.guarded import Guard, LockContract, Scene


class TestRateLimitLocks(LockContract):
    guards = {RateLimit: [Guard("_lock", touched=("_buckets",))]}

    def play(self, scene: Scene) -> None:
        limit = scene[RateLimit](Rate(3, 60.0), lambda: 0.0, remembered=2)
        let_in = []

        def ask(client: str) -> None:
            try:
                limit.count(client)
            except TooManyRequests:
                return
            let_in.append(client)

        scene.run(*[lambda: ask("ann")] * 5, lambda: ask("bob"))
        assert sorted(let_in) == ["ann"] * 3 + ["bob"]


class TestBodyMemoryLocks(LockContract):
    guards = {BodyMemory: [Guard("_lock", written=("_held",))]}

    def play(self, scene: Scene) -> None:
        memory = scene[BodyMemory](limit=100)
        let_in = []

        def ask() -> None:
            try:
                reservation = memory.reserve(40)
            except TooMuchWaiting:
                return
            let_in.append(memory.held)
            scene.stage.pause()
            reservation.release()

        scene.run(*[ask] * 4)
        assert let_in
        assert max(let_in) <= 80
        assert memory.held == 0
