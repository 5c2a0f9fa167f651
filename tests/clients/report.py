"""How a client's script tells `run.py` what became of each call: one line of JSON a call."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

#: Where the server is, `user:password` if it asks for them, and the sides of a small picture.
PORT = int(os.environ["HEXFUSION_PORT"])
AUTH = os.environ.get("HEXFUSION_AUTH", "")
SIDE = int(os.environ.get("HEXFUSION_SIDE", "64"))


@dataclass
class Report:
    """What has been tried. `works` and `refused` call at once and note what happened."""

    failures: int = field(default=0)

    def works(self, name: str, call: Callable[[], object]) -> object:
        """`call` makes the request, asserts what has to hold, and may answer what to show."""
        try:
            answer = call()
        except Exception as error:
            self._note(name, "FAILED", f"{type(error).__name__}: {error}")
            return None
        self._note(name, "works", answer)
        return answer

    def refused(self, name: str, call: Callable[[], object], *mentions: str) -> None:
        """`call` has to fail, or answer, with a text that mentions all of these."""
        try:
            said = str(call())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        due = all(each.lower() in said.lower() for each in mentions)
        self._note(name, "refused as due" if due else "FAILED", said)

    def _note(self, call: str, outcome: str, says: object) -> None:
        self.failures += outcome == "FAILED"
        said = "" if says is None else " ".join(str(says).split())
        print(json.dumps({"call": call, "outcome": outcome, "says": said[:300]}), flush=True)

    def end(self) -> None:
        """Leave, with status 1 if a call did not end as it should."""
        sys.exit(1 if self.failures else 0)
