"""What running a whole and its parts showed."""

from typing import NamedTuple


class Difference(NamedTuple):
    """A tensor that the parts compute otherwise than the whole.

    Attributes:
      tensor: its name.
      operator: what makes it.
      file: of the part in which that is.
      largest: the largest absolute difference; NaN where one of the two is not finite, or shapes or
        types differ.
      scale: the largest absolute value in the whole's.
    """

    tensor: str
    operator: str
    file: str
    largest: float
    scale: float

    def __str__(self) -> str:
        return (
            f"{self.tensor!r}, by {self.operator} in {self.file}: {self.largest:.2g} apart,"
            f" values up to {self.scale:.2g}"
        )


class Check(NamedTuple):
    """What running whole and parts showed.

    Attributes:
      num_parts: how many parts ran.
      outputs: the outputs of the model that were compared.
      differing: those that are not equal to the last bit.
      first: the first tensor, in the order of the parts, that a part computes otherwise; None if
        there is none.
    """

    num_parts: int
    outputs: tuple[str, ...]
    differing: tuple[Difference, ...] = ()
    first: Difference | None = None

    @property
    def equal(self) -> bool:
        """Whether all outputs are equal to the last bit."""
        return not self.differing

    def __str__(self) -> str:
        what = f"{self.num_parts} parts, {len(self.outputs)} outputs"
        if self.equal:
            return f"{what}: equal to the last bit"
        start = f"; it starts with {self.first}" if self.first else ""
        return f"{what}: {'; '.join(map(str, self.differing))}{start}"
