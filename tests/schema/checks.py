"""What schemathesis loads: small pictures, and which 5xx are no fault of the server.

Runs in an environment that has schemathesis and nothing of Hexfusion.
"""

import os
from typing import Any

import requests
import schemathesis

URL = os.environ["HEXFUSION_URL"] + "/sdapi/v1/options"
OPTIONS_AT_START = requests.get(URL, timeout=60).json()

#: Failures with 5xx that clients of A1111 know, or that say what is not there: (status, `error`,
#: what its `detail` or `errors` has to hold). The README's compatibility table gives the reasons.
DOCUMENTED = (
    (500, "KeyError", ""),  # an option that does not exist, in `override_settings` or `options`
    (500, "RuntimeError", "not found"),  # a checkpoint that does not exist
    (500, "HTTPException", "Invalid encoded image"),
    (500, "HTTPException", "Invalid image url"),
    (500, "HTTPException", "Requests not allowed"),
    (500, "HTTPException", "Request to local resource not allowed"),
    (500, "HTTPException", "Invalid image format"),  # of the option samples_format
    (501, "HTTPException", ""),  # its engine is not built yet
)

#: Fields that make a picture dear, and what is enough of them here.
DEAR = {
    "width": 128,
    "height": 128,
    "firstphase_width": 128,
    "firstphase_height": 128,
    "hr_resize_x": 256,
    "hr_resize_y": 256,
    "steps": 20,
    "hr_second_pass_steps": 20,
    "batch_size": 2,
    "n_iter": 2,
    "hr_scale": 2,
}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make large pictures small; what is out of range or no number is sent as it is."""
    if not isinstance(case.body, dict):
        return
    for name, enough in DEAR.items():
        value = case.body.get(name)
        if isinstance(value, int | float) and enough < value <= 20_000:
            case.body[name] = enough


@schemathesis.check
def no_undocumented_failure(ctx: Any, response: Any, case: Any) -> None:
    """No 5xx but those in the table."""
    if response.status_code < 500:
        return
    body = response.json()
    text = f"{body.get('detail', '')} {body.get('errors', '')}"
    for status, error, mentions in DOCUMENTED:
        if (status, error) == (response.status_code, body.get("error")) and mentions in text:
            return
    raise AssertionError(f"{response.status_code}: {response.text[:300]}")


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Put back options that were changed, or one case would decide what the next ones find.

    Raises AssertionError where the options cannot be read or written any more.
    """
    if case.operation.path != "/sdapi/v1/options" or response.status_code != 200:
        return
    if case.method == "POST":
        read = requests.get(URL, timeout=60)
        assert read.status_code == 200, read.text[:300]
        written = requests.post(URL, json=OPTIONS_AT_START, timeout=60)
        assert written.status_code == 200, written.text[:300]
