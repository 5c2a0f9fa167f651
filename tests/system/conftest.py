"""A whole server with the fake backend, on a port of its own."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.hostile import write_bad_files
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference, read_file
from hexfusion.adapters.http.serving.server import Server, threads_for

Serve = Callable[..., AbstractContextManager[int]]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """`with serve("--slots", "2", seconds_per_step=0.1) as port:`

    Its data directory holds one sound checkpoint, which is used unless another is asked for, and
    the bad ones that can be told from sound ones without reading weights.
    """

    @contextmanager
    def served(*given: str, seconds_per_step: float = 0.0) -> Iterator[int]:
        data = tmp_path_factory.mktemp("data")
        folder = data / "models/Stable-diffusion"
        folder.mkdir(parents=True)
        sound = folder / "sound.safetensors"
        save_file({"weight": np.arange(1000, dtype=np.float32)}, sound)
        write_bad_files(folder, sound, weights=False)
        flags = bootstrap.parse_flags(
            ["--data-dir", str(data), "--ckpt", str(sound), *given], {}, absolute=os.path.abspath
        )
        container = bootstrap.assemble(flags, backend=FakeInference(seconds_per_step, read_file))
        threads = threads_for(
            flags.integer("slots"), flags.integer("queue"), flags.integer("loads_waiting")
        )
        app = bootstrap.build_app(container)
        server = Server(app, host="127.0.0.1", port=0, threads=threads, max_body=flags.max_body)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server.port
        finally:
            server.stop()
            thread.join(30)

    return served
