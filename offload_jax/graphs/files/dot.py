"""Task graphs in DOT, the language of Graphviz: as daggen writes them, or with weights.

The part of the language that holds a graph is read: node and edge statements, chains of edges,
attributes and their defaults, subgraphs as groups with defaults of their own, comments. A subgraph
as the end of an edge and HTML strings are refused.
"""

import dataclasses
import itertools
import re
from typing import Any, NamedTuple

from offload_jax.files import parse_number
from offload_jax.graphs.task_graph import TaskGraph

_TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | //[^\n]* | /\*.*?\*/ | ^\#[^\n]* )
  | (?P<string> "(?:[^"\\]|\\.)*" )
  | (?P<word> -?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w) | \w+ )
  | (?P<sign> -> | -- | [{}\[\];,=:] )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_KEYWORDS = ("node", "edge", "graph", "subgraph", "strict", "digraph")


class _Token(NamedTuple):
    text: str
    kind: str
    line: int


@dataclasses.dataclass
class _Statement:
    attributes: dict[str, str]
    line: int


def parse(text: str, reference_speed: float, cycles_per_byte: float) -> TaskGraph:
    """Makes a graph of the text of a DOT file.

    Args:
      text: the file.
      reference_speed: cycles per second of a node's `Weight`.
      cycles_per_byte: cycles per byte of a node's `size`, which makes the file one of daggen.

    Returns:
      The graph; `read` says what becomes of which attribute.

    Raises:
      ValueError: names the line, or the tasks of a cycle.
    """
    parser = _Parser(text)
    parser.parse()
    # Nodes that only edges name come last.
    nodes = parser.nodes | {n: s for n, s in parser.named.items() if n not in parser.nodes}
    if not nodes:
        raise ValueError("the graph has no nodes")
    daggen = any("size" in statement.attributes for statement in nodes.values())
    key = "size" if daggen else "weight"
    work = {name: _value(node, key, f"node {name}") for name, node in nodes.items()}
    data: dict[tuple[str, str], float] = {}
    line: dict[tuple[str, str], int] = {}
    for ends, edge in parser.edges:
        what = f"edge {' -> '.join(ends)}"
        size = _value(edge, key, what)
        if data.setdefault(ends, size) != size:
            raise ValueError(
                f"line {edge.line}: {what} is there twice, first in line {line[ends]} and with"
                f" another {key}"
            )
        line.setdefault(ends, edge.line)
    facts: dict[str, Any] = {}
    if daggen:
        senders, readers = {u for u, _ in data}, {v for _, v in data}
        facts["send_once"] = len({(u, size) for (u, _), size in data.items()}) == len(senders)
        facts["input"] = [0.0 if name in readers else size for name, size in work.items()]
        facts["output"] = [
            0.0
            if name in senders or "expect_size" not in node.attributes
            else _value(node, "expect_size", f"node {name}")
            for name, node in nodes.items()
        ]
    cycles_of_one = cycles_per_byte if daggen else reference_speed
    cycles = [amount * cycles_of_one for amount in work.values()]
    return TaskGraph.from_edges(cycles, list(data), list(data.values()), names=list(nodes), **facts)


def _value(statement: _Statement, key: str, what: str) -> float:
    where = f"line {statement.line}: {what}"
    text = statement.attributes.get(key)
    if text is None:
        raise ValueError(f"{where} has no {key}")
    return parse_number(text, f"{where}: {key}")


class _Parser:
    """Reads statements, attributes in lower case.

    Attributes:
      nodes: statements of their own, by name.
      edges: pairs of names, in order.
      named: every node as it was when first named, with the defaults of then.
    """

    def __init__(self, text: str) -> None:
        self.nodes: dict[str, _Statement] = {}
        self.edges: list[tuple[tuple[str, str], _Statement]] = []
        self.named: dict[str, _Statement] = {}
        # Defaults of the graph and of each subgraph that is open; those end with it.
        self._defaults: list[dict[str, dict[str, str]]] = [{"node": {}, "edge": {}, "graph": {}}]
        self._tokens = _tokens(text)
        self._next = 0

    def parse(self) -> None:
        self._accept("strict")
        if self._accept("graph"):
            raise self._error("the graph has no directions", back=1)
        self._expect("digraph")
        if self._peek().kind != "sign":
            self._name()
        self._expect("{")
        while self._defaults:
            if self._accept("}"):
                self._defaults.pop()
            elif self._accept("subgraph"):
                if not self._at("{"):
                    self._name()
            elif self._accept("{"):
                outer = self._defaults[-1]
                self._defaults.append({kind: dict(values) for kind, values in outer.items()})
            elif not self._accept(";"):
                self._statement()
        if self._peek().kind != "end":
            raise self._error("there is something after the end of the graph")

    def _statement(self) -> None:
        first, defaults = self._peek(), self._defaults[-1]
        if first.kind == "word" and first.text.lower() in defaults:
            self._next += 1
            defaults[first.text.lower()].update(self._attributes())
            return
        names = [self._name()]
        if self._accept("="):
            self._name()
            return
        while self._accept("->"):
            names.append(self._name())
        attributes = self._attributes()
        for name in names:
            self.named.setdefault(name, _Statement(dict(defaults["node"]), first.line))
        for ends in itertools.pairwise(names):
            edge = _Statement({**defaults["edge"], **attributes}, first.line)
            self.edges.append((ends, edge))
        if len(names) == 1:
            if names[0] in self.nodes:
                raise ValueError(
                    f"line {first.line}: node {names[0]} is there twice, first in line"
                    f" {self.nodes[names[0]].line}"
                )
            attributes = {**self.named[names[0]].attributes, **attributes}
            self.nodes[names[0]] = _Statement(attributes, first.line)

    def _name(self) -> str:
        token = self._peek()
        if token.kind not in ("word", "string") or (
            token.kind == "word" and token.text.lower() in _KEYWORDS
        ):
            raise self._error(f"expected a name, found {token.text!r}")
        self._next += 1
        while self._accept(":"):
            self._name()
        return token.text

    def _attributes(self) -> dict[str, str]:
        attributes = {}
        while self._accept("["):
            while not self._accept("]"):
                key = self._name()
                self._expect("=")
                attributes[key.lower()] = self._name()
                if not self._accept(","):
                    self._accept(";")
        return attributes

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _at(self, text: str) -> bool:
        token = self._peek()
        return token.kind != "string" and token.text.lower() == text

    def _accept(self, text: str) -> bool:
        found = self._at(text)
        self._next += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._error(f"expected {text!r}, found {self._peek().text!r}")

    def _error(self, message: str, *, back: int = 0) -> ValueError:
        return ValueError(f"line {self._tokens[self._next - back].line}: {message}")


def _tokens(text: str) -> list[_Token]:
    tokens, position, line = [], 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"line {line}: cannot read {text[position : position + 20]!r}")
        found, kind = match.group(), str(match.lastgroup)
        if kind == "string":
            tokens.append(_Token(re.sub(r'\\(["\\])', r"\1", found[1:-1]), kind, line))
        elif kind != "skip":
            tokens.append(_Token(found, kind, line))
        line += found.count("\n")
        position = match.end()
    return [*tokens, _Token("the end of the file", "end", line)]
