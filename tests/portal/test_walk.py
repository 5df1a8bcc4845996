"""A walk over every route with what no browser sends: never a 5xx, never a word of our inside, nothing recorded."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from portal.app import create_app
from portal.rules import PortalRules
from portal.serving import listen_on, run_beside
from tests.portal.conftest import FORM, URL, Office, clerk_of
from tests.portal.test_gate import paths, recorded
from tests.servers import free_port

INSIDE = ("Traceback", 'File "', "sqlalchemy", "sqlite", "psycopg", "starlette", "pydantic", "Exception", 'detail":')
NUMBERS = (
    "0", "-1", "1", "01", "1.0", "1e3", "１", "١", "0x1", "NaN", "None", "%00", "1%00", "%FF", "%0d%0aX-Evil:1", "1;1",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..", "%20", "true", "'--", str(2**31 - 1), str(2**31), str(2**63), "9" * 5000,
)  # fmt: skip
LINKS = ("", "%00", "%FF%FE", "..", "%2e%2e%2f", "a" * 20_000, "x.y.z", "-", "%F0%9F%98%80", "1", "%0d%0aX-Evil:%201")
METHODS = ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X-ODD")
EVERYWHERE = (
    "/",
    "//",
    "/u",
    "/u/",
    "/healthz",
    "/robots.txt",
    "/favicon.ico",
    "/portal.css",
    "/openapi.json",
    "/docs",
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"Cookie", b"muster=" + b"a" * 60_000),
    (b"Cookie", b"\xff\xfe=\x80; muster=\xff; ;;==; muster"),
    (b"Sec-Fetch-Site", b"\xff"),
    (b"Host", b"evil.example\xff:99999"),
    (b"X-Forwarded-For", b"\xff, ::1, 999.1.1.1"),
    (b"Accept-Language", b"zh;q=NaN," * 2_000),
    (b"Range", b"bytes=9999999999999999999-,-1"),
    (b"If-Modified-Since", b"Thu, 99 Jan 99999 00:00:00 GMT"),
    (b"If-None-Match", b'"\xff'),
    (b"Content-Encoding", b"gzip"),
    (b"Transfer-Encoding", b"x"),
    (b"Content-Type", b""),
    (b"Content-Type", b"\xff\xfe"),
    (b"Content-Length", b"-1"),
    (b"Accept", b"application/json"),
    (b"X-HTTP-Method-Override", b"DELETE"),
)


def part(disposition: bytes, content: bytes = b"x", more: bytes = b"") -> bytes:
    """Return one part of a form with the boundary ``b``."""
    return b"--b\r\nContent-Disposition: form-data" + disposition + b"\r\n" + more + b"\r\n" + content + b"\r\n"


def bodies(token: str) -> Iterable[tuple[str, bytes, bytes]]:
    """Yield what a POST may bring, each with a name and the type it claims; where it can be, with a right token."""
    csrf, field = f"_csrf={token}&".encode(), part(b'; name="_csrf"', token.encode())
    file, end = b'; name="files"; filename=', b"--b--\r\n"
    for name, text in {
        "nothing": b"",
        "NUL": b"action=%00&until=%00&reason=%00&text=%00&%00=%00&number=%00",
        "no UTF-8": b"action=%FF&until=%C3%28&reason=%ED%A0%80&text=%FE&role=%80&\xff\xfe=\xff",
        "no field": b"&&&==&=&%&%zz=%u0041&;",
        "every name twice": b"action=draft&action=hand_in&sure=1&sure=&until=2020-07-01&until=x&number=1&number=2",
        "arrays": b"action[]=draft&sure[a][b]=1&until[0]=2020-07-01&1.name[]=x&files=notafile",
        "too many fields": b"&".join(b"f%d=1" % n for n in range(5_000)),
        "a long name": b"x" * 70_000 + b"=1",
        "dates": b"until=0000-00-00&reason=x&sure=1",
        "far dates": b"until=99999-12-31&reason=x&sure=1&number=1e999",
        "odd numbers": b"number=Infinity&text=&said=" + b"9" * 5_000 + b"&1.name=x&-1.name=x&99999999999.name=x",
        "odd roles": b"role=office&name=%0d%0aBcc:x@y&address=a@b%0d%0aRCPT&phone=%00&sure=1",
        "odd address": b"role=liaison&name=x&address=" + b"a" * 3_000 + b"@" + b"b." * 3_000 + b"&phone=1",
    }.items():
        yield name, FORM.encode(), csrf + text
    yield "another charset", FORM.encode() + b"; charset=utf-16", csrf + b"action=%D8%00"
    yield "an unknown charset", FORM.encode() + b"; charset=\xff", csrf + b"action=draft"
    yield "JSON", b"application/json", b'{"_csrf": ["' + token.encode() + b'"], "a": NaN'
    yield "XML", b"text/xml", b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>'
    yield "text", b"text/plain", csrf
    yield "no boundary", b"multipart/form-data", field + end
    yield "an empty boundary", b'multipart/form-data; boundary=""', field + end
    yield "a boundary of bytes", b"multipart/form-data; boundary=\xff\x80", b"--\xff\x80\r\n\r\n"
    yield "a long boundary", b"multipart/form-data; boundary=" + b"b" * 5_000, b"--" + b"b" * 5_000 + b"--"
    yield "another boundary", b"multipart/form-data; boundary=c", field + end
    for name, text in {
        "no end": field,
        "no name": part(b"") + end,
        "a name of NULs": part(b'; name="\0"; filename="\0"') + end,
        "no UTF-8": part(b'; name="\xff"') + part(file + b'"\xff\xfe.xlsx"', b"PK\x03\x04\xff") + end,
        "a name in RFC 2231": part(b"; name*=utf-8''files; filename*=x''%FF%00") + end,
        "a path": part(file + b'"../../../../etc/cron.d/x\r\n"') + end,
        "a file for every field": b"".join(
            part(b'; name="%s"; filename="a.txt"' % n)
            for n in (b"_csrf", b"action", b"until", b"reason", b"sure", b"number", b"text", b"role", b"name")
        )
        + end,
        "a broken workbook": part(file + b'"a.xlsx"', b"PK\x03\x04" + b"\0" * 60) + end,
        "a picture that is none": part(file + b'"a.png"', b"\x89PNG", b"Content-Type: \xff/\0\r\n") + end,
        "parts within parts": part(b"", b"--c--", b"Content-Type: multipart/mixed; boundary=c\r\n") + end,
        "long headers of a part": part(b'; name="a"', more=b"X: " + b"y" * 70_000 + b"\r\n") + end,
        "many headers of a part": part(b'; name="a"', more=b"X: y\r\n" * 3_000) + end,
        "quoted-printable": part(b'; name="a"', b"=", b"Content-Transfer-Encoding: quoted-printable\r\n") + end,
        "bare line feeds": (field + end).replace(b"\r\n", b"\n"),
    }.items():
        yield f"parts: {name}", b"multipart/form-data; boundary=b", field + text


class Walker:
    """Somebody with a right link and cookie who asks for everything in every odd way, and looks at each answer."""

    def __init__(self, office: Office, client: httpx.AsyncClient) -> None:
        self.client = client
        self.desk = office.link()
        self.faults: list[str] = []
        self.statuses: Counter[int] = Counter()

    async def ask(self, method: str, path: str, said: str = "", **how: object) -> None:
        headers = how.pop("headers", ())
        request = self.client.build_request(method, f"{URL}{path}", **how)  # type: ignore[arg-type]
        request.headers.update(httpx.Headers(headers))  # type: ignore[arg-type]
        request.headers.encoding = "iso-8859-1"  # it had settled on ASCII before
        try:
            answer = await self.client.send(request, follow_redirects=False)
        except Exception as error:  # noqa: BLE001  what a server would answer with 500
            self.faults.append(f"{method} {path[-60:]} {said}: {error!r}")
            return
        self.statuses[answer.status_code] += 1
        inside = [word for word in INSIDE if word in answer.text]
        if answer.status_code >= 500 or inside or "x-evil" in answer.headers:
            self.faults.append(f"{method} {path[-60:]} {said}: {answer.status_code} {inside} {answer.text[-300:]}")
        if answer.headers.get("x-content-type-options") != "nosniff":
            self.faults.append(f"{method} {path[-60:]} {said}: without our headers")


@asynccontextmanager
async def walking(office: Office) -> AsyncIterator[Walker]:
    rules = PortalRules(posts_per_minute=10**9, requests_per_minute=10**9, bad_links_per_minute=10**9)
    async with clerk_of(office, rules)() as client:
        walker = Walker(office, client)
        yield walker
        assert not walker.faults, f"{len(walker.faults)} faults, {walker.statuses}:\n" + "\n".join(walker.faults[:10])
        assert (await client.get(walker.desk)).status_code == 200  # it is as well as before


async def test_odd_numbers_and_links_are_not_there(office: Office) -> None:
    before = recorded(office)
    async with walking(office) as walker:
        for number in NUMBERS:
            for method, path in paths(number=7_654_321):
                if "7654321" in path:
                    await walker.ask(method, walker.desk + path.replace("7654321", number))
        for key in NUMBERS:
            await walker.ask("GET", f"{walker.desk}/v/{key}")
            await walker.ask("POST", f"{walker.desk}/v/{key}/upload")
        for link in LINKS:
            for method, path in paths(number=1):
                await walker.ask(method, f"/u/{link}{path}")
        assert set(walker.statuses) <= {200, 303, 403, 404, 405}, walker.statuses
    assert recorded(office) == before


async def test_odd_methods_and_headers_break_no_route(office: Office) -> None:
    before = recorded(office)
    async with walking(office) as walker:
        everywhere = [("GET", path) for path in EVERYWHERE]
        mine = [(method, walker.desk + path) for method, path in paths(number=office.obligation("progress"))]
        for path in {path for _, path in (*everywhere, *mine)}:
            for method in METHODS:
                await walker.ask(method, path)
        for method, path in (*everywhere, *mine):
            for name, value in HEADERS:
                await walker.ask(method, path, f"{name!r}: {value[:20]!r}", headers=[(name, value)])
    assert recorded(office) == before


async def test_no_body_breaks_a_route_that_takes_one(office: Office) -> None:
    async with walking(office) as walker:
        page = await walker.client.get(f"{walker.desk}/upload")
        token = page.text.split('name="_csrf" value="')[1][:64]
        for deliverable in ("progress", "scheme"):
            number = office.obligation(deliverable)
            for path in [path for method, path in paths(number=number) if method == "POST"]:
                for name, claimed, body in bodies(token):
                    await walker.ask(
                        "POST", walker.desk + path, name, headers=[(b"Content-Type", claimed)], content=body
                    )
        assert walker.statuses[303] > 0, walker.statuses


RAW = (
    b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff" * 3_000,
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
    b"POST {desk}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nContent-Length: 10\r\n\r\n123456789",
    b"POST {desk}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: -9\r\n\r\n",
    b"POST {desk}/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
    b"POST {desk}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: multipart/form-data; boundary=b"
    b"\r\n\r\n--b\r\nContent-Dispo",
    b"GET {desk}%ff%00%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET {desk} HTTP/1.0\r\n\r\n", b"GET {desk}#%ff?\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
)  # fmt: skip


@pytest.mark.parametrize("proxies", ["", "*"])
async def test_what_is_no_http_ends_a_connection_and_nothing_else(office: Office, proxies: str) -> None:
    app, stop, port = create_app(lambda: office.house, lambda: office.now), asyncio.Event(), free_port()
    serving = asyncio.create_task(run_beside(app, listen_on("127.0.0.1", port), stop, proxies=proxies))
    desk, before = office.link(), recorded(office)

    async def say(raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = b""
        with suppress(ConnectionError):
            writer.write(raw)
            await writer.drain()
            with suppress(TimeoutError):
                answer = await asyncio.wait_for(reader.read(100_000), 0.3)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return answer

    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=8)) as client:
        assert (await client.get(f"http://127.0.0.1:{port}{desk}")).status_code == 200
        answers = await asyncio.gather(*(say(raw.replace(b"{desk}", desk.encode())) for raw in RAW))
        for raw, answer in zip(RAW, answers, strict=True):
            status = answer.split(b" ", 2)[1:2] or [b"none"]
            assert status[0] == b"none" or status[0] < b"500", (raw[:60], answer[:300])
            assert not [word for word in INSIDE if word.encode() in answer], raw[:60]
        forwarded = {b"X-Forwarded-For": b"\xff, ::1, x" * 50, b"X-Forwarded-Proto": b"gopher"}
        assert (await client.get(f"http://127.0.0.1:{port}{desk}", headers=forwarded)).status_code == 200
    stop.set()
    await asyncio.wait_for(serving, 10)
    assert recorded(office) == before
