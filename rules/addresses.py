"""What an e-mail address is that any mail system on the way will take (RFC 5321, in ASCII and without quoting).

And what a telephone number is, as people write it.
"""

import re

FEWEST_DIGITS = 5  # of a telephone number: 12345 is one
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = re.compile(rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){ATOM}(?:\.{ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


def is_address(text: str) -> bool:
    """Whether a text is an address that can be written to."""
    return ADDRESS.fullmatch(text) is not None


def is_telephone(text: str) -> bool:
    """Whether a text may be dialled: 022-12345678, +86 138 0013 8000, 022-12345678转8001; never one without digits."""
    return sum(character.isdecimal() for character in text) >= FEWEST_DIGITS
