"""What `hostile_http` sends: attacks by kind, each a name and the bytes for the socket.

Lists are made from the server's own OpenAPI document where they can be, so that a new route, field
or option is attacked without anybody thinking of it.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bombs import bombs, saved
from benchmarks.harness import order

TXT2IMG, OPTIONS, PNG_INFO = "/sdapi/v1/txt2img", "/sdapi/v1/options", "/sdapi/v1/png-info"
#: Paths that tell nothing, and need no credentials.
OPEN = frozenset({"/internal/ping", "/health/live", "/docs", "/redoc", "/openapi.json"})
#: Fields of requests that hold a picture, and how.
PICTURE_FIELDS = (
    ("/sdapi/v1/png-info", "image"),
    ("/sdapi/v1/extra-single-image", "image"),
    ("/sdapi/v1/extra-batch-images", "imageList"),
    ("/sdapi/v1/interrogate", "image"),
    ("/sdapi/v1/img2img", "init_images"),
    ("/sdapi/v1/img2img", "mask"),
)

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Attack:
    """Bytes for a connection of their own.

    `answers`: how many with 2xx are due. `idle`: seconds without a byte after which the client
    goes; where it is None, silence is a failure of the server's.
    """

    name: str
    sent: bytes
    answers: int = 0
    idle: float | None = None


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json", "Connection": "close"}
    if body or method == "POST":
        lines["Content-Length"] = str(len(body))
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1", "replace") + body


def post(path: str, body: object) -> bytes:
    return request("POST", path, json.dumps(body).encode())


def routes(document: Json) -> Iterator[tuple[str, str]]:
    """Method and path of each that needs credentials once there are any."""
    for path, methods in document["paths"].items():
        if path not in OPEN:
            for method in methods:
                yield method.upper(), path.replace("{id}", "some-job")


# The door


def credentials(document: Json, user: str, token: str) -> Iterator[Attack]:
    """Every route, with every kind of credentials that are not right."""
    name, _, password = user.partition(":")

    def basic(pair: str | bytes) -> str:
        pair = pair if isinstance(pair, bytes) else pair.encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    wrong = {
        "none": None,
        "empty": "",
        "Basic alone": "Basic ",
        "a wrong password": basic(f"{name}:wrong"),
        "the password's beginning": basic(f"{name}:{password[:-1]}"),
        "the password and more": basic(f"{user}x"),
        "the password in capitals": basic(user.upper()),
        "the password and NUL": basic(f"{user}\0"),
        "the password and a line break": basic(f"{user}\n"),
        "no password": basic(f"{name}:"),
        "a name alone": basic(name),
        "nobody": basic(":"),
        "another name": basic(f"root:{password}"),
        "two pairs": basic(f"x:x,{user}"),
        "UTF-16": basic(user.encode("utf-16")),
        "bytes": basic(b"\xff\xfe:\xff"),
        "not encoded": f"Basic {user}",
        "URL-safe and unpadded": "Basic " + base64.urlsafe_b64encode(b"a:\xff\xff").decode()[:-1],
        "another scheme": f"Digest {base64.b64encode(user.encode()).decode()}",
        "scheme and credentials swapped": f"{base64.b64encode(user.encode()).decode()} Basic",
        "a bearer with the password": f"Bearer {password}",
        "a bearer's beginning": f"Bearer {token[:-1]}",
        "a bearer and more": f"Bearer {token}x",
        "a bearer in capitals": f"Bearer {token.upper()}",
        "an empty bearer": "Bearer ",
        "the token as password": basic(f"{name}:{token}"),
        "a pattern": basic(f"{name}:*"),
        "SQL": basic("' OR 1=1 --:' OR 1=1 --"),
        "JSON true": "Bearer true",
        "a long one": basic("a:" + "b" * 8000),
    }
    for method, path in routes(document):
        for kind, value in wrong.items():
            headers = {} if value is None else {"Authorization": value}
            yield Attack(f"{method} {path}, {kind}", request(method, path, b"{}", headers))
    good = basic(user)
    elsewhere: dict[str, dict[str, str]] = {
        "in Proxy-Authorization": {"Proxy-Authorization": good},
        "in X-Authorization": {"X-Authorization": good},
        "in a cookie": {"Cookie": f"Authorization={good}; user={name}"},
        "as a forwarded user": {"X-Forwarded-User": name, "X-Remote-User": name},
        "as the environment's": {
            "Remote-User": name,
            "REMOTE_USER": name,
            "HTTP_AUTHORIZATION": good,
        },
        "in an underscore": {"Authorization_": good},
    }
    for kind, headers in elsewhere.items():
        yield Attack(f"credentials {kind}", request("GET", OPTIONS, headers=headers))
    for query in (
        f"api_key={token}",
        f"access_token={token}",
        f"username={name}&password={password}",
    ):
        yield Attack(f"credentials as ?{query}", request("GET", f"{OPTIONS}?{query}"))
    yield Attack("credentials in the address", request("GET", f"http://{user}@127.0.0.1{OPTIONS}"))
    two = request("GET", OPTIONS).replace(
        b"Connection:",
        b"Authorization: Basic eDp4\r\nAuthorization: " + good.encode() + b"\r\nConnection:",
    )
    yield Attack("two headers, the second right", two)


def detours() -> Iterator[Attack]:
    """Without credentials: other spellings of the address, other methods, headers proxies use."""
    spellings = [
        OPTIONS.upper(), f"/{OPTIONS}", f"//127.0.0.1{OPTIONS}", f"/.{OPTIONS}", f"/x/..{OPTIONS}",
        f"/internal/ping/../..{OPTIONS}", f"/internal/ping/%2e%2e/%2e%2e{OPTIONS}",
        f"/internal/ping/..%2f..%2f{OPTIONS[1:]}", f"/docs/..;{OPTIONS}", f"/docs/..{OPTIONS}",
        f"/docs%2f..{OPTIONS}", f"/docs\\..{OPTIONS}", f"{OPTIONS};x", f"{OPTIONS};/docs",
        f"{OPTIONS}%20", f"{OPTIONS}%00", f"{OPTIONS}%0a", f"{OPTIONS}.json", f"{OPTIONS}/",
        f"{OPTIONS}//", f"{OPTIONS}/.", f"{OPTIONS}?/docs", f"{OPTIONS}#/docs", f"{OPTIONS}%23",
        "/sdapi%2fv1%2foptions", "/sdapi/v1/%6fptions", "/sdapi/v1//options", "/sdapi/./v1/options",
        "/sdapi/v1/x/../options", "\\sdapi\\v1\\options", "sdapi/v1/options",
        f"http://127.0.0.1{OPTIONS}", f"http://127.0.0.1/docs/..{OPTIONS}", f"*{OPTIONS}",
        "/sdapi/v1/ｏptions", "/%ef%bc%8fsdapi/v1/options", "/sdapi/v1/opt%25ions",
        "/ sdapi/v1/options",
    ]  # fmt: skip
    for path in spellings:
        yield Attack(f"GET {path}", request("GET", path.encode().decode("latin-1")))
    for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND",
    "get",
                   "GETX", "POST"):  # fmt: skip
        yield Attack(f"{method} {OPTIONS}", request(method, OPTIONS))
    proxies = {
        "X-Original-URL": "/docs", "X-Rewrite-URL": "/docs", "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": "localhost", "X-Real-IP": "127.0.0.1", "X-Forwarded-Prefix": "/docs",
        "X-Original-Method": "OPTIONS", "X-HTTP-Method-Override": "OPTIONS", "Host": "localhost",
        "X-Custom-IP-Authorization": "127.0.0.1", "Forwarded": "for=127.0.0.1;host=localhost",
        "SCRIPT_NAME": "/docs", "Referer": "http://127.0.0.1/docs", "Upgrade": "websocket",
    }  # fmt: skip
    for name, value in proxies.items():
        yield Attack(f"{name}: {value}", request("GET", OPTIONS, headers={name: value}))
        yield Attack(f"{name}: {OPTIONS}", request("GET", "/nothing", headers={name: OPTIONS}))


def foreign_pages() -> Iterator[Attack]:
    """What a web page of another site can make a browser send to a server that asks nobody:
    without a preflight these media types alone, with one whatever the preflight's answer allows."""
    origins = (
        "http://evil.test", "null", "https://127.0.0.1.evil.test", "http://127.0.0.1@evil.test",
        "http://localhost.evil.test", "file://", "http://evil.test:7860", "x",
    )  # fmt: skip
    simple = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    )
    bodies = {OPTIONS: {"jpeg_quality": 1}, TXT2IMG: order(), "/sdapi/v1/interrupt": {}}
    for origin in origins:
        for kind in simple:
            headers = {"Origin": origin, "Content-Type": kind, "Sec-Fetch-Site": "cross-site"}
            for path, body in bodies.items():
                sent = request("POST", path, json.dumps(body).encode(), headers)
                yield Attack(f"POST {path} from {origin} as {kind}", sent)
        for method in ("POST", "DELETE"):
            headers = {"Origin": origin, "Access-Control-Request-Method": method}
            yield Attack(f"preflight from {origin}", request("OPTIONS", TXT2IMG, headers=headers))


# Files


def paths(root: Path) -> Sequence[str]:
    """Names of a file outside the data folder, and of what should not be a file name at all."""
    secret = root / "neighbour/secret"
    return (
        "../neighbour/secret.txt", "../../neighbour/secret.txt", "../../../neighbour/secret.txt",
        "../../../../neighbour/secret.txt", f"{secret}.txt", f"{secret}.safetensors",
        f"{secret}.yaml",
        f"file://{secret}.txt", f"models/../../neighbour/{'secret.safetensors'}",
        f"{root}/data/../neighbour/secret.pt", "..\\..\\neighbour\\secret.txt",
        "....//....//neighbour/secret.txt", "%2e%2e/%2e%2e/neighbour/secret.txt",
        "..%2f..%2fneighbour%2fsecret.txt", "..%c0%af..%c0%afneighbour", f"{secret}.txt\0.png",
        "../../../../../../../../etc/passwd", "/etc/passwd", "/proc/self/environ", "/dev/zero",
        "/dev/stdin", "~root/x", "$HOME/x", "C:\\windows\\win.ini", "\\\\evil.test\\share\\x",
        "CON",
        "..", ".", "/", "", "\0", "\n", "a" * 5000, "a/" * 2000, "/tmp/hexfusion-escaped",
        "../../../../../../../../tmp/hexfusion-escaped", "[date]/../../../../neighbour", "|touch x",
        "`touch /tmp/hexfusion-escaped`", "$(touch /tmp/hexfusion-escaped)", "; ls", "-rf",
        "\u202e",
        "x\ud800",
    )  # fmt: skip


def short_paths(root: Path) -> Sequence[str]:
    """Those of them that are unlike each other."""
    return (
        "../../neighbour/secret.txt", "../../../../neighbour",
        f"{root}/neighbour/secret.safetensors",
        "..\\..\\neighbour\\secret.txt", "/etc/passwd", "/dev/zero", "..", "", "\0", "a" * 5000,
        "/tmp/hexfusion-escaped", "[date]/../../../../neighbour", "x\ud800",
    )  # fmt: skip


def _texts(document: Json, schema: str) -> list[str]:
    """The members of a schema that may be text, or a list of it."""

    def kinds(each: Any) -> set[str]:
        if not isinstance(each, Mapping):
            return set()
        found = each.get("type", ())
        own = {found} if isinstance(found, str) else set(found)
        return own.union(*map(kinds, each.get("anyOf", ())))

    members = document["components"]["schemas"][schema]["properties"]
    return [name for name, each in members.items() if kinds(each) & {"string", "array"}]


def text_options(document: Json) -> list[str]:
    """Options that hold text."""
    return _texts(document, "Options")


def paths_in_fields(document: Json, root: Path) -> Iterator[Attack]:
    """Every text of a generation request is a path; and prompts name networks by paths."""
    fields = _texts(document, "StableDiffusionProcessingTxt2Img")
    for path in paths(root):
        for name in fields:
            value: object = [path] if name in ("styles", "script_args") else path
            body = order(
                save_images=True, steps=1, enable_hr=name.startswith("hr_"), denoising_strength=0.5
            )
            yield Attack(f"{name}: {path[:60]!r}", post(TXT2IMG, {**body, name: value}))
        for tag in ("<lora:{}:1>", "<lyco:{}:1>", "<hypernet:{}:1>", "({}:1.2)", "embedding:{}"):
            prompt = tag.format(path)
            yield Attack(
                f"prompt: {prompt[:60]!r}", post(TXT2IMG, order(prompt=prompt, save_images=True))
            )
        told = f"a cat\nSteps: 1, Size: 64x64, Model: {path}, VAE: {path}, Hires checkpoint: {path}"
        yield Attack(
            f"infotext: {path[:60]!r}", post(TXT2IMG, order(infotext=told, save_images=True))
        )
        scripts = {path: {"args": [path]}}
        yield Attack(f"script: {path[:60]!r}", post(TXT2IMG, order(alwayson_scripts=scripts)))


def paths_in_overrides(document: Json, root: Path) -> Iterator[Attack]:
    """Every text option of one request is a path, and the pictures are saved."""
    for name in text_options(document):
        for path in short_paths(root):
            body = order(save_images=True, steps=1, n_iter=2, override_settings={name: path})
            yield Attack(f"{name}: {path[:60]!r}", post(TXT2IMG, body))


def paths_in_options(document: Json, root: Path) -> Iterator[Attack]:
    """Options that name files and folders are stored as paths; then a picture is saved."""
    words = ("dir", "folder", "path", "file", "checkpoint", "vae", "pattern", "format", "hypernet",
             "style", "upscaler", "model")  # fmt: skip
    names = [name for name in text_options(document) if any(word in name for word in words)]
    for name in names:
        for path in short_paths(root):
            yield Attack(f"{name} = {path[:60]!r}", post(OPTIONS, {name: path}))
            saved = order(save_images=True, steps=1, n_iter=2)
            yield Attack(f"{name} = {path[:60]!r}, then a picture", post(TXT2IMG, saved))
        yield Attack(f"{name} put back", post(OPTIONS, {name: None}))


def paths_in_urls(root: Path) -> Iterator[Attack]:
    """Files asked for as pages, and ids that are paths."""
    escaped = [path.encode("utf-8", "replace").hex(" ").replace(" ", "%") for path in paths(root)]
    for path, spelt in zip(
        paths(root), (f"%{each}" if each else "" for each in escaped), strict=True
    ):
        for before in ("/", "/docs/", "/v1/jobs/", "/file=", "/file/", "/outputs/", "/sdapi/v1/",
                       "/sd_extra_networks/thumb?filename=", "/internal/progress?id_task=",
                       "/sdapi/v1/progress?id_task="):  # fmt: skip
            yield Attack(f"GET {before}{path[:60]!r}", request("GET", before + spelt))
        yield Attack(f"DELETE /v1/jobs/{path[:60]!r}", request("DELETE", f"/v1/jobs/{spelt}"))
        plain = path.encode("ascii", "replace").decode().replace("\n", "").replace(" ", "")
        yield Attack(f"GET /{plain[:60]!r}, as it is", request("GET", f"/{plain}"))
        task = {"id_task": path, "id_live_preview": -1}
        yield Attack(f"progress of {path[:60]!r}", post("/internal/progress", task))


# Pictures


def with_picture(path: str, name: str, text: str) -> bytes:
    """A request whose field `name` holds the picture `text`, and which is otherwise honest."""
    whole = base64.b64encode(saved("PNG")).decode()
    match path.rpartition("/")[2]:
        case "img2img":
            body = order(init_images=[text if name == "init_images" else whole], steps=1)
            return post(path, body if name == "init_images" else {**body, name: text})
        case "extra-batch-images":
            return post(path, {name: [{"data": text, "name": "x"}], "upscaler_1": "Lanczos"})
        case "extra-single-image":
            return post(path, {name: text, "upscaler_1": "Lanczos", "upscaling_resize": 2})
    return post(path, {name: text})


def exploding_pictures(fields: Sequence[tuple[str, str]]) -> Iterator[Attack]:
    """Each in base64 and as a data URI, in every field that takes a picture."""
    texts = (
        "data:image/png", "data:image/png;", "data:image/png;,", "data:image/png;base64,", "====",
        "data:;base64,AAAA", "data:text/html,<script>", "A", "\0", "é" * 100, "A" * 1_000_000,
        "data:image/png;base64," * 1000,
    )  # fmt: skip
    pictures = [(what, base64.b64encode(data).decode()) for what, data in bombs()]
    for path, name in fields:
        field = f"{path.rpartition('/')[2]}.{name}"
        for what, text in pictures:
            yield Attack(f"{field}: {what}", with_picture(path, name, text))
            uri = f"data:image/png;base64,{text}"
            yield Attack(f"{field}: {what}, as a data URI", with_picture(path, name, uri))
        for text in texts:
            yield Attack(f"{field}: {text[:40]!r}", with_picture(path, name, text))


def inside_urls(port: int, fields: Sequence[tuple[str, str]]) -> Iterator[Attack]:
    """Addresses of this machine and its network, in the spellings that filters forget."""
    here = f":{port}/secret.png"
    hosts = [
        "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "127.0.1", "127.255.255.254",
        "0",
        "0.0.0.0", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.0.0.1.",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "[fc00::1]", "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1", "100.64.0.1", "169.254.169.254", "metadata.google.internal", "224.0.0.1",
        "255.255.255.255", "198.18.0.1", "192.0.2.1", "ip6-localhost", "①②⑦.⓪.⓪.①", "127。0。0。1",
        "ｌｏｃａｌｈｏｓｔ", "user@127.0.0.1", "8.8.8.8@127.0.0.1", "127.0.0.1#@8.8.8.8",
        "127.0.0.1\\@8.8.8.8",
        "8.8.8.8\\@127.0.0.1", "127.0.0.1%00.example.org", "127.0.0.1%2f", "[::1]%00",
        "a.b@c@127.0.0.1",
        "localtest.me", "127.0.0.1.nip.io", "", " 127.0.0.1", "127.0.0.1 ", "127.0.0.1\t",
        "127.0.0.1\n",
    ]  # fmt: skip
    urls = [f"{scheme}{host}{tail}" for host in hosts for scheme in ("http://", "https://")
            for tail in (here, "/secret.png")]  # fmt: skip
    urls += [f"{scheme}127.0.0.1{here}" for scheme in (
        "HTTP://", "Http://", "http:/", "http:", "http:///", "http:\\\\", "//", "ftp://",
        "gopher://",
        "dict://", "ldap://", "tftp://", "jar:http://", "url:http://", "view-source:http://",
        " http://",
        "\thttp://", "ht\ntp://", "http://\t", "httpx://", "ws://",
    )]  # fmt: skip
    urls += ["file:///etc/passwd", "file://localhost/etc/passwd", "file:/etc/passwd",
    "netdoc:///etc/passwd",
             "http://", "https://", "http://?", "http://#", "http://:", f"http://:{port}/",
             "http://[",
             "http://127.0.0.1:99999/", "http://127.0.0.1:-1/", "http://127.0.0.1:22/",
             f"http://127.0.0.1:{port}\r\nX: y/", "http://" + "a" * 100_000]  # fmt: skip
    for path, name in fields:
        for url in urls:
            attacked = f"{path.rpartition('/')[2]}.{name}: {url[:80]!r}"
            yield Attack(attacked, with_picture(path, name, url))
