"""Networks from TOML files, in which every quantity has its unit.

[[place]]
name = "phone"
speed = "2 GHz"  # or in FLOP/s; without a speed the place computes in no time
watts = "3 W"    # while it computes
memory = "4 GB"  # for the weights of what runs there

[[place]]
name = "edge"
speed = "40 GFLOP/s"
servers = 4      # tasks at a time, 1 if left out

[[link]]
ends = ["phone", "edge"]
bandwidth = "20 Mbit/s"         # from the first end to the second
reverse_bandwidth = "2.5 MB/s"  # as `bandwidth`, if left out
round_trip_time = "5 ms"
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from offload_jax import units
from offload_jax.files import read_text
from offload_jax.network import Link, Network, Processor
from offload_jax.validation import check_integer

_QUANTITIES = {
    "speed": units.SPEED,
    "memory": units.SIZE,
    "watts": units.POWER,
    "bandwidth": units.BANDWIDTH,
    "reverse_bandwidth": units.BANDWIDTH,
    "round_trip_time": units.TIME,
}
_PLACE = ("name", "speed", "servers", "memory", "watts")
_LINK = ("ends", "bandwidth", "reverse_bandwidth", "round_trip_time")


def read_network(path: str | os.PathLike[str]) -> Network:
    """Reads a network from a TOML file as above.

    Cycles of a speed in FLOP/s do two operations each, as everywhere in this library.

    Args:
      path: the file; its places are numbered in the order in which it has them, the first of them
        is the device.

    Returns:
      The network, in SI units.

    Raises:
      OSError: the file cannot be read.
      ValueError: naming the file and the entry: it is no TOML, lacks a place, a name, ends, a
        bandwidth or a unit, has an entry of an unknown name, two places of one name, or a value
        that `Processor`, `Link` or `Network` refuses.
    """
    path = Path(path)
    text = read_text(path)
    try:
        return _network(tomllib.loads(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _network(content: dict[str, Any]) -> Network:
    _check_keys("the file", content, ("place", "link"))
    tables = {key: content.get(key, []) for key in ("place", "link")}
    for key, entries in tables.items():
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise ValueError(f"{key}: must be tables, each under [[{key}]]")
    if not tables["place"]:
        raise ValueError("has no [[place]]; the first one is the device")
    places = [_place(number, entry) for number, entry in enumerate(tables["place"], 1)]
    network = Network(places, [_link(n, entry) for n, entry in enumerate(tables["link"], 1)])
    if "speed" not in tables["place"][0]:
        raise ValueError(
            f"place {network.places[0].name!r}: the first place, the device, needs a speed"
        )
    return network


def _place(number: int, entry: dict[str, Any]) -> Processor:
    where = f"place {entry.get('name', number)!r}"
    _check_keys(where, entry, _PLACE)
    if not (isinstance(entry.get("name"), str) and entry["name"]):
        raise ValueError(f"{where}: needs a name, text between quotes")
    return Processor(**{key: _value(where, key, value) for key, value in entry.items()})


def _link(number: int, entry: dict[str, Any]) -> Link:
    ends = entry.get("ends")
    if not (isinstance(ends, list) and len(ends) == 2 and all(isinstance(e, str) for e in ends)):
        raise ValueError(f'link {number}: needs the names of two places, as ends = ["a", "b"]')
    where = f"link {ends[0]!r} to {ends[1]!r}"
    _check_keys(where, entry, _LINK)
    if "bandwidth" not in entry:
        raise ValueError(f"{where}: needs a bandwidth")
    rest = {key: _value(where, key, value) for key, value in entry.items() if key != "ends"}
    return Link(*ends, **rest)


def _check_keys(where: str, table: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{where}: unknown entry {key!r}, known are {', '.join(known)}")


def _value(where: str, key: str, value: Any) -> Any:
    """An entry in SI units; those without a unit as they are."""
    if key == "servers":
        check_integer(f"{where}: servers", value)
    if key not in _QUANTITIES:
        return value
    return units.parse(f"{where}: {key}", value, _QUANTITIES[key])
