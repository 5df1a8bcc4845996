"""What the portal bears: sizes, counts, rates. Handed in by whoever starts it."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class PortalRules:
    """Limits of one portal."""

    max_upload_bytes: int = 50 * MIB  # of one request, all its files together
    max_files: int = 10
    max_fields: int = 2_000
    posts_per_minute: int = 60  # by one link
    requests_per_minute: int = 1_200  # from one address: a whole government network may stand behind one
    bad_links_per_minute: int = 30  # from one address
    bodies: int = 32  # forms that are read and done at once, of all visitors: so many may lie in memory
    threads: int = 8  # for what is handed in
    looking_threads: int = 6  # for pages, which never wait behind it
    secure: bool = False  # reached by https: cookies are Secure, and HSTS is sent
