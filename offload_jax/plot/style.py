"""One look for all pictures: colours, the Axes they are drawn on, names and amounts."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from offload_jax.extras import needs
from offload_jax.network import Place
from offload_jax.validation import as_names, check_class

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    # A run-time checker of annotations has to bear that matplotlib is not imported here.
    Axes = Any

# Okabe and Ito: distinguishable for colour-blind readers and in grey. Places take them in order.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#999999",
    "#000000",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
GREY = "#999999"
STYLE: Any = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "lines.markersize": 4,
    "legend.frameon": False,
}
# Points: of text in the pictures, and how wide a character of it is on average.
SMALL = 7.0
_CHARACTER = 0.65 * SMALL
_PREFIXES = {
    "s": ((0, ""), (-3, "m"), (-6, "µ"), (-9, "n")),
    "B": ((9, "G"), (6, "M"), (3, "k"), (0, "")),
}
Colour = tuple[float, float, float]


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Axes that were given, or those of a new figure of that many inches.

    Raises:
      ValueError: what was given are no Axes.
      ImportError: matplotlib is not installed; names the extra.
    """
    with needs("plot"):
        import matplotlib.axes
        import matplotlib.pyplot as plt
    if ax is not None:
        check_class("ax", ax, matplotlib.axes.Axes, type(None))
        return ax
    with plt.rc_context(STYLE):
        return plt.subplots(figsize=size, layout="constrained")[1]


def place_names(places: Sequence[str] | None, least: int) -> tuple[str, ...]:
    """Names of the places: those given, else of the paper's three, else numbers.

    Args:
      places: names, or None.
      least: how many there must be.

    Raises:
      ValueError: there are too few, or they are no names.
    """
    if places is None:
        if least <= len(Place):
            return tuple(place.name.lower() for place in Place)
        return tuple(f"place {number}" for number in range(least))
    names = as_names("places", places)
    if len(names) < least:
        raise ValueError(f"places: needs the names of {least} places, got {len(names)}")
    return names


def place_colour(place: int) -> Colour:
    """The colour of a place, red, green and blue from 0 to 1."""
    return _rgb(PALETTE[place % len(PALETTE)])


def tint(colour: Colour, share: float) -> Colour:
    """A colour mixed with white: itself at a share of 1, white at 0."""
    red, green, blue = (1 - share * (1 - part) for part in colour)
    return red, green, blue


def ink(colour: Colour) -> str:
    """What text on a ground of that colour is written in."""
    return "white" if np.dot(colour, (0.3, 0.59, 0.11)) < 0.5 else "black"


def _rgb(text: str) -> Colour:
    red, green, blue = (int(text[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def shortened(name: str, most: int) -> str:
    """A name of so many characters at most, its middle left out: ends tell more than beginnings."""
    if len(name) <= most:
        return name
    head = (most - 1) // 3
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def characters(points: float) -> int:
    """How many small characters fit into a length."""
    return int(points / _CHARACTER)


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of Axes where their figure has laid them out."""
    figure: Any = ax.figure.figure  # the whole one, where `ax` is in a part
    figure.draw_without_rendering()
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi


def legend(ax: Axes, loc: Any, height: float) -> None:
    """A legend outside of the Axes, in as many columns as its longest entry allows.

    Args:
      ax: whose entries it has, if there are any.
      loc: which of its own points lies over the middle of the Axes.
      height: at which share of their height that is.
    """
    labels = ax.get_legend_handles_labels()[1]
    if labels:
        width, _ = size_in_points(ax)
        longest = max(map(len, labels))
        columns = max(1, int(width / (34 + _CHARACTER * (SMALL + 1) / SMALL * longest)))
        ax.legend(
            loc=loc,
            bbox_to_anchor=(0.5, height),
            ncols=min(columns, len(labels)),
            fontsize=SMALL + 1,
            frameon=False,
        )


def amount(value: float, unit: Literal["s", "B"]) -> str:
    """`1.2 MB`, `34 ms`: seconds or bytes with a prefix."""
    # What rounds up to a thousand has the next prefix.
    power, prefix = next(
        (entry for entry in _PREFIXES[unit] if value >= 0.9995 * 10.0 ** entry[0]),
        _PREFIXES[unit][-1],
    )
    number = value / 10.0**power
    return f"{number:.3g} {prefix}{unit}" if number < 1000 else f"{number:.0f} {prefix}{unit}"


def plain_numbers(axis: Any, *, ticks: Iterable[float] | None = None) -> None:
    """Numbers instead of powers of ten on a logarithmic axis.

    Args:
      axis: `axes.xaxis` or `axes.yaxis`.
      ticks: where; None leaves that to matplotlib.
    """
    from matplotlib.ticker import NullFormatter

    if ticks is not None:
        axis.set_ticks(np.asarray(ticks))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def formatted(unit: Literal["s", "B"]) -> Callable[[float, Any], str]:
    """What ticks of an axis in that unit are written as."""
    return lambda value, _: amount(value, unit) if value else "0"
