"""The task graph problem: tasks that need each other's results, processors and links they share."""

import dataclasses
from typing import Any, ClassVar

import jax
import numpy as np

from offload_jax.batching import Batched
from offload_jax.network import Place
from offload_jax.validation import (
    BANDWIDTH,
    FINITE,
    POSITIVE,
    Array,
    ArrayLike,
    as_array,
    as_float_array,
    broadcast_shapes,
    check_class,
    check_integer,
    check_kind,
    check_values,
    is_small,
    is_traced,
    require,
)

ONE_RESULT = "with send_once all edges out of a task carry the same bytes"

# Trailing axes of each field of one user.
AXES: dict[str, tuple[str, ...]] = {
    "cycles": ("N",),
    "data": ("N", "N"),
    "depends": ("N", "N"),
    "input": ("N",),
    "output": ("N",),
    "device_speed": (),
    "edge_speed": (),
    "device_edge_bandwidth": (),
    "edge_cloud_bandwidth": (),
    "release": ("N",),
    "user": ("N",),
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class GraphProblem(Batched):
    """One request that is a graph of tasks, several of different users, or a batch of them.

    Tasks are numbered so that none needs a later one. Leading batch dimensions are free and
    broadcast against each other, so one graph under a thousand link conditions is one call. A task
    without cycles, edges, bytes and release changes nothing: graphs of different sizes share a
    batch by being filled up with such tasks.

    Attributes:
      cycles: `[..., N]` CPU cycles of each task.
      data: `[..., N, N]` bytes from task u to task v at [u, v], read only where `depends`; 0 bytes
        still order the two.
      depends: bool `[..., N, N]` True at [u, v] where v needs u; only where u < v.
      input: `[..., N]` bytes that the device holds and the task needs before it starts.
      output: `[..., N]` bytes of the task's result that must reach the device.
      device_speed: `[...]` cycles per second of the device, one task at a time; of several users
        `[..., U]`, a device for each.
      edge_speed: `[...]` cycles per second of each CPU of the edge.
      device_edge_bandwidth: `[...]` bytes per second, each way; 0 is a link that is down. Of
        several users `[..., U]`, a link for each, unless they share one.
      edge_cloud_bandwidth: `[...]` bytes per second, each way; 0 is a link that is down.
      edge_servers: CPUs of the edge, the same for the batch.
      release: `[..., N]` seconds before which a task and its input are not there.
      send_once: False, every edge moves bytes of its own. True, row u of `data` is one result,
        equal on all its edges; it crosses each link at most once in each direction, and is then
        where it has passed: a reader there or beyond takes the copy furthest along its route.
      user: int `[..., N]` whom each task belongs to. Its device is that user's; edges join tasks of
        one user; edge, cloud and what joins them are there for all.
      num_users: U, the same for the batch.
      shared_radio: whether all users send over one link to the edge, one at a time, and receive
        over one, as in a radio cell.
    """

    cycles: Array
    data: Array
    depends: Array
    input: Array
    output: Array
    device_speed: Array
    edge_speed: Array
    device_edge_bandwidth: Array
    edge_cloud_bandwidth: Array
    edge_servers: int = dataclasses.field(metadata={"static": True})
    release: Array
    send_once: bool = dataclasses.field(metadata={"static": True})
    user: Array
    num_users: int = dataclasses.field(metadata={"static": True})
    shared_radio: bool = dataclasses.field(metadata={"static": True})

    taken_by: ClassVar[str] = "the functions of oj.graphs"

    def __init__(
        self,
        cycles: ArrayLike,
        data: ArrayLike,
        depends: ArrayLike,
        input: ArrayLike,
        output: ArrayLike,
        device_speed: ArrayLike,
        edge_speed: ArrayLike,
        device_edge_bandwidth: ArrayLike,
        edge_cloud_bandwidth: ArrayLike,
        edge_servers: int = 1,
        release: ArrayLike = 0.0,
        send_once: bool = False,
        user: ArrayLike = 0,
        num_users: int = 1,
        shared_radio: bool = False,
    ) -> None:
        given = locals()
        converts = {"depends": as_bool_array, "user": as_integer_array}
        for name in AXES:
            convert = converts.get(name, as_float_array)
            object.__setattr__(self, name, convert(name, given[name]))
        for name in ("edge_servers", "send_once", "num_users", "shared_radio"):
            object.__setattr__(self, name, given[name])
        shape = np.shape(self.cycles)
        object.__setattr__(self, "release", for_tasks(self.release, shape))
        object.__setattr__(self, "user", users_of(self.user, shape, num_users))

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """Names of the trailing axes of each field: tasks N, and users U if there are several."""
        if self.num_users == 1:
            return AXES
        of_users = {"device_speed": ("U",)}
        if not self.shared_radio:
            of_users["device_edge_bandwidth"] = ("U",)
        return AXES | of_users

    @property
    def own_axes(self) -> dict[str, int]:  # type: ignore[override]
        """See `Batched`."""
        return {name: len(axes) for name, axes in self.axes.items()}

    @property
    def num_tasks(self) -> int:
        """N, the number of tasks."""
        return np.shape(self.cycles)[-1]

    @property
    def num_places(self) -> int:
        """K, the number of places: device, edge and cloud."""
        return len(Place)


def as_bool_array(name: str, value: Any) -> Any:
    """Converts lists of booleans, or of 0 and 1; leaves JAX arrays and pytree sentinels alone."""
    convertible = isinstance(value, (bool, int, list, tuple)) or hasattr(value, "__array__")
    if isinstance(value, jax.Array) or not convertible:
        return value
    array = as_array(name, value)
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name}: must hold booleans, got dtype {array.dtype}")
    return array.astype(bool)


def validate(problem: GraphProblem) -> None:
    """Checks the shapes and values of a problem, or of every problem of a batch.

    Args:
      problem: with concrete arrays. Under `jit` or `vmap` only shapes are known: validate before.

    Raises:
      ValueError: names the field, the rule, the first bad index and its value.
    """
    validate_shapes(problem)
    floats = [name for name in AXES if name not in ("depends", "user")]
    rules = dict.fromkeys(floats, FINITE)
    rules |= {"device_speed": POSITIVE, "edge_speed": POSITIVE}
    rules |= {"device_edge_bandwidth": BANDWIDTH, "edge_cloud_bandwidth": BANDWIDTH}
    fields = {name: getattr(problem, name) for name in floats}
    fields["data"] = data_on_edges(problem.depends, problem.data)
    check_values(fields, rules)
    validate_edges(problem.depends, fields["data"], problem.send_once)
    check_users(problem.user, problem.num_users)
    if problem.num_users > 1 and not is_traced(problem.user, problem.depends):
        user, depends = np.asarray(problem.user), np.asarray(problem.depends)
        good = ~depends | (user[..., :, None] == user[..., None, :])
        depends = np.broadcast_to(depends, good.shape)
        require("depends", depends, good, "edges must join tasks of one user")


def check_users(user: Any, num_users: int) -> None:
    """Refuses users that there are not; while tracing none is known."""
    if not is_traced(user):
        known = (np.asarray(user) >= 0) & (np.asarray(user) < num_users)
        require("user", user, known, f"users are 0..{num_users - 1}")


def data_on_edges(depends: Any, data: Any) -> Any:
    """`data` with 0 where no edge is, since nothing is said of the bytes there."""
    if is_traced(depends, data):
        return data
    return np.where(depends, data, 0.0) if is_small(data) else jax.numpy.where(depends, data, 0.0)


def for_tasks(value: Any, shape: tuple[int, ...]) -> Any:
    """A number for all tasks as one for each of them; others as they are."""
    is_number = isinstance(value, np.ndarray) and not value.ndim
    return np.broadcast_to(value, shape) if is_number else value


def users_of(value: Any, shape: tuple[int, ...], num_users: Any) -> Any:
    """Likewise; what says nothing, since there is one user, fits any number of tasks."""
    known = isinstance(value, (np.ndarray, jax.Array)) and value.ndim and shape
    if known and num_users == 1 and value.shape[-1] != shape[-1]:
        value = np.broadcast_to(np.int32(0), (*value.shape[:-1], shape[-1]))
    return for_tasks(value, shape)


def as_integer_array(name: str, value: Any) -> Any:
    """int32 of lists and NumPy's integers; leaves JAX arrays and pytree sentinels alone."""
    if isinstance(value, (bool, int, list, tuple)):
        value = as_array(name, value)
    if isinstance(value, np.ndarray) and value.dtype.kind not in "iu":
        raise ValueError(f"{name}: must hold integers, got dtype {value.dtype}")
    return value.astype(np.int32) if isinstance(value, np.ndarray) else value


def check_integers(name: str, value: Any) -> None:
    """Refuses what is no array of integers."""
    if not jax.numpy.issubdtype(value.dtype, jax.numpy.integer):
        raise ValueError(f"{name}: must hold integers, got dtype {value.dtype}")


def check_booleans(name: str, value: Any) -> None:
    """Refuses what is no array of booleans."""
    if np.dtype(getattr(value, "dtype", float)).kind != "b":
        raise ValueError(f"{name}: must hold booleans, got {value!r:.60}")


def validate_shapes(problem: GraphProblem) -> None:
    """The part of `validate` that needs no values and so also works while tracing."""
    for name in AXES:
        if name not in ("depends", "user"):
            check_kind(name, getattr(problem, name))
    check_booleans("depends", problem.depends)
    check_integers("user", problem.user)
    for name in ("edge_servers", "num_users"):
        check_integer(name, getattr(problem, name))
    check_class("shared_radio", problem.shared_radio, bool, np.bool_)
    check_axes(problem, problem.axes, {"U": problem.num_users})


def check_axes(source: Batched, axes: dict[str, tuple[str, ...]], sizes: dict[str, int]) -> None:
    """Checks trailing axes and that leading ones broadcast.

    Args:
      source: holds the fields.
      axes: the names of the trailing axes of each field.
      sizes: known sizes by name; others are taken from the first field that has them.
    """
    for name, tail in axes.items():
        shape = np.shape(getattr(source, name))
        if len(shape) < len(tail):
            raise ValueError(f"{name}: needs the axes [..., {', '.join(tail)}], got shape {shape}")
        for letter, size in zip(tail, shape[len(shape) - len(tail) :], strict=True):
            known = sizes.setdefault(letter, size)
            if size == 0 and letter == "N":
                raise ValueError(f"{name}: a task graph needs at least one task, got N = 0")
            if size != known and not (name == "release" and size == 1):
                raise ValueError(
                    f"{name}: axes [..., {', '.join(tail)}] with {letter} = {known} do not fit"
                    f" shape {shape}"
                )
    broadcast_shapes(source.batch_shapes)


def validate_edges(depends: Any, data: Any, send_once: Any) -> None:
    """Refuses edges from a task to itself or to an earlier one, and so every cycle.

    Args:
      depends: bool `[..., N, N]`.
      data: `[..., N, N]`, 0 where no edge is.
      send_once: whether bytes must be equal on all edges out of a task.

    Raises:
      ValueError: names the first bad edge.
    """
    check_class("send_once", send_once, bool, np.bool_)
    if is_traced(depends):
        return
    array = np.asarray(depends)
    wrong = np.argwhere(np.tril(array))
    if len(wrong):
        index = [int(i) for i in wrong[0]]
        u, v = index[-2:]
        raise ValueError(
            f"depends{index} is True: task {v} would need task {u}, but tasks must be numbered so"
            " that each needs only earlier ones (which also rules out cycles);"
            " TaskGraph.from_edges sorts them"
        )
    if send_once and not is_traced(data):
        data = np.asarray(data)
        array = np.broadcast_to(array, data.shape)
        first = np.take_along_axis(data, array.argmax(-1)[..., None], -1)
        good = ~array | (data == first)
        require("data", data, good, ONE_RESULT)
