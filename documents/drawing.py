"""Small drawings as SVG, for pages that take pictures but no styles: a data: address carries the whole drawing.

They bring their own colours and a white ground, and so read alike on a light page and on a dark one.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

INK, PALE, RULE = "#212121", "#757575", "#e0e0e0"
FONTS = "'Microsoft YaHei','PingFang SC','Noto Sans CJK SC','Source Han Sans SC',sans-serif"


class Drawing:
    """A drawing of a fixed size, in units that are pixels where it is shown at its own width."""

    def __init__(self, width: int, height: int) -> None:
        """Begin with an empty white sheet."""
        self.width = width
        self.height = height
        self._parts = [f'<rect width="{width}" height="{height}" fill="#ffffff"/>']

    def box(self, x: float, y: float, width: float, height: float, fill: str, *, round_: float = 0) -> None:
        """Draw a filled box."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_}" fill="{fill}"/>'
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, stroke: str, *, width: float = 1, dash: str = ""
    ) -> None:
        """Draw a straight line; ``dash`` as in SVG, ``4 3``."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
            f'stroke-width="{width}"{dashes}/>'
        )

    def path(self, points: Sequence[tuple[float, float]], stroke: str, *, width: float = 2) -> None:
        """Draw a line through points."""
        through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{through}" fill="none" stroke="{stroke}" stroke-width="{width}"/>')

    def diamond(self, x: float, y: float, size: float, fill: str) -> None:
        """Draw a diamond around a point."""
        corners = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f} {x - size:.1f},{y:.1f}"
        self._parts.append(f'<polygon points="{corners}" fill="{fill}"/>')

    def text(
        self,
        x: float,
        y: float,
        said: str,
        *,
        size: int = 13,
        fill: str = INK,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Write a line of text whose foot stands on ``y``; ``anchor``: start, middle, end."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"{weight}>'
            f"{escape(said)}</text>"
        )

    def svg(self) -> str:
        """Return the drawing as an SVG document."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="{FONTS}">{"".join(self._parts)}</svg>'
        )

    def address(self) -> str:
        """Return the drawing as a data: address."""
        return "data:image/svg+xml;base64," + b64encode(self.svg().encode()).decode()
