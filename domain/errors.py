"""Exceptions that Hexfusion raises on purpose.

They know nothing of HTTP: `adapters/http/errors.py` maps each type to a status code. Every message
names what was wrong and what was expected.
"""


class HexfusionError(Exception):
    """Base of every error Hexfusion raises on purpose."""


class InvalidRequest(HexfusionError):
    """A request field has a value that cannot be served.

    `field` is the JSON name of the field, `message` says what was expected.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class NotFound(HexfusionError):
    """A name refers to nothing that exists.

    `kind` is the noun ("sampler", "checkpoint", "script", "job"), `name` the requested name.
    """

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} not found")
        self.kind = kind
        self.name = name


class MissingVae(InvalidRequest):
    """A job needs a VAE, its checkpoint holds no whole one, and no file is chosen in its place.

    `checkpoint` is its name, `lacks` says what its file lacks, such as "holds no VAE"; `unknown` is
    a name that was chosen and that no VAE file has.
    """

    def __init__(self, checkpoint: str, lacks: str, unknown: str | None = None) -> None:
        stem = checkpoint.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        chosen = f"no VAE file is called {unknown!r}" if unknown else "no VAE file is chosen"
        super().__init__(
            "sd_vae",
            f"checkpoint {checkpoint!r} {lacks}, and {chosen}: name a file of models/VAE in this"
            f" option, put {stem}.vae.safetensors beside the checkpoint, or start with --vae-path",
        )
        self.checkpoint = checkpoint
        self.lacks = lacks


class NotAlwaysOn(InvalidRequest):
    """A request lists a selectable script among its always-on scripts. The message is A1111's."""

    def __init__(self) -> None:
        super().__init__(
            "alwayson_scripts", "Cannot have a selectable script in the always on scripts params"
        )


class CheckpointError(HexfusionError):
    """A model file is unreadable, truncated, of unknown architecture, or lacks a tensor."""

    def __init__(self, file: str, message: str, tensor: str | None = None) -> None:
        where = f"{file}: tensor {tensor!r}" if tensor else file
        super().__init__(f"{where}: {message}")
        self.file = file
        self.tensor = tensor
        self.message = message


class ModelUnavailable(HexfusionError):
    """No model can be used: none is installed, or the chosen one does not load."""


class OutOfMemory(HexfusionError):
    """There is not enough memory for a job or for a model that it needs, even after everything
    unused was freed. `task` names the work that failed, `reason` is the allocator's message.
    """

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(f"not enough memory for {task}: {reason}")
        self.task = task
        self.reason = reason


class QueueFull(HexfusionError):
    """The queue is full: `waiting` jobs wait already. `retry_after` is in seconds."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} jobs are waiting already; try again in {retry_after} s")
        self.waiting = waiting
        self.retry_after = retry_after


class ShareTaken(QueueFull):
    """A party has its share of places, and those that are free are for others.

    `party` is "user NAME" or "address ADDRESS", empty if unknown; it has `held` of `what` ("jobs
    waiting") already. `retry_after` is in seconds.
    """

    def __init__(self, party: str, held: int, what: str, retry_after: int) -> None:
        HexfusionError.__init__(
            self,
            f"{party or 'this client'} has {held} {what} already, as many as one user or address"
            f" may have now; try again in {retry_after} s",
        )
        self.party = party
        self.waiting = held
        self.retry_after = retry_after


class TooManyWatchers(QueueFull):
    """The limit of clients that wait for another thread's job, or read its events, is reached."""

    def __init__(self, watchers: int) -> None:
        HexfusionError.__init__(self, f"{watchers} clients are watching jobs already; poll instead")
        self.waiting = watchers
        self.retry_after = 5


class TooManyWaiting(HexfusionError):
    """The limit of requests that wait for `what` is reached. `retry_after` is in seconds."""

    def __init__(self, what: str, waiting: int, retry_after: int) -> None:
        super().__init__(
            f"{waiting} requests wait for {what} already; try again in {retry_after} s"
        )
        self.what = what
        self.waiting = waiting
        self.retry_after = retry_after


class ServerStopping(HexfusionError):
    """The server is about to stop and takes no more jobs."""

    def __init__(self) -> None:
        super().__init__("the server is stopping; send the request again later")


class ServerRestarted(HexfusionError):
    """The server ended while the job's work was under way, `times` times."""

    def __init__(self, times: int) -> None:
        often = "" if times == 1 else f" {times} times"
        super().__init__(f"the server was restarted{often} while the job was under way")
        self.times = times


class JobConflict(HexfusionError):
    """A different job with this id is queued or running: request field `field` differs."""

    def __init__(self, id: str, field: str) -> None:
        super().__init__(f"force_task_id: job {id!r} is under way with another {field}")
        self.id = id
        self.field = field


class ResultTooLarge(HexfusionError):
    """A result is larger than the space for all results together, so it cannot be kept."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the result has {size} bytes, and at most {limit} are kept")


class ReplyTooLarge(InvalidRequest):
    """The reply to a job came out larger than `limit` bytes; a smaller job or another format of
    pictures would do. `field` is what to change."""

    def __init__(self, field: str, limit: int) -> None:
        message = f"the reply would have more than {limit} bytes (--job-reply)"
        super().__init__(field, message)
        self.limit = limit


class JobCancelled(HexfusionError):
    """The job was cancelled before it produced a result."""


class JobTimedOut(JobCancelled):
    """The job ran for as long as a job may, and had made nothing by then."""

    def __init__(self, seconds: float) -> None:
        super().__init__(timed_out(seconds))


def timed_out(seconds: float) -> str:
    """Why a job ended early; told in `info`, in the log and as an error."""
    return f"the job was stopped after {seconds:g} seconds of work (--job-seconds)"


class NotANumber(HexfusionError):
    """A latent or picture came out as NaN: precision too low for this model, or a broken file."""


class OptionError(HexfusionError):
    """An option is unknown, frozen, or was given a value of a wrong type."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
        self.message = message


class Unsupported(HexfusionError):
    """The request uses a feature of A1111 that this server does not have.

    `field` is the JSON name of the field that uses it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
