"""The door to the staff pages: from where one may come, the cookie of a visit, and the tokens of its forms."""

import hmac
import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

SCOPE_VISIT, SCOPE_FORM = b"muster staff visit 1", b"muster staff form 1"
KEY = re.compile(r"[A-Za-z0-9_-]{43}\.[0-9a-f]{64}")
PROXIED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via")
HOME = "/staff/"
PATH = re.compile(r"/staff/[A-Za-z0-9_./?=&:%#~-]{0,300}")
HIDDEN = re.compile(r"[^?#]*%2[ef]", re.IGNORECASE)  # a dot or slash written so in the path: browsers read it as one


def is_local(request: Request) -> bool:
    """Whether somebody sits at this machine.

    Where a proxy stands before us everybody comes from its address: whatever bears the marks of one is not local, nor
    what asks for another host than this machine (a page on the network that a browser here was led to).
    """
    if any(name in request.headers for name in PROXIED) or request.scope.get("http_version") == "1.0":
        return False
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return _is_loopback(request.client.host if request.client is not None else "") and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def cookie_name(*, secure: bool) -> str:
    """Return the cookie's name; by https one that no other host of the domain can set."""
    return "__Host-muster-staff" if secure else "muster-staff"


def sealed(secret: bytes, key: str) -> str:
    """Return a visit's key as the browser keeps it, signed."""
    return f"{key}.{_mac(secret, SCOPE_VISIT, key)}"


def key_of(request: Request, secret: bytes, *, secure: bool) -> str:
    """Return the key of the visit that a browser brings, empty if it brings none that we signed."""
    found = request.cookies.get(cookie_name(secure=secure), "")
    if not KEY.fullmatch(found):
        return ""
    key, _, mac = found.partition(".")
    return key if hmac.compare_digest(mac, _mac(secret, SCOPE_VISIT, key)) else ""


def form_token(secret: bytes, key: str) -> str:
    """Return what every form of a visit must bring back."""
    return _mac(secret, SCOPE_FORM, key)


def is_ours(request: Request, secret: bytes, key: str, given: str) -> bool:
    """Whether a form was sent from a page of ours, in the same visit."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return hmac.compare_digest(form_token(secret, key).encode(), given.encode("utf-8", "replace"))


def _mac(secret: bytes, scope: bytes, text: str) -> str:
    return hmac.digest(hmac.digest(secret, scope, "sha256"), text.encode(), "sha256").hex()


def way_on(wanted: str) -> str:
    """Return where to go after the login: a staff page, and nothing else, whatever was asked for."""
    fit = PATH.fullmatch(wanted) and "//" not in wanted and "/.." not in wanted and not HIDDEN.match(wanted)
    return wanted if fit and not wanted.startswith(("/staff/login", "/staff/logout")) else HOME
