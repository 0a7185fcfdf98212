"""Networks from TOML files: every unit, and what is wrong with a file in one sentence."""

import math
from pathlib import Path

import pytest

import offload_jax as oj
from offload_jax import network_file, units

GOOD = """
[[place]]
name = "phone"
speed = "2 GHz"
watts = "2500 mW"
memory = "4 GB"

[[place]]
name = "edge"
speed = "40 GFLOP/s"
servers = 4

[[place]]
name = "cloud"

[[link]]
ends = ["phone", "edge"]
bandwidth = "20 Mbit/s"
reverse_bandwidth = "1e1 MB/s"
round_trip_time = "5 ms"

[[link]]
ends = ["edge", "cloud"]
bandwidth = "1 Gbit/s"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "network.toml"
    path.write_text(text)
    return path


def test_quantities_are_in_si_units(tmp_path: Path) -> None:
    found = oj.read_network(write(tmp_path, GOOD))
    phone, edge, cloud = found.places
    assert phone == oj.Processor("phone", 2e9, memory=4e9, watts=2.5)
    # Two operations in a cycle.
    assert edge == oj.Processor("edge", 20e9, servers=4)
    assert cloud == oj.Processor("cloud") and cloud.speed == math.inf
    assert found.links == (
        oj.Link("phone", "edge", 2.5e6, 1e7, round_trip_time=0.005),
        oj.Link("edge", "cloud", 1.25e8),
    )


def test_the_documented_file_is_read(tmp_path: Path) -> None:
    assert network_file.__doc__ is not None
    text = network_file.__doc__.partition("\n\n")[2]
    found = oj.read_network(write(tmp_path, text))
    assert found.place_names == ("phone", "edge")
    assert found.links[0].reverse_bandwidth == found.links[0].bandwidth == 2.5e6


@pytest.mark.parametrize(
    ("quantity", "text", "value"),
    [
        ("SPEED", "500 MHz", 5e8),
        ("SPEED", "1.5 TFLOP/s", 0.75e12),
        ("BANDWIDTH", "8 bit/s", 1),
        ("BANDWIDTH", "8 Kibit/s", 1024),
        ("BANDWIDTH", "3MiB/s", 3 * 2**20),
        ("BANDWIDTH", "0 bit/s", 0),
        ("SIZE", "512 MiB", 2**29),
        ("SIZE", "1.5 kB", 1500),
        ("TIME", "20 µs", 2e-5),
        ("TIME", " 20 us ", 2e-5),
        ("TIME", "2 s", 2),
        ("POWER", "0.5 kW", 500),
    ],
)
def test_units(quantity: str, text: str, value: float) -> None:
    assert units.parse("value", text, getattr(units, quantity)) == pytest.approx(value, rel=1e-15)


PLACE = '[[place]]\nname = "a"\nspeed = "1 GHz"\n'
TWO = PLACE + PLACE.replace('"a"', '"b"')
LINK = '[[link]]\nends = ["a", "b"]\nbandwidth = "1 MB/s"\n'
BAD = {
    r"line 2": "[[place]]\nname = phone\n",
    r"has no \[\[place\]\]; the first one is the device": LINK,
    r"place: must be tables, each under \[\[place\]\]": 'place = "a"',
    r"place: must be tables, each under": '[place]\nname = "a"\n',
    r"place 1: needs a name, text between quotes": '[[place]]\nspeed = "1 GHz"\n',
    r"place 7: needs a name": "[[place]]\nname = 7\n",
    r"place 'a': the first place, the device, needs a speed": '[[place]]\nname = "a"\n',
    r"place 'a': speed = 2: must be text with a number and a unit, such as \"2 GHz\"": (
        '[[place]]\nname = "a"\nspeed = 2\n'
    ),
    r"place 'a': speed = '2': must be text with a number and a unit": (
        '[[place]]\nname = "a"\nspeed = "2"\n'
    ),
    r"place 'a': speed = '2 GB': unknown unit, write \"2 GHz\" or \"40 GFLOP/s\"": (
        '[[place]]\nname = "a"\nspeed = "2 GB"\n'
    ),
    r"place 'a': speed = '-2 GHz': must be text with a number": (
        '[[place]]\nname = "a"\nspeed = "-2 GHz"\n'
    ),
    r"speed of 'a' = 0.0: must be greater than 0": '[[place]]\nname = "a"\nspeed = "0 Hz"\n',
    r"place 'a': servers = 1.5: must be an integer of at least 1": PLACE + "servers = 1.5\n",
    r"place 'a': servers = 0: must be an integer": PLACE + "servers = 0\n",
    r"place 'a': unknown entry 'power', known are name, speed": PLACE + 'power = "3 W"\n',
    r"the file: unknown entry 'places', known are place, link": '[[places]]\nname = "a"\n',
    r"places: names must differ": PLACE + PLACE,
    r"link 1: needs the names of two places": TWO + '[[link]]\nbandwidth = "1 MB/s"\n',
    r"link 1: needs the names of two": TWO + '[[link]]\nends = ["a"]\n',
    r"link 'a' to 'b': needs a bandwidth": TWO + '[[link]]\nends = ["a", "b"]\n',
    r"link 'a' to 'b': bandwidth = 1000000: must be text": (
        TWO + '[[link]]\nends = ["a", "b"]\nbandwidth = 1000000\n'
    ),
    r"link 'a' to 'b': bandwidth = '20 Mb/s': unknown unit, write \"20 Mbit/s\"": (
        TWO + '[[link]]\nends = ["a", "b"]\nbandwidth = "20 Mb/s"\n'
    ),
    r"link 'a' to 'b': round_trip_time = 5: must be text": TWO + LINK + "round_trip_time = 5\n",
    r"link 'a' to 'b': unknown entry 'latency'": TWO + LINK + 'latency = "5 ms"\n',
    r"links: unknown place 'b', places are": PLACE + LINK,
    r"links: two between 'a' and 'b'": TWO + LINK + LINK,
    r"link 'a' to itself": TWO + LINK.replace('"b"', '"a"'),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files(message: str, tmp_path: Path) -> None:
    path = write(tmp_path, BAD[message])
    with pytest.raises(ValueError, match=message) as error:
        oj.read_network(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "network.toml"
    with pytest.raises(FileNotFoundError, match=r"network\.toml"):
        oj.read_network(path)
    path.write_bytes(b"\x1f\x8b\x08\x00\xff")
    with pytest.raises(ValueError, match=r"network\.toml: must be text in UTF-8, but is gzip"):
        oj.read_network(path)


@pytest.mark.parametrize("field", ["memory", "watts"])
def test_memory_and_watts_are_checked(field: str) -> None:
    with pytest.raises(ValueError, match=rf"{field} of 'a' = -1.0: must be finite"):
        oj.Processor("a", 1e9, **{field: -1.0})
