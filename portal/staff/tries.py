"""How often, and how many at once, passwords are tried: at the login, and where one changes one's own."""

from threading import Lock

from anyio import CapacityLimiter

from portal.limits import Rate

AT_ONCE = 2  # passwords tried at once: each takes its memory
BY_PERSON, BY_NAME, BY_ADDRESS = 5, 20, 30  # tries in a minute


class Tries:
    """A few at a time, and no more often than a person would."""

    def __init__(self) -> None:
        """Begin with nobody having tried."""
        self.at_once = CapacityLimiter(AT_ONCE)
        self._by_person, self._by_name, self._by_address = Rate(BY_PERSON), Rate(BY_NAME), Rate(BY_ADDRESS)
        self._lock = Lock()  # the login takes its tries in the loop, a deed in a thread

    def take(self, name: str, address: str) -> bool:
        """Take one try; return whether there was any. What is refused to an address is not taken from the name's."""
        with self._lock:
            return (
                self._by_address.take(address)
                and self._by_person.take(f"{name} {address}")
                and self._by_name.take(name)
            )
