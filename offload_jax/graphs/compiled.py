"""The machine of the model as loops over one request, compiled by numba, in float64.

A request is flat arrays, made by `packing.pack`; they are passed one by one, since numba counts
references to every array of a tuple at every access.
"""

import math
import typing

import numba

jit = numba.njit(nogil=True, error_model="numpy", _nrt=False)
inlined = numba.njit(error_model="numpy", _nrt=False)


@inlined
@typing.no_type_check
def _move(free, hops, seconds_per_byte, startup, serial, begin, num_bytes, first, last):
    """Books the hops of a transfer one after the other; gives when the data is there."""
    here = begin
    for h in range(first, last):
        link = hops[h]
        start = here
        if serial[link] and free[link] > here:
            start = free[link]
        end = start + num_bytes * seconds_per_byte[link]
        free[link] = end
        here = end + startup[link]
    return here if last > first else math.inf


@inlined
@typing.no_type_check
def _run(
    seconds,
    first_edge,
    source,
    data,
    inputs,
    outputs,
    release,
    home,
    seconds_per_byte,
    startup,
    first_hop,
    hops,
    first_server,
    serial,
    send_once,
    free,
    server,
    finish,
    position,
    place,
    copies,
    edges,
    task,
    target,
):
    K = seconds.shape[1]
    ready = release[task]
    h = home[task]
    if inputs[task] > 0.0 and h != target:
        pair = h * K + target
        ready = _move(
            free,
            hops,
            seconds_per_byte,
            startup,
            serial,
            ready,
            inputs[task],
            first_hop[pair],
            first_hop[pair + 1],
        )
    first = first_edge[task]
    count = first_edge[task + 1] - first
    for e in range(first, first + count):
        i = e - first
        p = position[source[e]]
        while i > 0 and position[source[edges[i - 1]]] > p:
            edges[i] = edges[i - 1]
            i -= 1
        edges[i] = e
    for i in range(count):
        e = edges[i]
        u = source[e]
        arrived = finish[u]
        origin = place[u]
        if origin != target and data[e] > 0.0:
            pair = origin * K + target
            if send_once:
                if copies[u, target] < 0.0:
                    copies[u, target] = _move(
                        free,
                        hops,
                        seconds_per_byte,
                        startup,
                        serial,
                        arrived,
                        data[e],
                        first_hop[pair],
                        first_hop[pair + 1],
                    )
                arrived = copies[u, target]
            else:
                arrived = _move(
                    free,
                    hops,
                    seconds_per_byte,
                    startup,
                    serial,
                    arrived,
                    data[e],
                    first_hop[pair],
                    first_hop[pair + 1],
                )
        ready = max(ready, arrived)
    duration = seconds[task, target]
    start = ready
    s0 = first_server[target]
    s1 = first_server[target + 1]
    if duration > 0.0 and s1 > s0:
        best = s0
        for s in range(s0 + 1, s1):
            if server[s] < server[best]:
                best = s
        start = max(ready, server[best])
        server[best] = start + duration
    finish[task] = start + duration
    place[task] = target
    back = finish[task]
    if outputs[task] > 0.0 and h != target:
        pair = target * K + h
        back = _move(
            free,
            hops,
            seconds_per_byte,
            startup,
            serial,
            back,
            outputs[task],
            first_hop[pair],
            first_hop[pair + 1],
        )
    return start, back


@jit
@typing.no_type_check
def simulate(
    seconds,
    first_edge,
    source,
    data,
    inputs,
    outputs,
    release,
    home,
    seconds_per_byte,
    startup,
    first_hop,
    hops,
    first_server,
    serial,
    send_once,
    decided,
    order,
    start,
    finish,
    free,
    server,
    position,
    place,
    copies,
    edges,
):
    num_tasks, num_places = seconds.shape
    free[:] = 0.0
    server[:] = 0.0
    if send_once:
        copies[:] = -1.0
    makespan = 0.0
    for i in range(num_tasks):
        task = order[i]
        position[task] = i
        s, back = _run(
            seconds,
            first_edge,
            source,
            data,
            inputs,
            outputs,
            release,
            home,
            seconds_per_byte,
            startup,
            first_hop,
            hops,
            first_server,
            serial,
            send_once,
            free,
            server,
            finish,
            position,
            place,
            copies,
            edges,
            task,
            decided[task],
        )
        start[task] = s
        makespan = max(makespan, max(finish[task], back))
    return makespan
