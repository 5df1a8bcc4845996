"""The text of a mail that is only HTML, for a person to read and nothing else."""

from html.parser import HTMLParser

BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table"})
UNSEEN = frozenset({"style", "script", "head", "title"})
LONGEST = 200_000  # characters of HTML that are read


class _Text(HTMLParser):
    """Collects what would be seen."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in UNSEEN:
            self._unseen += 1
        elif tag in BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN and self._unseen:
            self._unseen -= 1

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data)


def text_of_page(html: str) -> str:
    """Return the text of an HTML page, one line a paragraph."""
    reader = _Text()
    reader.feed(html[:LONGEST])
    reader.close()
    lines = ("".join(reader.pieces)).replace("\r", "\n").split("\n")
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())
