"""What an e-mail address is that any mail system on the way will take: RFC 5321, in ASCII and without quoting."""

import re

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = re.compile(rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){ATOM}(?:\.{ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


def is_address(text: str) -> bool:
    """Whether a text is an address that can be written to."""
    return ADDRESS.fullmatch(text) is not None
