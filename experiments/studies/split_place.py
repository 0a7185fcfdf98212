"""One place of a split network, as a process of its own, which `split_processes` starts.

Runs parts with ONNX Runtime and moves tensors over TCP. A link takes a tensor's bytes over its
bandwidth, one tensor after the other, then delivers it half a round trip later: the sender sleeps
while the link is occupied, the receiver until the tensor is due. A place sleeps after each part
until so many times the processor time of the part have passed, so it does not matter who else uses
this machine as long as it is that much faster.

Imports NumPy and ONNX Runtime alone, so that a process starts at once.
"""

import json
import math
import os
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime

Key = tuple[int, str]
"""Number of a request and name of a tensor."""


class Place:
    """What a process knows.

    Attributes:
      job: what `split_processes` says: name, parts, where tensors go, slowdown, links, and in the
        first place the inputs.
      held: the tensors that are here.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.held: dict[Key, np.ndarray] = {}
        self._changed = threading.Condition()
        self._out: dict[str, queue.SimpleQueue[Any]] = {}
        for link in job["links"]:
            line = socket.socket(fileno=link["fd"])
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._out[link["to"]] = queue.SimpleQueue()
            arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
            _start(self._send, line, link)
            _start(self._receive, line, arrived)
            _start(self._deliver, arrived)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if not job["optimized"]:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._sessions = [
            onnxruntime.InferenceSession(part["file"], options, providers=["CPUExecutionProvider"])
            for part in job["parts"]
        ]
        self.seconds: list[list[float]] = [[] for _ in job["parts"]]

    def _send(self, line: socket.socket, link: dict[str, Any]) -> None:
        free = 0.0
        while True:
            key, places, value = self._out[link["to"]].get()
            free = max(free, time.monotonic()) + value.nbytes / link["bandwidth"]
            due = free + link["round_trip_time"] / 2
            header = json.dumps([*key, places, due, value.dtype.str, value.shape]).encode()
            # The bytes go ahead: what the loopback itself takes is within the time of the link.
            line.sendall(struct.pack("!I", len(header)) + header)
            line.sendall(np.ascontiguousarray(value).data)
            time.sleep(max(0.0, free - time.monotonic()))

    def _receive(self, line: socket.socket, arrived: queue.SimpleQueue[Any]) -> None:
        file = line.makefile("rb")
        while prefix := file.read(4):
            request, name, places, due, dtype, shape = json.loads(
                file.read(struct.unpack("!I", prefix)[0])
            )
            size = math.prod(shape) * np.dtype(dtype).itemsize
            value = np.frombuffer(file.read(size), dtype).reshape(shape)
            arrived.put((due, (request, name), value, places))
        os._exit(1)  # the neighbour has gone, so nobody need wait any longer

    def _deliver(self, arrived: queue.SimpleQueue[Any]) -> None:
        while True:
            due, *what = arrived.get()
            time.sleep(max(0.0, due - time.monotonic()))
            self.hand_out(*what)

    def hand_out(self, key: Key, value: np.ndarray, places: Sequence[str]) -> None:
        """Keeps a tensor that is needed here, and sends it on towards the other places, once."""
        onward: dict[str, list[str]] = {}
        for place in places:
            if place == self.job["name"]:
                with self._changed:
                    self.held[key] = value
                    self._changed.notify_all()
            else:
                onward.setdefault(self.job["next"][place], []).append(place)
        for hop, rest in onward.items():
            self._out[hop].put((key, rest, value))

    def run(self, request: int, part: int) -> None:
        """One part of one request; all that it needs is here."""
        begin, processor = time.monotonic(), time.thread_time()
        told = self.job["parts"][part]
        inputs = {name: self.held[request, name] for name in told["needs"]}
        results = self._sessions[part].run(told["makes"], inputs)
        took = time.thread_time() - processor
        self.seconds[part].append(took)
        time.sleep(max(0.0, begin + took * self.job["slowdown"] - time.monotonic()))
        for name, value in zip(told["makes"], results, strict=True):
            # What a part next to it needs is kept here.
            self.hand_out((request, name), value, self.job["to"][name])

    def work(self, num_requests: int) -> None:
        """Runs parts as they become ready, those of the oldest request first."""
        todo = [(r, p) for r in range(num_requests) for p in range(len(self.job["parts"]))]
        while todo:
            with self._changed:
                while (ready := next(filter(self._is_ready, todo), None)) is None:
                    self._changed.wait()
            todo.remove(ready)
            self.run(*ready)

    def _is_ready(self, item: tuple[int, int]) -> bool:
        request, part = item
        return all((request, name) in self.held for name in self.job["parts"][part]["needs"])

    def ask(self, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
        """Makes requests and waits for their outputs, here in the first place.

        First `one_by_one` requests, each when the one before is done; then a stream of `stream`,
        of which always `window` are under way.

        Returns:
          Seconds of each of the first kind, and when each of the second was done.
        """
        seconds, done = [], []
        alone, window = self.job["one_by_one"], self.job["window"]
        for request in range(alone):
            begin = time.monotonic()
            self._begin(request, inputs)
            seconds.append(self._done(request) - begin)
        begin = time.monotonic()
        end = alone + self.job["stream"]
        for request in range(alone, end + window):
            if request >= alone + window:
                done.append(self._done(request - window) - begin)
            if request < end:
                self._begin(request, inputs)
        return {"seconds": seconds, "done": done}

    def _begin(self, request: int, inputs: dict[str, np.ndarray]) -> None:
        for name, value in inputs.items():
            self.hand_out((request, name), value, self.job["to"][name])

    def _done(self, request: int) -> float:
        with self._changed:
            self._changed.wait_for(
                lambda: all((request, name) in self.held for name in self.job["outputs"])
            )
        return time.monotonic()


def _start(work: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


def main() -> None:
    """A job in the first line of standard input, another line to begin; the result as JSON."""
    job = json.loads(sys.stdin.readline())
    place = Place(job)
    print("ready", flush=True)
    sys.stdin.readline()
    result: dict[str, Any] = {}
    asking = None
    if job["inputs"]:
        with np.load(job["inputs"]) as file:
            inputs = dict(file)
        asking = threading.Thread(target=lambda: result.update(place.ask(inputs)), daemon=True)
        asking.start()
    place.work(job["one_by_one"] + job["stream"])
    if asking is not None:
        asking.join()
        outputs: Any = {name: place.held[0, name] for name in job["outputs"]}
        np.savez(job["results"], **outputs)
    print(json.dumps({**result, "parts": place.seconds}), flush=True)
    sys.stdin.readline()  # others may still receive what is on its way


if __name__ == "__main__":
    main()
