"""A task graph before anything is known of processors and links: sparse, on the host, any size."""

import dataclasses
import heapq
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from offload_jax import validation

if TYPE_CHECKING:
    from offload_jax.graphs.problem import GraphProblem

# Dense [N, N] arrays of this many tasks take 144 MiB.
MAX_DENSE_TASKS = 4096
_LONGEST_CYCLE_SHOWN = 8


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TaskGraph:
    """Tasks, what each needs from others and how many bytes pass, with N tasks and M edges.

    `from_edges` makes one of lists and of tasks in any order.

    Attributes:
      names: N different names of the tasks, in a topological order.
      cycles: `[N]` float64, CPU cycles of each task.
      edges: `[M, 2]` int64, pairs u, v with u < v: task v needs what u computes.
      data: `[M]` float64, bytes that pass over each edge.
      input: `[N]` float64, bytes that the device holds and the task needs before it starts.
      output: `[N]` float64, bytes of the task's result that must reach the device.
      send_once: False: every edge moves its own bytes. True: the bytes are equal on all edges out
        of a task because they are one result, which crosses each link at most once.
    """

    names: tuple[str, ...]
    cycles: np.ndarray
    edges: np.ndarray
    data: np.ndarray
    input: np.ndarray
    output: np.ndarray
    send_once: bool = False

    taken_by: ClassVar[str] = "oj.graphs.network_costs"

    def __post_init__(self) -> None:
        names = validation.as_names("names", self.names)
        object.__setattr__(self, "names", names)
        num_tasks = len(names)
        if num_tasks == 0:
            raise ValueError("names: a task graph needs at least one task")
        if len(set(names)) != num_tasks:
            first: dict[str, int] = {}
            for index, name in enumerate(names):
                if first.setdefault(name, index) != index:
                    raise ValueError(
                        f"names[{index}] = {name!r}: task {first[name]} has that name already"
                    )
        edges = _edge_array(self.edges, names)
        object.__setattr__(self, "edges", edges)
        self._check_edges()
        for field, length in (
            ("cycles", num_tasks),
            ("data", len(edges)),
            ("input", num_tasks),
            ("output", num_tasks),
        ):
            object.__setattr__(self, field, self._checked(field, length))
        validation.check_class("send_once", self.send_once, bool, np.bool_)
        if self.send_once:
            self._check_one_result()

    def _check_edges(self) -> None:
        edges, names = self.edges, self.names
        outside = np.flatnonzero(((edges < 0) | (edges >= len(names))).any(axis=1))
        if outside.size:
            u, v = edges[outside[0]]
            raise ValueError(
                f"edges[{outside[0]}] = ({u}, {v}): unknown task, tasks are 0 to {len(names) - 1}"
            )
        backward = np.flatnonzero(edges[:, 0] >= edges[:, 1])
        if backward.size:
            u, v = edges[backward[0]]
            raise ValueError(
                f"edges[{backward[0]}] = ({u}, {v}), {names[u]!r} to {names[v]!r}: must lead to a"
                " later task; TaskGraph.from_edges sorts"
            )
        order = np.lexsort((edges[:, 1], edges[:, 0]))
        repeated = np.flatnonzero((np.diff(edges[order], axis=0) == 0).all(axis=1))
        if repeated.size:
            index = int(order[repeated + 1].min())
            u, v = edges[index]
            raise ValueError(
                f"edges[{index}] = ({u}, {v}), {names[u]!r} to {names[v]!r}: is there twice"
            )

    def _checked(self, field: str, length: int) -> np.ndarray:
        values = validation.as_float64(field, getattr(self, field))
        if values.shape != (length,):
            per = "edge" if field == "data" else "task"
            raise ValueError(
                f"{field}: must have shape ({length},), one for each {per}, got {values.shape}"
            )
        good = validation.FINITE.holds(values)
        if not good.all():
            bad = int(np.argmin(good))
            ends = self.edges[bad] if field == "data" else [bad]
            where = " to ".join(repr(self.names[task]) for task in ends)
            validation.require(field, values, good, f"{validation.FINITE.wording} (task {where})")
        return values

    def _check_one_result(self) -> None:
        first: dict[int, int] = {}
        for index, u in enumerate(self.edges[:, 0].tolist()):
            other = first.setdefault(u, index)
            if self.data[index] != self.data[other]:
                raise ValueError(
                    f"data[{index}] = {self.data[index]} but data[{other}] = {self.data[other]},"
                    f" both out of task {self.names[u]!r}: with send_once all edges out of a task"
                    " carry the same bytes"
                )

    @classmethod
    def from_edges(
        cls,
        cycles: Any,
        edges: Any,
        data: Any = 0.0,
        *,
        input: Any = 0.0,
        output: Any = 0.0,
        names: Sequence[str] | None = None,
        send_once: bool = False,
    ) -> "TaskGraph":
        """Makes a graph of tasks in any order and numbers them topologically.

        Of the tasks that could come next, the one listed first does, so tasks already in a
        topological order keep their numbers. Edges are sorted too.

        Args:
          cycles: `[N]` CPU cycles of each task.
          edges: M pairs u, v, where v needs u: numbers of tasks or, all of them, names.
          data: `[M]` bytes of each edge, or one number for all.
          input: `[N]` bytes that the device holds and each task needs, or one number.
          output: `[N]` bytes of each result that must reach the device, or one number.
          names: N names; None is "0", "1" and so on.
          send_once: as in `TaskGraph`.

        Returns:
          The graph.

        Raises:
          ValueError: names the field and the first bad index, or the tasks of a cycle.
        """
        cycles = validation.as_float64("cycles", cycles)
        num_tasks = cycles.size
        given = map(str, range(num_tasks)) if names is None else names
        names = validation.as_names("names", given)
        if len(names) != num_tasks:
            raise ValueError(f"cycles: must have one value for each of {len(names)} tasks")
        pairs = _edge_array(edges, names)
        order = topological_order(pairs, names)
        number = np.empty(num_tasks, np.int64)
        number[order] = np.arange(num_tasks)
        pairs = number[pairs]
        by_edge = np.lexsort((pairs[:, 1], pairs[:, 0]))
        return cls(
            names=tuple(names[task] for task in order),
            cycles=_permuted("cycles", cycles, order),
            edges=pairs[by_edge],
            data=_permuted("data", data, by_edge),
            input=_permuted("input", input, order),
            output=_permuted("output", output, order),
            send_once=send_once,
        )

    @property
    def num_tasks(self) -> int:
        """N, the number of tasks."""
        return len(self.names)

    @property
    def num_edges(self) -> int:
        """M, the number of edges."""
        return len(self.edges)

    def __repr__(self) -> str:
        once = ", send_once" if self.send_once else ""
        return (
            f"TaskGraph({self.num_tasks} tasks, {self.num_edges} edges,"
            f" {self.cycles.sum():.4g} cycles, bytes: {self.input.sum():.4g} input,"
            f" {self.data.sum():.4g} on edges, {self.output.sum():.4g} output{once})"
        )

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """`depends` and `data` as `[N, N]` arrays.

        Raises:
          ValueError: there are too many tasks for that.
        """
        n = self.num_tasks
        if n > MAX_DENSE_TASKS:
            raise ValueError(
                f"{n} tasks: data and depends as [N, N] arrays would take {n * n * 9 / 2**30:.1f}"
                f" GiB; at most {MAX_DENSE_TASKS} tasks become a GraphProblem, while network_costs"
                " takes any number, and fuse makes fewer"
            )
        u, v = self.edges.T
        depends = np.zeros((n, n), bool)
        depends[u, v] = True
        data = np.zeros((n, n))
        data[u, v] = self.data
        return depends, data

    def to_problem(
        self,
        device_speed: Any,
        edge_speed: Any,
        device_edge_bandwidth: Any,
        edge_cloud_bandwidth: Any,
        edge_servers: int = 1,
        release: Any = 0,
    ) -> "GraphProblem":
        """The problem of running these tasks on given processors over given links.

        Args:
          device_speed: `[...]` cycles per second of the device.
          edge_speed: `[...]` cycles per second of each CPU of the edge.
          device_edge_bandwidth: `[...]` bytes per second between device and edge.
          edge_cloud_bandwidth: `[...]` bytes per second between edge and cloud.
          edge_servers: number of CPUs of the edge.
          release: `[..., N]` seconds before which a task and its input are not there.

        Returns:
          The problem, its batch dimensions those of the arguments.

        Raises:
          ValueError: there are too many tasks for arrays of [N, N].
        """
        from offload_jax.graphs.problem import GraphProblem

        depends, data = self.dense()
        return GraphProblem(
            cycles=self.cycles,
            data=data,
            depends=depends,
            input=self.input,
            output=self.output,
            device_speed=device_speed,
            edge_speed=edge_speed,
            device_edge_bandwidth=device_edge_bandwidth,
            edge_cloud_bandwidth=edge_cloud_bandwidth,
            edge_servers=edge_servers,
            release=release,
            send_once=self.send_once,
        )


def topological_order(edges: np.ndarray, names: Sequence[str]) -> list[int]:
    """An order in which every task follows what it needs; ties go to the task listed first.

    Args:
      edges: `[M, 2]` pairs u, v of task numbers, where v needs u.
      names: N names of the tasks, for the messages.

    Returns:
      The N task numbers in that order.

    Raises:
      ValueError: an edge names a task that is not there, or the tasks form a cycle.
    """
    num_tasks = len(names)
    successors: list[list[int]] = [[] for _ in range(num_tasks)]
    missing = [0] * num_tasks
    for index, (u, v) in enumerate(edges.tolist()):
        if not (0 <= u < num_tasks and 0 <= v < num_tasks):
            raise ValueError(
                f"edges[{index}] = ({u}, {v}): unknown task, tasks are 0 to {num_tasks - 1}"
            )
        successors[u].append(v)
        missing[v] += 1
    ready = [task for task in range(num_tasks) if not missing[task]]
    order = []
    while ready:
        u = heapq.heappop(ready)
        order.append(u)
        for v in successors[u]:
            missing[v] -= 1
            if not missing[v]:
                heapq.heappush(ready, v)
    if len(order) < num_tasks:
        raise ValueError(_describe_cycle(successors, missing, names))
    return order


def _describe_cycle(successors: list[list[int]], missing: list[int], names: Sequence[str]) -> str:
    # What is left has a predecessor that is left, so walking backwards must come round again.
    predecessor: dict[int, int] = {}
    for u, following in enumerate(successors):
        if missing[u]:
            predecessor.update((v, u) for v in following)
    walk: list[int] = []
    seen: dict[int, int] = {}
    task = next(task for task, count in enumerate(missing) if count)
    while task not in seen:
        seen[task] = len(walk)
        walk.append(task)
        task = predecessor[task]
    cycle = [names[task] for task in reversed(walk[seen[task] :])]
    shown = cycle[:_LONGEST_CYCLE_SHOWN]
    dots = ["..."] if len(cycle) > len(shown) else []
    return f"edges: tasks form a cycle: {' -> '.join([*shown, *dots, cycle[0]])}"


def _edge_array(edges: Any, names: Sequence[str]) -> np.ndarray:
    """`[M, 2]` numbers of pairs of numbers or, where any is a name, of pairs of names."""
    validation.check_class("edges", edges, Iterable)
    pairs = np.asarray(edges) if hasattr(edges, "shape") else np.array(list(edges), object)
    if pairs.size == 0:
        return np.zeros((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"edges: must be pairs, of shape (M, 2), got {pairs.shape}")
    if any(isinstance(end, str) for end in pairs.flat):
        number = {name: index for index, name in enumerate(names)}
        for index, pair in enumerate(pairs.tolist()):
            for end in pair:
                if end not in number:
                    raise ValueError(f"edges[{index}] = {tuple(pair)}: unknown task {end!r}")
        pairs = np.array([number[end] for end in pairs.flat]).reshape(-1, 2)
    numbers = np.array(pairs.tolist())
    if numbers.dtype.kind not in "iu":
        raise ValueError(f"edges: must hold numbers or names of tasks, got dtype {numbers.dtype}")
    return numbers.astype(np.int64)


def _permuted(name: str, values: Any, order: Any) -> np.ndarray:
    array = validation.as_float64(name, values)
    if array.ndim == 0:
        return np.full(len(order), array)
    # A wrong length is left for the constructor to name.
    return array[order] if len(array) == len(order) else array
