"""`GraphCosts` of single requests as the plain arrays that compiled loops take."""

import numpy as np


def pack(
    seconds,
    depends,
    data,
    input,
    output,
    release,
    home,
    seconds_per_byte,
    startup,
    *,
    routes,
    servers,
    serial,
    send_once,
):
    N, K = seconds.shape
    v, u = np.nonzero(depends.T)
    first = np.zeros(N + 1, np.int64)
    np.cumsum(np.bincount(v, minlength=N), out=first[1:])
    hops = [[] if r is None else list(r) for row in routes for r in row]
    fh = np.zeros(K * K + 1, np.int64)
    np.cumsum([len(h) for h in hops], out=fh[1:])
    srv = np.zeros(K + 1, np.int64)
    np.cumsum([s or 0 for s in servers], out=srv[1:])
    f = lambda x: np.ascontiguousarray(x, np.float64)
    return (
        f(seconds),
        first,
        u.astype(np.int64),
        f(data[u, v]),
        f(input),
        f(output),
        f(release),
        np.ascontiguousarray(home, np.int64),
        f(seconds_per_byte),
        f(startup),
        fh,
        np.array(sum(hops, []), np.int64),
        srv,
        np.array(serial),
        send_once,
    )
