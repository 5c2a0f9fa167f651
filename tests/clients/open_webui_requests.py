"""The requests that Open WebUI sends to an A1111, with the library it sends them with.

Written after its `backend/open_webui/routers/images.py` (2026): the options are read, and when
another checkpoint is wanted the whole dictionary is posted back with it; the authorization header
is there, but empty, where no password is set (`Basic ` alone in some versions).
"""

import asyncio
import base64
import io
import json

import aiohttp
from PIL import Image
from report import AUTH, PORT, SIDE, Report

report = Report()
BASE = f"http://127.0.0.1:{PORT}/sdapi/v1"
HEADER = "Basic " + base64.b64encode(AUTH.encode()).decode() if AUTH else ""


async def verify_url(header: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{BASE}/options", headers={"authorization": header}) as reply,
    ):
        reply.raise_for_status()


async def models() -> list[dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{BASE}/sd-models", headers={"authorization": HEADER}) as reply,
    ):
        return [{"id": each["title"], "name": each["model_name"]} for each in await reply.json()]


async def set_image_model() -> str:
    (model, *_) = [each["id"] for each in await models()]
    async with aiohttp.ClientSession() as session:
        headers = {"authorization": HEADER}
        async with session.get(f"{BASE}/options", headers=headers) as reply:
            options = await reply.json()
        options["sd_model_checkpoint"] = model
        async with session.post(f"{BASE}/options", json=options, headers=headers) as reply:
            reply.raise_for_status()
        async with session.get(f"{BASE}/options", headers=headers) as reply:
            after = await reply.json()
    changed = {key for key in options if options[key] != after[key]}
    assert changed <= {"sd_model_checkpoint", "sd_checkpoint_hash"}, changed
    return f"{len(options)} options posted back"


async def generate(**parameters: object) -> str:
    """`parameters` is what the user wrote into the settings' "additional parameters"."""
    data: dict[str, object] = {
        "prompt": "a red circle on a blue background",
        "batch_size": 2,
        "width": SIDE,
        "height": SIDE,
        "steps": 4,
        "negative_prompt": "blurry",
        **parameters,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{BASE}/txt2img", json=data, headers={"authorization": HEADER}) as reply,
    ):
        answer = await reply.json(content_type=None)
    pictures = [Image.open(io.BytesIO(base64.b64decode(each))) for each in answer["images"]]
    assert [each.size for each in pictures] == [(SIDE, SIDE)] * 2, answer
    return json.loads(answer["info"])["sampler_name"]


report.works("verify_url", lambda: asyncio.run(verify_url(HEADER)))
if not AUTH:
    report.works("verify_url, header `Basic `", lambda: asyncio.run(verify_url("Basic ")))
report.works("get_models", lambda: asyncio.run(models()))
report.works("set_image_model", lambda: asyncio.run(set_image_model()))
report.works("image_generations", lambda: asyncio.run(generate()))
report.works(
    "image_generations, additional parameters",
    lambda: asyncio.run(generate(sampler_name="DPM++ 2M", scheduler="Karras", cfg_scale=5.5)),
)
report.end()
