"""Exact min-plus dynamic program over the layered graph of places, for any A and K.

The cost of a chain is a shortest path through A layers of K places, so the least cost of finishing
the chain from subtask t onwards, once subtask t - 1 ran at place j, obeys

    V[t](j) = min_k transfer[t, j, k] + execution[t, k] + V[t + 1](k).

O(A K^2) operations. Table entries stay separate arrays, so XLA fuses the computation of costs into
that of V. There are two kernels:

- short chains are unrolled: each V carries the decisions of a part of the chain in a word, a few
  bits a subtask, and there is one fused loop over the batch for each word and one for the cost, all
  of which follow the chain anew;
- longer ones scan over the subtasks, a chunk of the batch that stays in cache at a time and its
  rows the minor axis. Each step stores the next place from each place, packed into as few bytes as
  hold them, and a second scan follows these pointers from the start. (A step that is not the body
  of a loop of its own would be computed again for each of its K uses: XLA's CPU fusion does so.)

Going backwards and keeping the smallest k among equals yields the lexicographically smallest
optimal decision.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int8

from offload_jax.batching import is_known, lift, map_chunks
from offload_jax.chains.costs import ChainCosts, CostTerms, terms_of
from offload_jax.chains.problem import RULES, ChainProblem
from offload_jax.objectives import Objective

WORD_BITS = 32
# Terms of the part of a chain whose decisions go into one word; more compile too slowly.
_MAX_TERMS = 400
# Words of a chain of at most three places that is unrolled, and of one in a large batch: that takes
# a third to half the time of the scan and up to six times as long to compile.
_MAX_WORDS, _MAX_WORDS_IF_LARGE = 2, 4
# XLA's CPU loops over a long batch are two to four times slower where its length cannot be shared
# evenly among threads, so the remainder is a second call. More than two words of a
# part of a batch compile to something slower still: such a batch has to be even by itself.
_EVEN, _EVEN_BY_ITSELF, _LARGE = 64, 16, 4096
# Numbers of the input that a chunk holds, for a core's cache of 1 MB or so, and its least and most
# rows: below, starting a loop costs as much as running it.
_CHUNK_NUMBERS, _MOST_ROWS = 1 << 17, 2048
_FEWEST_ROWS = {ChainProblem: 512, ChainCosts: 256}
# Rows that lie side by side in a chunk; to transpose few at a time is faster.
_LANES = 128
# Chunks solved at a time, each on a thread; more cost more to compile.
_AT_ONCE = 2


def minimize(
    source: ChainProblem | ChainCosts, objective: Objective, *, mark_invalid: bool = False
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    """Least-cost decision and its cost, for every chain of a batch.

    Args:
      source: problem or table, any A and K.
      objective: what to minimise; ignored for a table.
      mark_invalid: make the cost NaN where a number of a problem breaks the rules of `validate`; to
        look at each on the way costs less than to read all of them once more. Not for tables.

    Returns:
      `[*batch, A]` lexicographically smallest optimal decision and `[*batch]` its cost; cost
      `inf` and decision all 0 where every decision is impossible.
    """
    num_places, num_subtasks, batch = source.num_places, source.num_subtasks, source.batch_shape
    in_word = min(WORD_BITS // bits_of(num_places), _MAX_TERMS // num_places**2)
    size = math.prod(batch)
    is_large = is_known(size) and size > _LARGE
    max_words = 1
    if num_places <= 3:
        is_even = is_large and size % _EVEN_BY_ITSELF == 0
        max_words = _MAX_WORDS_IF_LARGE if is_even else _MAX_WORDS
    if num_subtasks > in_word * max_words:
        return _minimize_long(source, objective, mark_invalid)
    short = functools.partial(
        _minimize_short, objective=objective, mark_invalid=mark_invalid, in_word=in_word
    )
    can_split = len(batch) == 1 and isinstance(source, ChainProblem)
    if is_large and can_split and num_subtasks <= in_word * _MAX_WORDS:
        even = size // _EVEN * _EVEN
        if even != size:
            decisions, costs = zip(*map(short, (source[:even], source[even:])), strict=True)
            return jnp.concatenate(decisions), jnp.concatenate(costs)
    return short(source)


def bits_of(num_places: int) -> int:
    """Bits that hold one of so many places."""
    return max(1, (num_places - 1).bit_length())


def computed_once(word: Array, keep: Array) -> Array:
    """A word, or 0 where it is not to be kept, as a result of its own.

    The division changes nothing. XLA does not fuse what it deems expensive into its uses; to unpack
    a word it would compute it again for each place.
    """
    return jnp.where(keep, word, 0) // jnp.where(keep, jnp.uint32(1), jnp.uint32(2))


def unpack(words: list[Array], length: int, bits: int, in_word: int) -> Int8[Array, "... length"]:
    """The first `length` places of those that are packed in words.

    Args:
      words: one or more, `[...]`.
      length: places in all.
      bits: of a place; the first place of a word is the lowest.
      in_word: places in each word but the last.
    """
    t = lift(jnp.arange(length, dtype=jnp.uint32), words[0].ndim + 1)
    word = words[-1][..., None]
    for i in reversed(range(len(words) - 1)):
        word = jnp.where(t < in_word * (i + 1), words[i][..., None], word)
    return ((word >> (t % in_word * bits)) & ((1 << bits) - 1)).astype(jnp.int8)


def _minimize_short(
    source: ChainProblem | ChainCosts, objective: Objective, mark_invalid: bool, in_word: int
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    """Unrolls the chain, once for each word of its decision and once for its cost.

    Of a part of the chain whose decisions go into one word, all after it is followed for its costs
    alone, and all before it only says from which place the part is entered.
    """
    num_subtasks, batch = source.num_subtasks, source.batch_shape
    places, bits = range(source.num_places), bits_of(source.num_places)
    # Cutting the source, not its terms, lets XLA fuse terms that are used more than once.
    cuts = [source.subtask(t) for t in range(num_subtasks)]
    stages = [terms_of(cut, objective) for cut in cuts]
    end = [stages[-1].transfer[k][0][1] for k in places]

    def backward(first: int, past: int, *, mark: bool = False) -> tuple[list[Array], list[Array]]:
        """Least costs from subtask `first` on, and words of its decisions before `past`."""
        values, words = end, [jnp.zeros((), jnp.uint32)] * len(places)
        if mark:
            values = _mark(values, cuts[-1], is_end=True)
        for t in reversed(range(first, num_subtasks)):
            labels = words
            if t < past:
                labels = [words[k] | (jnp.uint32(k) << (bits * (t - first))) for k in places]
            found = [_least(row, labels) for row in _candidates(stages[t], values)]
            values, words = [value for value, _ in found], [word for _, word in found]
            if mark:
                values = _mark(values, cuts[t])
        return values, words

    cost = backward(0, 0, mark=mark_invalid)[0][0]
    parts: list[Array] = []
    for first in range(0, num_subtasks, in_word):
        _, words = backward(first, first + in_word)
        word = words[0]
        if parts:
            place = parts[-1] >> (bits * (in_word - 1))
            word = functools.reduce(lambda w, k: jnp.where(place == k, words[k], w), places, word)
        # Where nothing is possible, the rest of the chain alone may still have chosen places.
        parts.append(jnp.broadcast_to(computed_once(word, cost < math.inf), batch))
    return unpack(parts, num_subtasks, bits, in_word), jnp.broadcast_to(cost, batch)


def _candidates(stage: CostTerms, values: list[Array]) -> list[list[Array]]:
    """Puts a subtask in front of the rest of the chain.

    Args:
      stage: execution of the subtask and the transfer before it, first of the entries.
      values: for each of K places, the least cost of the rest once the subtask ran there.

    Returns:
      Row j, column k: the least cost from place j before the subtask, if that runs at place k.
    """
    places = range(len(values))
    arrived = [stage.execution[k][0] + values[k] for k in places]
    return [[arrived[k] + stage.transfer[j][k][0] for k in places] for j in places]


def _least(candidates: list[Array], labels: list[Array]) -> tuple[Array, Array]:
    """The first least candidate and its label, both chosen by the same comparisons."""
    best, label = candidates[0], labels[0]
    for k in range(1, len(candidates)):
        better = candidates[k] < best
        best = jnp.where(better, candidates[k], best)
        label = jnp.where(better, labels[k], label)
    return best, label


def _least_then_first(candidates: list[Array]) -> tuple[Array, Array]:
    """The least candidate, then the first place that has it; in the scan this is vectorised better.

    At four places and more the other way takes twice as long there.
    """
    best = functools.reduce(lambda least, c: jnp.where(c < least, c, least), candidates)
    place = jnp.uint32(len(candidates) - 1)
    for k in reversed(range(len(candidates) - 1)):
        place = jnp.where(candidates[k] == best, jnp.uint32(k), place)
    return best, jnp.broadcast_to(place, best.shape)


def _mark(values: list[Array], cut: Any, *, is_end: bool = False) -> list[Array]:
    """Makes the first of the values NaN where the cycles of a subtask, or its data, are invalid.

    This poisons the recursion: place 0 is compared first and `x < NaN` is false, so the NaN reaches
    the cost of the chain. At the end of the chain, speeds and bandwidths count as
    well.
    """
    holds = [RULES["data"].holds(cut.data[..., -1 if is_end else 0])]
    holds.append(RULES["cycles"].holds(cut.cycles[..., 0]))
    if is_end:
        scalars = (name for name, own_axes in cut.own_axes.items() if not own_axes)
        holds += [RULES[name].holds(jnp.asarray(getattr(cut, name))) for name in scalars]
    rank = len(cut.batch_shape)
    valid = functools.reduce(jnp.bitwise_and, [lift(held, rank) for held in holds])
    return [jnp.where(valid, values[0], math.nan), *values[1:]]


def _minimize_long(
    source: ChainProblem | ChainCosts, objective: Objective, mark_invalid: bool
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    numbers = source.num_subtasks * (
        2 if isinstance(source, ChainProblem) else source.num_places * (source.num_places + 1)
    )
    chunk_rows = max(_FEWEST_ROWS[type(source)], min(_CHUNK_NUMBERS // numbers, _MOST_ROWS))

    rows = functools.partial(_minimize_rows, mark_invalid=mark_invalid)

    def in_cache(source: Any, objective: Objective) -> tuple[Array, Array]:
        solve = functools.partial(rows, objective=objective, lanes=_LANES)
        return map_chunks(solve, source, chunk_rows=chunk_rows, multiple=_LANES, at_once=_AT_ONCE)

    def at_once(source: Any, objective: Objective) -> tuple[Array, Array]:
        solve = functools.partial(rows, objective=objective, lanes=None)
        return map_chunks(solve, source, chunk_rows=None)

    return jax.lax.platform_dependent(source, objective, cpu=in_cache, default=at_once)


def _minimize_rows(
    source: ChainProblem | ChainCosts,
    objective: Objective,
    lanes: int | None,
    mark_invalid: bool,
) -> tuple[Int8[Array, "n A"], Float[Array, " n"]]:
    """Scans over the subtasks from the end, then follows the pointers from the start.

    Args:
      source: one batch axis.
      objective: what to minimise.
      lanes: rows side by side, all of them if None or if they are no multiple of it.
      mark_invalid: as in `minimize`.
    """
    (num,), num_subtasks = source.batch_shape, source.num_subtasks
    places, bits = range(source.num_places), bits_of(source.num_places)
    lanes = lanes if lanes and num % lanes == 0 else num
    subtask = _subtasks(source, lanes)
    pointers_per_word = WORD_BITS // bits

    def backward(values: list[Array], t: Array) -> tuple[list[Array], list[Array]]:
        cut = subtask(t)
        stage = terms_of(cut, objective)
        found = [_least_then_first(row) for row in _candidates(stage, values)]
        values = [value for value, _ in found]
        if mark_invalid:
            values = _mark(values, cut)
        return values, _pack([place for _, place in found], bits)

    def forward(place: Array, words: list[Array]) -> tuple[Array, Array]:
        following = jnp.zeros_like(place)
        for j in places:
            word, position = words[j // pointers_per_word], j % pointers_per_word
            pointer = (word >> (bits * position)) & ((1 << bits) - 1)
            following = jnp.where(place == j, pointer.astype(place.dtype), following)
        following = jnp.where(possible, following, 0)
        return following, following

    end = subtask(num_subtasks)
    last = terms_of(end, objective)
    zeros = last.zeros(jnp.result_type(*jax.tree.leaves(last)))
    values = [last.transfer[k][0][0] + zeros for k in places]
    if mark_invalid:
        values = _mark(values, end, is_end=True)
    values, words = jax.lax.scan(backward, values, jnp.arange(num_subtasks), reverse=True)
    possible = values[0] < math.inf
    _, chosen = jax.lax.scan(forward, zeros.astype(jnp.uint8), words)
    decision = jnp.broadcast_to(chosen, (num_subtasks, num // lanes, lanes))
    cost = jnp.broadcast_to(values[0], (num // lanes, lanes))
    return decision.reshape(num_subtasks, num).T.astype(jnp.int8), cost.reshape(num)


def _pack(pointers: list[Array], bits: int) -> list[Array]:
    """Numbers below 2**bits, next to each other in words as short as hold them."""
    each = WORD_BITS // bits
    words = []
    for first in range(0, len(pointers), each):
        group = pointers[first : first + each]
        word = functools.reduce(
            jnp.bitwise_or, (pointer << (bits * i) for i, pointer in enumerate(group))
        )
        width = len(group) * bits
        words.append(word.astype(f"uint{8 if width <= 8 else 16 if width <= 16 else 32}"))
    return words


def _subtasks(
    source: ChainProblem | ChainCosts, lanes: int
) -> Callable[[Any], ChainProblem | ChainCosts]:
    """Cuts a source into its subtasks.

    It is laid out anew, once: `[n / lanes, A, ..., lanes]`, so that a subtask of a chunk is read in
    rows.

    Args:
      source: one batch axis `[n]`.
      lanes: rows side by side; divides n.

    Returns:
      t to subtask t and the transfer before it, batch axes `[n / lanes, lanes]` (1 where all rows
      share a field). For t = A, the transfer after the last subtask is what counts.
    """

    def lay_out(value: Array) -> Array:
        value = jnp.asarray(value)
        shape = (1, 1) if value.shape[0] == 1 else (-1, lanes)
        return jnp.moveaxis(value.reshape(*shape, *value.shape[1:]), 1, -1)

    fields = {name: lay_out(getattr(source, name)) for name in source.own_axes}

    def subtask(t: Any) -> ChainProblem | ChainCosts:
        def at(name: str, own_axes: int) -> Array:
            value = fields[name]
            if own_axes:
                value = jax.lax.dynamic_index_in_dim(value, t, 1)
            return jnp.moveaxis(value, -1, 1)

        cut: dict[str, Any] = {
            name: at(name, own_axes) for name, own_axes in source.own_axes.items()
        }
        return dataclasses.replace(source, **cut)  # type: ignore[arg-type]

    return subtask
