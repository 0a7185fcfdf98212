"""The Explorer in a browser: what it decides, slider by slider, is what `oj.solve` decides.

python -m pytest tests/release/explorer.py
"""

import json
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import offload_jax as oj
from experiments.explorer import NETWORKS
from offload_jax import workloads
from tests.release import chromium

RUNS = Path(__file__).parents[2] / "runs"
SPEEDS = ("device_speed", "edge_speed", "cloud_speed")
SLIDERS = (
    *SPEEDS,
    *("device_edge_bandwidth", "edge_cloud_bandwidth"),
    *("device_edge_round_trip", "edge_cloud_round_trip"),
)
TABLE = """subtask,output_bytes,device,edge,cloud
input,150528,,,
conv1,802816,12.5,3.1,0.8
conv2,2000,40,6,inf
classifier,0,2.5,0.4,0.1
"""
SHOWN = """(() => {
  const all = (selector) => [...document.querySelectorAll(`.explorer ${selector}`)];
  return {
    values: all("output").map((output) => output.textContent),
    places: all("[data-place]").map((stage) => Number(stage.dataset.place)),
    seconds: all("[data-seconds]").map((row) => row.dataset.seconds),
    times: all("[data-seconds]").map((row) => row.children[1].textContent),
    summary: all(".answer")[0].textContent,
    wrong: all(".wrong")[0].textContent,
  };
})()"""
DRAWN = """new Promise((drawn, failed) => {
  const look = () => document.querySelector(".explorer circle") ? drawn() : setTimeout(look, 20);
  setTimeout(() => failed("nothing is drawn"), 20000);
  look();
})"""
BAD_TABLES = {
    "subtask,phone\n": "Line 1: the header must be subtask,output_bytes and three places.",
    TABLE.replace(",0.4,", ",-0.4,"): 'Line 5: edge must be a number of at least 0, got "-0.4".',
    TABLE.replace(
        "150528", "inf"
    ): 'Line 2: output_bytes must be a number of at least 0, got "inf".',
    TABLE.replace(",40", ""): "Line 4: must have 5 columns, got 4.",
}
UNITS = {"GHz": 1e9, "Mbit/s": 125e3, "s": 1.0, "ms": 1e-3, "µs": 1e-6}
WHERE = ("on the device", "on the edge", "in the cloud")


def amount(text: str) -> float:
    """What a number with its unit says, in SI units."""
    if text in ("down", "none"):
        return 0.0
    if text == "free" or text.startswith("not possible"):
        return np.inf
    number, unit = text.split(" (")[0].split(" ")
    return float(number) * UNITS[unit]


def costs_of(task: Any, states: list[dict[str, Any]]) -> oj.ChainCosts:
    """What the library makes of a task under the sliders of every state."""
    values = np.array([[amount(text) for text in state["values"]] for state in states]).T
    device, edge, cloud, near, far, near_trip, far_trip = values
    processors = zip(("device", "edge", "cloud"), (device, edge, cloud), strict=True)
    network = oj.Network(
        [oj.Processor(name, speed) for name, speed in processors],
        [
            oj.Link("device", "edge", near, round_trip_time=near_trip),
            oj.Link("edge", "cloud", far, round_trip_time=far_trip),
        ],
    )
    return oj.network_costs(task, network)


def check(task: Any, states: list[dict[str, Any]]) -> None:
    """Places, seconds and words of every state are those of the library."""
    with jax.enable_x64(True):
        costs = costs_of(task, states)
        solution = oj.solve(costs)
        shape = solution.decision.shape
        single = [oj.evaluate(costs, np.full(shape, place, np.int8)) for place in range(3)]
        seconds = np.stack([solution.cost, *single], -1)
    np.testing.assert_array_equal([state["places"] for state in states], solution.decision)
    exactly = np.array([state["seconds"] for state in states], np.float64)
    np.testing.assert_allclose(exactly, seconds, rtol=1e-12)
    rounded = [[amount(text) for text in state["times"]] for state in states]
    np.testing.assert_allclose(rounded, seconds, rtol=0.006)
    for state in states:
        named = [place for place in range(3) if WHERE[place] in state["summary"]]
        assert named == sorted(set(state["places"]))


def paste(page: chromium.Page, table: str) -> dict[str, Any]:
    """What is shown once a table is chosen and pasted."""
    page.evaluate(
        f"""(() => {{
  document.getElementById("explorer-network").value = "Pasted table";
  const field = document.getElementById("explorer-table");
  field.value = {json.dumps(table)};
  field.dispatchEvent(new Event("input", {{bubbles: true}}));
}})()"""
    )
    return page.evaluate(SHOWN)


def steps(page: chromium.Page) -> list[dict[str, Any]]:
    """What is shown after every key, with the network that is chosen by now."""
    shown = []
    for index, network in enumerate(NETWORKS):
        page.evaluate('document.getElementById("explorer-network").focus()')
        if index:
            page.press("ArrowDown")
        chosen = 'document.getElementById("explorer-network").selectedOptions[0].textContent'
        assert page.evaluate(chosen) == network
        shown.append({"network": network, **page.evaluate(SHOWN)})
        for moved, slider in enumerate(SLIDERS):
            page.evaluate(f'document.getElementById("explorer-{slider}").focus()')
            start = page.evaluate("document.activeElement.value")
            for key in ("PageUp", "PageUp", "ArrowRight", "End", "Home", *["PageUp"] * 4):
                before = shown[-1]["values"]
                page.press(key)
                shown.append({"network": network, **page.evaluate(SHOWN)})
                changed = [a != b for a, b in zip(before, shown[-1]["values"], strict=True)]
                assert changed == [slider == moved for slider in range(len(SLIDERS))], key
            page.evaluate(
                f"document.activeElement.value = {start};"
                'document.activeElement.dispatchEvent(new Event("input", {bubbles: true}))'
            )
            shown.append({"network": network, **page.evaluate(SHOWN)})
    return shown


@pytest.mark.parametrize("site", ["site", "site-material"])
def test_explorer(site: str, tmp_path: Path) -> None:
    browser = chromium.find()
    assert browser, "no Chromium is installed"
    with chromium.page(browser, tmp_path, width=1200) as page:
        page.open(RUNS / site / "explorer.html")
        page.evaluate(DRAWN)
        shown = steps(page)
        for width in (1200, 360):
            page.resize(width, 900)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not [said for said in page.complaints if "explorer" in said]
        pasted = paste(page, TABLE)
        address = page.evaluate("new Promise((d) => setTimeout(() => d(location.hash), 600))")
        faults = {bad: paste(page, bad)["wrong"] for bad in BAD_TABLES}
        page.open(RUNS / site / "index.html")
        page.open(RUNS / site / "explorer.html", address)
        page.evaluate(DRAWN)
        assert page.evaluate(SHOWN) == pasted
    assert faults == BAD_TABLES
    assert len({tuple(state["places"]) for state in shown}) > 10
    for network, build in NETWORKS.items():
        states = [state for state in shown if state["network"] == network]
        check(workloads.profile_network(build), states)
    (tmp_path / "table.csv").write_text(TABLE)
    check(oj.read_measured_task(tmp_path / "table.csv"), [pasted])
    speeds = [re.sub(" .*", "", state["values"][0]) for state in shown]
    assert {"0.1", "10"} <= set(speeds)
