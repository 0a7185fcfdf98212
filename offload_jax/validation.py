"""What every check of input shares: arrays from anything, and errors that say where and why.

An error names the field, the rule and the first bad index: `device_speed[3] = -1.0: must be finite
and greater than 0`.
"""

import functools
import math
import numbers
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing

if TYPE_CHECKING:
    Array = jax.Array | np.ndarray
    ArrayLike = numpy.typing.ArrayLike
    Number = float | Array
else:
    # JAX rebuilds pytrees with whatever it likes in place of their arrays, such as `object()`, and
    # a run-time checker of annotations has to bear that.
    Array = ArrayLike = Number = Any


FLOAT64 = np.dtype(np.float64)
_SMALL = 1 << 16


class Rule(NamedTuple):
    """What the values of a field must be.

    Attributes:
      holds: array to booleans, for NumPy and JAX alike.
      wording: the rule as an error says it.
    """

    holds: Callable[[Any], Any]
    wording: str


FINITE = Rule(lambda v: (v >= 0) & (v < math.inf), "must be finite and not negative")
POSITIVE = Rule(lambda v: (v > 0) & (v < math.inf), "must be finite and greater than 0")
BANDWIDTH = FINITE._replace(wording=f"{FINITE.wording} (0 is a dead link)")
COST = Rule(lambda v: v >= 0, "must not be negative or NaN (inf marks what is impossible)")


def is_traced(*trees: Any) -> bool:
    """True if any array of the trees has no values yet: inside `jit`, `vmap` and the like."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def is_spread(*trees: Any) -> bool:
    """True if any array of the trees lies on several devices."""
    leaves = (leaf for leaf in jax.tree.leaves(trees) if isinstance(leaf, jax.Array))
    return any(len(leaf.sharding.device_set) > 1 for leaf in leaves if not is_traced(leaf))


def is_small(value: Any) -> bool:
    """Whether to look at a concrete array on the host: in JAX each shape is another program."""
    return isinstance(value, np.ndarray) or (value.size <= _SMALL and not is_spread(value))


def is_for_host(*trees: Any) -> bool:
    """Whether to compute from arrays on the host: they have values, and are there or small."""
    if is_traced(trees) or is_spread(trees):
        return False
    return jax.default_backend() == "cpu" or all(map(is_small, jax.tree.leaves(trees)))


def check_class(name: str, value: Any, *classes: type) -> None:
    """Refuses an argument of another class, such as one of two that were swapped.

    Raises:
      ValueError: names the argument, what it must be and what it is, and for a request what takes
        it.
    """
    if not isinstance(value, classes):
        names = ("None" if each is type(None) else each.__name__ for each in classes)
        wanted = " or ".join(names)
        article = "an" if wanted[0] in "AEIO" else "a"
        taken_by = getattr(value, "taken_by", None)
        instead = f" (taken by {taken_by})" if taken_by else ""
        raise ValueError(f"{name}: must be {article} {wanted}, got {type(value).__name__}{instead}")


def check_known(name: str, value: Any, known: Iterable[str], kind: str = "") -> None:
    """Refuses a name, of what `kind` says, that is not known.

    Raises:
      ValueError: lists the known ones.
    """
    if value not in known:
        raise ValueError(f"{name}: unknown {kind}{value!r}, known are {', '.join(known)}")


def check_integer(name: str, value: Any, *, least: int = 1) -> None:
    """Refuses what is no integer, or below `least`.

    Raises:
      ValueError: names the argument and the rule.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name} = {value!r:.60}: must be an integer of at least {least}")


def as_names(field: str, names: Any) -> tuple[str, ...]:
    """A tuple of strings.

    Raises:
      ValueError: names the field and the first entry that is no string.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ValueError(f"{field}: must be a list of strings, got {names!r:.60}")
    names = tuple(names)
    for index, name in enumerate(names):
        check_class(f"{field}[{index}]", name, str)
    return names


def check_positive(name: str, value: Any) -> None:
    """Refuses what is no finite number above 0.

    Raises:
      ValueError: names the argument.
    """
    real = isinstance(value, numbers.Real)
    if not real or not 0 < value <= sys.float_info.max:
        raise ValueError(f"{name} = {value!r:.60}: must be finite and greater than 0")


def check_unmasked(name: str, value: Any) -> None:
    """Refuses an array with masked entries: NumPy would read what lies under the mask.

    Raises:
      ValueError: names the field and the first masked index.
    """
    if isinstance(value, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(value)
        require(name, np.where(missing, "masked", "given"), ~missing, "no entry may be masked")


def as_array(name: str, value: Any) -> np.ndarray:
    """What NumPy makes of lists and the like.

    Raises:
      ValueError: names the field; entries are masked, or lists of several lengths.
    """
    check_unmasked(name, value)
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: cannot be converted to an array of numbers: {error}") from None


def as_float_array(name: str, value: Any) -> Any:
    """Converts what NumPy can convert; leaves JAX arrays, tracers and pytree sentinels alone.

    Args:
      name: the field, for the error.
      value: an array, a number, a list, or anything with `__array__`.

    Raises:
      ValueError: NumPy cannot make real numbers of it.
    """
    convertible = isinstance(value, (bool, int, float, list, tuple, np.ndarray, np.generic))
    if isinstance(value, jax.Array) or not (convertible or hasattr(value, "__array__")):
        return value
    array = as_array(name, value)
    if array.dtype.kind == "f" and array.itemsize <= 8:
        return array
    # Integers become floats here because JAX would otherwise wrap them at 32 bits; it knows nothing
    # longer than float64.
    if array.dtype.kind in "fiu":
        with np.errstate(over="ignore"):  # what becomes `inf` is refused with its index
            return array.astype(np.float64)
    raise ValueError(f"{name}: must hold real numbers, got dtype {array.dtype}")


def as_float64(name: str, value: Any) -> np.ndarray:
    """A copy in float64 of real numbers; quick for float64, since single requests wait for it.

    Raises:
      ValueError: names the field.
    """
    if type(value) is np.ndarray and value.dtype is FLOAT64:
        return value.copy()
    if type(value) is list or type(value) is float:
        try:
            array = np.array(value)
        except ValueError:
            array = None  # refused below, by name
        if array is not None and array.dtype is FLOAT64:
            return array
    value = as_float_array(name, value)
    check_kind(name, value)
    return np.array(value, np.float64, order="C")


def check_kind(name: str, value: Any) -> None:
    """Refuses what is no array of real numbers.

    Raises:
      ValueError: names the field.
    """
    if not hasattr(value, "shape"):
        raise ValueError(f"{name}: must be an array of numbers, got {value!r:.60}")
    if not any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise ValueError(f"{name}: must hold real numbers, got dtype {value.dtype}")


def broadcast_shapes(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The common batch shape of fields.

    Args:
      shapes: the batch dimensions of each field, by its name.

    Raises:
      ValueError: names the first field that does not fit the ones before it.
    """
    try:
        return _broadcast(*shapes.values())
    except ValueError:
        batch: tuple[int, ...] = ()
        for name, shape in shapes.items():
            try:
                batch = _broadcast(batch, shape)
            except ValueError:
                raise ValueError(
                    f"{name}: batch dimensions {shape} do not broadcast with {batch} of the fields"
                    " before it"
                ) from None
        raise


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except TypeError:  # `jax.export` traces with dimensions that have no value yet
        return jnp.broadcast_shapes(*shapes)


def check_values(fields: Mapping[str, Array], rules: Mapping[str, Rule]) -> None:
    """Checks concrete arrays as the kernels will see them.

    Without x64, JAX narrows float64 to float32. What becomes 0 or `inf` by that is refused, since
    solvers would take a large cost for an impossible one.

    Args:
      fields: arrays by name; traced ones are passed over, for they have no values yet.
      rules: the rule of each field, by the same names.

    Raises:
      ValueError: names the first field that breaks its rule, with rule, index and value.
    """
    known = {n: v for n, v in fields.items() if not isinstance(v, jax.core.Tracer)}
    # NumPy need not warn of what is refused below (and a warning turned into an error inside JAX's
    # conversion crashes the process).
    with np.errstate(over="ignore", under="ignore"), jax.ensure_compile_time_eval():
        # Large NumPy arrays, too: to look at them there costs less than to move them.
        on_host = [name for name, value in known.items() if is_small(value)]
        rest = [name for name in known if name not in on_host]
        held = all(_holds_on_host(np.asarray(known[name]), rules[name]) for name in on_host)
        if held and rest:
            values = [known[name] for name in rest]
            held = bool(_all_hold(values, rules=tuple(rules[name] for name in rest)))
        if held:
            return
        for name, value in known.items():
            given = np.asarray(value)
            seen = np.asarray(jnp.asarray(given))
            good = rules[name].holds(seen) & ~(np.isinf(seen) & np.isfinite(given))
            require(name, given, good, rules[name].wording, seen=seen)
    raise AssertionError("the fast check and the detailed check of values disagree")


@functools.partial(jax.jit, static_argnames="rules")
def _all_hold(values: list[Any], *, rules: tuple[Rule, ...]) -> jax.Array:
    held = [jnp.all(rule.holds(value)) for value, rule in zip(values, rules, strict=True)]
    return jnp.all(jnp.stack(held))


def _holds_on_host(value: Any, rule: Rule) -> bool:
    """Rules are intervals, and narrowing keeps order: the least and the largest value decide."""
    if not value.size:
        return True
    dtype = jax.dtypes.canonicalize_dtype(value.dtype)
    least, largest = value.min(), value.max()
    if not np.all(rule.holds(np.array([least, largest]))):
        return False
    if largest == math.inf and dtype != value.dtype:
        # What is infinite only after narrowing hides behind what is so before.
        largest = np.max(value, where=value < math.inf, initial=least)
    seen = np.array([least, largest]).astype(dtype)
    return bool(np.all(rule.holds(seen))) and bool(np.isinf(seen[1]) == np.isinf(largest))


def require(name: str, values: ArrayLike, good: Any, rule: str, *, seen: Any = None) -> None:
    """Raises at the first value that breaks a rule.

    Args:
      name: the field.
      values: what was given.
      good: booleans of the same shape.
      rule: how the error words the rule.
      seen: the values after narrowing, where that may have caused it.

    Raises:
      ValueError: not all are good; names field, index, value and rule.
    """
    bad = np.argwhere(~np.asarray(good))
    if not len(bad):
        return
    values, index = np.asarray(values), tuple(int(i) for i in bad[0])
    where = f"{name}{list(index)}" if index else name
    note = ""
    if seen is not None and 0 < values[index] < math.inf:
        note = f" ({seen.dtype} rounds it to {seen[index]})"
    raise ValueError(f"{where} = {values[index]}{note}: {rule}")
