// The page of docs/explorer.md. Decisions and latencies are those of the exported C, which module.js holds beside the profiles
// of the networks: EXPLORER = {module: base64, tasks: [{name, stages, cycles, data}], flopsPerCycle}.
"use strict";
(async () => {
  const root = document.querySelector("div.explorer");
  if (!window.EXPLORER) {
    root.textContent = "explorer/module.js is not there: `make site` writes it.";
    return;
  }
  const { module, tasks, flopsPerCycle } = window.EXPLORER;
  const solver = await load(module);
  const PLACES = ["device", "edge", "cloud"];
  const WHERE = ["on the device", "on the edge", "in the cloud"];
  const GHZ = { unit: "GHz", si: 1e9 };
  const MBIT = { unit: "Mbit/s", si: 1e6 / 8 };
  const STEPS = 120;
  const SLIDERS = [
    { key: "device_speed", text: "Device", low: 0.1, high: 10, start: 60, ...GHZ },
    { key: "edge_speed", text: "Edge", low: 0.5, high: 50, start: 48, ...GHZ },
    { key: "device_edge_bandwidth", text: "Link from device to edge", low: 0.5, high: 500, start: 56, down: true, ...MBIT },
    { key: "edge_cloud_bandwidth", text: "Link from edge to cloud", low: 0.5, high: 500, start: 56, down: true, ...MBIT },
  ];

  // The program as two functions of a request {cycles, data, amounts}: amounts are both speeds and both bandwidths, all in SI units.
  async function load(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const { memory, explorer_decide, explorer_cost } = (await WebAssembly.instantiate(bytes)).instance.exports;
    const start = memory.grow(1) * 65536; // A page for requests, behind what the module has.
    const ask = (call, cycles, data) => {
      const at = { cycles: start, data: start + 8 * cycles.length };
      at.cost = at.data + 8 * data.length;
      at.decision = at.cost + 8;
      new Float64Array(memory.buffer, at.cycles, cycles.length).set(cycles);
      new Float64Array(memory.buffer, at.data, data.length).set(data);
      const decision = new Int8Array(memory.buffer, at.decision, cycles.length);
      const error = call(at, decision);
      if (error) throw new Error(`the program refuses the request: ${error}`);
      return { decision: Array.from(decision), cost: new Float64Array(memory.buffer, at.cost, 1)[0] };
    };
    return {
      decide: ({ cycles, data, amounts }) =>
        ask((at) => explorer_decide(cycles.length, at.cycles, at.data, ...amounts, at.decision), cycles, data).decision,
      latency: ({ cycles, data, amounts }, decision) =>
        ask((at, into) => {
          into.set(decision);
          return explorer_cost(cycles.length, at.cycles, at.data, ...amounts, at.decision, at.cost);
        }, cycles, data).cost,
    };
  }

  // Elements and numbers.
  function element(parent, tag, attributes = {}, text = "") {
    const inSvg = tag === "svg" || parent.namespaceURI.endsWith("svg");
    const made = inSvg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return parent.appendChild(made);
  }
  function scaled(value, units) {
    const [size, unit] = units.find(([least]) => value >= least) ?? units.at(-1);
    const number = value / size;
    return `${number >= 1000 ? Math.round(number) : Number(number.toPrecision(3))} ${unit}`;
  }
  const seconds = (value) => scaled(value, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]);
  const bytes = (value) => scaled(value, [[1e6, "MB"], [1e3, "kB"], [1, "B"]]);
  const operations = (value) => scaled(value, [[1e9, "Gflop"], [1e6, "Mflop"], [1e3, "kflop"]]);

  // Controls.
  const columns = element(root, "div", { class: "columns" });
  const left = element(columns, "div");
  const right = element(columns, "div");
  const choice = element(left, "label", {}, "Network");
  const select = element(choice, "select", { id: "explorer-network" });
  tasks.forEach(({ name }, index) => element(select, "option", { value: index }, name));
  for (const slider of SLIDERS) {
    const label = element(left, "label", {}, slider.text);
    slider.output = element(label, "output");
    slider.input = element(label, "input", { type: "range", id: `explorer-${slider.key}`, min: 0, max: STEPS, value: slider.start });
  }
  const answer = element(left, "p", { class: "answer", "aria-live": "polite" });
  const bars = element(left, "div");
  const legend = element(left, "p", { class: "legend" }, "Time spent");
  for (const kind of ["computing", "moving"]) {
    element(legend, "i", { class: kind });
    legend.append(kind === "moving" ? "moving data" : kind);
  }

  // What a slider stands at, in its unit: what is shown is what is computed with.
  function read({ input, low, high, down }) {
    const position = Number(input.value);
    return down && position === 0 ? 0 : Number((low * (high / low) ** (position / STEPS)).toPrecision(2));
  }

  function drawBars(request, best) {
    const rows = [["Best", best], ...WHERE.map((where, place) => [`All ${where}`, best.map(() => place)])].map(([text, decision]) => ({
      text,
      total: solver.latency(request, decision),
      computing: solver.latency({ ...request, data: request.data.map(() => 0) }, decision),
      moving: solver.latency({ ...request, cycles: request.cycles.map(() => 0) }, decision),
    }));
    const longest = Math.max(...rows.map(({ total }) => total).filter(Number.isFinite));
    bars.replaceChildren();
    rows.forEach(({ text, total, ...parts }, index) => {
      const possible = Number.isFinite(total);
      const row = element(bars, "div", { class: index ? "bar" : "bar best", "data-seconds": total });
      element(row, "span", {}, text);
      const times = index && possible ? ` (× ${Number((total / rows[0].total).toPrecision(3))})` : "";
      element(row, "span", {}, possible ? seconds(total) + times : "not possible: a link is down");
      const bar = element(row, "div", { class: "length" });
      for (const [kind, part] of Object.entries(parts)) {
        if (possible) element(bar, "div", { class: kind, style: `width: ${(100 * part) / longest}%` });
      }
    });
  }

  // From top to bottom: the stages, each in the lane of its place, between input and result on the device.
  function drawWay({ stages, cycles, data }, decision) {
    const ROW = 24, TOP = 44;
    const LANES = [114, 166, 218];
    const height = TOP + (stages.length + 1) * ROW + 14;
    const label = stages.map((stage, t) => `${stage} ${WHERE[decision[t]]}`).join(", ");
    right.replaceChildren();
    const svg = element(right, "svg", { viewBox: `0 0 380 ${height}`, role: "img", "aria-label": label });
    const write = (x, y, text, side, kind) => element(svg, "text", { x, y, "text-anchor": side, class: kind }, text);
    PLACES.forEach((place, lane) => {
      write(LANES[lane], 14, place[0].toUpperCase() + place.slice(1), "middle", "");
      element(svg, "line", { x1: LANES[lane], x2: LANES[lane], y1: TOP - 8, y2: height - 6, class: "lane" });
    });
    write(316, 14, "computes", "end", "faint");
    write(380, 14, "hands on", "end", "faint");
    const here = [0, ...decision, 0];
    const points = here.map((place, row) => [LANES[place], TOP + row * ROW]);
    const bends = points.slice(1).map(([x, y], row) => `C${points[row][0]} ${y} ${x} ${y - ROW} ${x} ${y}`);
    element(svg, "path", { d: `M${points[0]}${bends.join("")}`, class: "way" });
    ["input", ...stages, "result"].forEach((name, row) => {
      const [x, y] = points[row];
      const isStage = row > 0 && row <= stages.length;
      write(88, y + 4, name, "end", isStage ? "" : "faint");
      if (isStage) write(316, y + 4, operations(cycles[row - 1] * flopsPerCycle), "end", "faint");
      if (row < data.length) write(380, y + 4, bytes(data[row]), "end", here[row] === here[row + 1] ? "faint" : "moved");
      const spot = { cx: x, cy: y, r: isStage ? 7 : 4, class: isStage ? PLACES[here[row]] : "end" };
      element(svg, "circle", isStage ? { ...spot, "data-place": here[row] } : spot);
    });
  }

  function summary({ stages }, decision) {
    const runs = [];
    decision.forEach((place, t) => {
      if (place === runs.at(-1)?.place) runs.at(-1).last = stages[t];
      else runs.push({ place, first: stages[t], last: stages[t] });
    });
    if (runs.length === 1) return `Everything runs ${WHERE[runs[0].place]}.`;
    const parts = runs.map(({ place, first, last }) => `${first === last ? first : `${first} to ${last}`} ${WHERE[place]}`);
    return `${parts.join(", then ")}.`;
  }

  function update() {
    const task = tasks[Number(select.value)];
    const amounts = SLIDERS.map((slider) => {
      const value = read(slider);
      slider.output.textContent = value === 0 ? "down" : `${value} ${slider.unit}`;
      slider.output.dataset.value = value;
      slider.input.setAttribute("aria-valuetext", slider.output.textContent);
      return value * slider.si;
    });
    const request = { cycles: task.cycles, data: task.data, amounts };
    const decision = solver.decide(request);
    answer.textContent = summary(task, decision);
    drawBars(request, decision);
    drawWay(task, decision);
  }

  columns.addEventListener("input", update);
  update();
})();
