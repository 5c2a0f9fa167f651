"""What `hostile_http` sends as requests that are none: too large, malformed, hidden in others."""

import gzip
import json
from collections.abc import Iterator

from benchmarks.harness import order
from benchmarks.hostile_inputs import OPTIONS, PNG_INFO, TXT2IMG, Attack, Json, post, request

#: What a smuggled request would set the option samples_filename_pattern to.
SMUGGLED = "smuggled"


def large_bodies(limit: int) -> Iterator[Attack]:
    """More than the server takes: said so, or found out on the way."""
    head = f"POST {TXT2IMG} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
    for size in (limit + 1, 2 * limit, 10 * limit):
        yield Attack(f"{size} bytes", post(TXT2IMG, {"prompt": "a" * size}))
        yield Attack(f"{size} bytes in base64", post(PNG_INFO, {"image": "A" * size}))
        yield Attack(f"{size} bytes to a GET", request("GET", OPTIONS, bytes(size)))
        yield Attack(f"{size} bytes to no route", request("POST", "/nothing", bytes(size)))
        pieces = b"".join(b"10000\r\n" + b"a" * 65536 + b"\r\n" for _ in range(size // 65536 + 1))
        yield Attack(
            f"{size} bytes in chunks",
            head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n",
        )
    for said in ("9" * 18, "9" * 30, str(2**63), str(2**31), "1" + "0" * 4000):
        yield Attack(f"length {said[:30]}", head + f"Content-Length: {said}\r\n\r\n{{}}".encode())
        expect = f"Content-Length: {said}\r\nExpect: 100-continue\r\n\r\n"
        yield Attack(f"length {said[:30]}, asked first", head + expect.encode())
    packed = gzip.compress(b'{"prompt": "' + b"a" * 2**28 + b'"}', 9)
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x"):
        yield Attack(
            f"256 MiB as {coding}", request("POST", TXT2IMG, packed, {"Content-Encoding": coding})
        )


def malformed(document: Json) -> Iterator[Attack]:
    """JSON that is none, or none that a route could mean, to every route that takes a body."""
    deep = 200_000
    bodies: dict[str, bytes] = {
        "nothing": b"", "a blank": b" ", "a comma": b",", "a brace": b"{", "half": b'{"prompt": "a',
        "a trailing comma": b'{"prompt": "a",}', "single quotes": b"{'prompt': 'a'}",
        "no quotes": b"{prompt: 1}", "a comment": b'{"prompt": "a" /* b */}', "two values": b"{}{}",
        "rubbish after": b"{}x", "NaN": b'{"steps": NaN}', "Infinity": b'{"cfg_scale": Infinity}',
        "-Infinity": b'{"cfg_scale": -Infinity}', "1e999": b'{"cfg_scale": 1e999}',
        "a long number": b'{"seed": ' + b"9" * 5000 + b"}", "hex": b'{"steps": 0x10}',
        "a leading zero": b'{"steps": 01}', "a plus": b'{"steps": +1}',
        "undefined": b'{"steps": undefined}',
        "a bad escape": b'{"prompt": "\\x41"}', "half an escape": b'{"prompt": "\\u12"}',
        "half a pair": b'{"prompt": "\\ud800"}', "half a pair in a key": b'{"\\udfff": 1}',
        "a raw line break": b'{"prompt": "a\nb"}', "a raw NUL": b'{"prompt": "a\0b"}',
        "not UTF-8": b'{"prompt": "\xff"}', "overlong UTF-8": b'{"prompt": "\xc0\xaf"}',
        "UTF-16": '{"prompt": "a"}'.encode("utf-16"), "UTF-32": '{"prompt": "a"}'.encode("utf-32"),
        "arrays without end": b"[" * deep, "objects without end": b'{"a":' * deep,
        "deep arrays": b"[" * deep + b"]" * deep, "deep in a field": b'{"prompt": ' + b"[" * deep +
        b"]" * deep + b"}",
        "a string": b'"a"', "a number": b"1", "true": b"true", "an array": b"[1, 2]",
        "an array of one": b"[[1]]",
        "XML": b"<?xml version='1.0'?><a/>", "YAML": b"prompt: a", "a form": b"prompt=a&steps=1",
        "MessagePack": b"\x81\xa6prompt\xa1a", "pickle": b"\x80\x04N.", "bytes": bytes(range(256)),
        "a million blanks": b" " * 1_000_000,
    }  # fmt: skip
    kept = {"an array", "a string"}
    numbers = {"NaN", "Infinity", "-Infinity", "1e999", "a long number"}
    for path, methods in document["paths"].items():
        required = methods.get("post", {}).get("requestBody", {}).get("required", False)
        if required:
            for name, body in bodies.items():
                # As Python's reader of JSON, so A1111's: other encodings, and numbers JSON has not,
                # in members that nobody reads.
                taken = name.startswith("UTF") or (name in numbers and path != TXT2IMG)
                sent = request("POST", path, body)
                yield Attack(f"POST {path}: {name}", sent, answers=int(taken))
            for kind in ("text/plain", "multipart/form-data; boundary=x", "application/xml"):
                for name in kept:
                    sent = request("POST", path, bodies[name], {"Content-Type": kind})
                    yield Attack(f"POST {path}: {name} as {kind}", sent)


def _raw(name: str, sent: bytes, answers: int = 0) -> Attack:
    """A server may well wait for more of it."""
    return Attack(name, sent, answers, idle=0.5)


def smuggling() -> Iterator[Attack]:
    """One request to some eyes, two to others. The second would change an option."""
    change = json.dumps({"samples_filename_pattern": SMUGGLED}).encode()
    hidden = request("POST", OPTIONS, change)
    head = f"POST {TXT2IMG} HTTP/1.1\r\nHost: localhost\r\n".encode()
    chunks = b"0\r\n\r\n" + hidden
    length = f"Content-Length: {len(chunks)}\r\n".encode()
    codings = (
        "Transfer-Encoding: chunked", "Transfer-encoding: CHUNKED", "Transfer-Encoding : chunked",
        "Transfer-Encoding:\tchunked", " Transfer-Encoding: chunked", "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: \"chunked\"", "Transfer-Encoding:\r\n chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked", "Transfer\x00-Encoding: chunked",
        "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked\x00",
        "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
    )  # fmt: skip
    for coding in codings:
        line = coding.encode("latin-1") + b"\r\n"
        yield _raw(f"length and {coding!r}", head + length + line + b"\r\n" + chunks)
        short = b"Content-Length: 4\r\n"
        piece = f"{len(hidden):x}\r\n".encode() + hidden + b"\r\n0\r\n\r\n"
        yield _raw(f"short length and {coding!r}", head + short + line + b"\r\n" + piece)
    lengths = ("0\r\nContent-Length: {0}", "{0}\r\nContent-Length: 0", "0, {0}", "{0}, 0", "+0",
    "-1", "0x0", "0 0",
               "0\x0b", "0;{0}", "０", "1e0", "0\r\n\t{0}", "",
               "0\nContent-Length: {0}")  # fmt: skip
    for text in lengths:
        line = f"Content-Length: {text.format(len(hidden))}\r\n\r\n"
        yield _raw(f"length {text!r}", head + line.encode() + hidden)
    sizes = ("0x0", "-0", "+0", "0 ", "0;x=\"\r\n", "0;a\nb", "g", "", "ffffffffffffffff",
             "100000000000000000", "0_0", "٠")  # fmt: skip
    for size in sizes:
        sent = head + b"Transfer-Encoding: chunked\r\n\r\n" + size.encode() + b"\r\n\r\n" + hidden
        yield _raw(f"chunk of size {size!r}", sent)
    for name, line in {
        "an address with a line break": f"GET /internal/ping?x=%0d%0a{OPTIONS} HTTP/1.1",
        "an address with a raw line break": f"GET /x\r\nX: y {OPTIONS} HTTP/1.1",
        "HTTP/0.9": "GET /nothing",
        "HTTP/3.0": "GET /nothing HTTP/3.0",
        "HTTP/1.1 and more": "GET /nothing HTTP/1.1 HTTP/1.1",
    }.items():
        sent = (
            line.encode()
            + b"\r\nHost: localhost\r\nContent-Length: "
            + str(len(hidden)).encode()
            + b"\r\n\r\n"
            + hidden
        )
        yield _raw(f"{name}, and a request for its body", sent, answers=int("ping" in line))
    query = f"GET /sdapi/v1/progress?id_task=%0d%0aSet-Cookie:%20a=b%0d%0a{OPTIONS} HTTP/1.1\r\n"
    rest = b"Host: localhost\r\nConnection: close\r\n\r\n"
    yield _raw("a header in an answer", query.encode() + rest)
    kept = json.dumps(
        order(force_task_id="x\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\n")
    ).encode()
    yield _raw("a second answer in X-Task-Id", request("POST", TXT2IMG, kept), answers=1)


def broken_heads() -> Iterator[Attack]:
    """What is no head of a request, or too much of one."""
    end = b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    target = OPTIONS.encode()
    lines: dict[str, bytes] = {
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
        "SSH": b"SSH-2.0-OpenSSH_9.0\r\n\r\n", "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "SMTP": b"EHLO x\r\n\r\n", "Redis": b"*1\r\n$4\r\nINFO\r\n\r\n", "NULs": bytes(1000) +
        b"\r\n\r\n",
        "blank lines": b"\r\n" * 1000 + b"X\r\n\r\n", "no method": b" " + target +
        b" HTTP/1.1" + end,
        "no address": b"GET  HTTP/1.1" + end, "no version": b"GET " + target + end,
        "a bad version": b"GET " + target + b" HTTP/x.y" + end,
        "a version of words": b"GET " + target + b" FTP/1.1" + end,
        "a method of 1 MB": b"A" * 1_000_000 + b" / HTTP/1.1" + end,
        "an address of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1" + end,
        "a query of 1 MB": b"GET " + target + b"?" + b"a=b&" * 250_000 + b" HTTP/1.1" + end,
        "a header of 1 MB": b"GET " + target + b" HTTP/1.1\r\nX: " + b"a" * 1_000_000 + end,
        "100,000 headers": b"GET " + target + b" HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + end[2:],
        "a header without a colon": b"GET " + target + b" HTTP/1.1\r\nX" + end,
        "a header without a name": b"GET " + target + b" HTTP/1.1\r\n: y" + end,
        "a header with NUL": b"GET " + target + b" HTTP/1.1\r\nX: \0" + end,
        "a name with a blank": b"GET " + target + b" HTTP/1.1\r\nX Y: z" + end,
        "a folded header": b"GET " + target + b" HTTP/1.1\r\nX: y\r\n z" + end,
    }  # fmt: skip
    taken = {"no version", "a folded header"}  # HTTP/0.9, and RFC 9112, 5.2
    for name, sent in lines.items():
        yield _raw(name, sent, answers=int(name in taken))
