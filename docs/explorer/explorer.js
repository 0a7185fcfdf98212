// The page of docs/explorer.md. Decisions are those of the exported C on tables of seconds, which are written here. module.js holds it
// beside the profiles of the networks: EXPLORER = {module: base64, tasks: [{name, stages, cycles, data}], flopsPerCycle}.
"use strict";
(async () => {
  const root = document.querySelector("div.explorer");
  if (!window.EXPLORER) {
    root.textContent = "explorer/module.js is not there: `make site` writes it.";
    return;
  }
  const { module, tasks, flopsPerCycle } = window.EXPLORER;
  const decide = await load(module);
  const PLACES = ["device", "edge", "cloud"];
  const WHERE = ["on the device", "on the edge", "in the cloud"];
  const GHZ = { unit: "GHz", si: 1e9 };
  const MBIT = { unit: "Mbit/s", si: 1e6 / 8, first: "down" };
  const MS = { unit: "ms", si: 1e-3, first: "none", low: 1, high: 1000, start: 0 };
  const STEPS = 120;
  const PASTED = "Pasted table";
  const SLIDERS = [
    { key: "device_speed", text: "Device", low: 0.1, high: 10, start: 60, ...GHZ },
    { key: "edge_speed", text: "Edge", low: 0.5, high: 50, start: 48, ...GHZ },
    { key: "cloud_speed", text: "Cloud", low: 1, high: 1000, start: 90, last: "free", ...GHZ },
    { key: "device_edge_bandwidth", text: "Link from device to edge", low: 0.5, high: 500, start: 56, ...MBIT },
    { key: "edge_cloud_bandwidth", text: "Link from edge to cloud", low: 0.5, high: 500, start: 56, ...MBIT },
    { key: "device_edge_round_trip", text: "Round trip between device and edge", ...MS },
    { key: "edge_cloud_round_trip", text: "Round trip between edge and cloud", ...MS },
  ];

  // The program as a function of seconds {execution: [A][3], transfer: [A + 1][3][3]}, whose answer is the place of each stage.
  async function load(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const { memory, explorer_table } = (await WebAssembly.instantiate(bytes)).instance.exports;
    const start = memory.buffer.byteLength; // Requests lie behind what the module has.
    return ({ execution, transfer }) => {
      const num = execution.length;
      const table = [execution, transfer].flat(3);
      const rest = start + 8 * table.length, decision = rest + 8 * 6, next = decision + num;
      const missing = next + 3 * num - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / 65536));
      new Float64Array(memory.buffer, start, table.length).set(table);
      const error = explorer_table(num, 3, start, start + 8 * 3 * num, decision, next, rest);
      if (error) throw new Error(`the program refuses the request: ${error}`);
      return Array.from(new Int8Array(memory.buffer, decision, num));
    };
  }

  // What running a stage takes at each place, and what its data takes from each place to each other one.
  function secondsOf(task, amounts) {
    const [device, edge, cloud, first, second, firstTrip, secondTrip] = amounts;
    const hop = (bytes, bandwidth, trip) => (bytes === 0 ? 0 : bandwidth === 0 ? Infinity : bytes / bandwidth + trip / 2);
    const transfer = task.data.map((bytes) => {
      const near = hop(bytes, first, firstTrip), far = hop(bytes, second, secondTrip);
      return [[0, near, near + far], [near, 0, far], [near + far, far, 0]];
    });
    const execution = task.seconds ?? task.cycles.map((cycles) => [cycles / device, cycles / edge, cycles / cloud]);
    return { execution, transfer };
  }
  function spent({ execution, transfer }, decision) {
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    const here = [0, ...decision, 0];
    return {
      computing: sum(decision.map((place, t) => execution[t][place])),
      moving: sum(transfer.map((move, t) => move[here[t]][here[t + 1]])),
    };
  }

  // A table of the form of oj.read_measured_task: subtask,output_bytes and milliseconds at three places.
  function readTable(text) {
    const lines = text.split(/\r?\n/).filter((line) => line.trim());
    const rows = lines.map((line) => line.split(/[,;\t]/).map((cell) => cell.trim()));
    const fail = (line, rule) => { throw new Error(`Line ${line + 1}: ${rule}`); };
    const [head] = rows;
    if (!head || head.length !== 5) fail(0, "the header must be subtask,output_bytes and three places.");
    if (rows.length < 3) fail(rows.length - 1, "needs a row for the input and one for each subtask.");
    const number = (cell, line, name) => {
      const value = /^inf(inity)?$/i.test(cell) && name !== head[1] ? Infinity : cell === "" ? NaN : Number(cell);
      if (!(value >= 0) || (value === Infinity && !/^inf/i.test(cell))) fail(line, `${name} must be a number of at least 0, got "${cell}".`);
      return value;
    };
    rows.forEach((row, line) => { if (row.length !== 5) fail(line, `must have 5 columns, got ${row.length}.`); });
    if (rows[1].slice(2).some((cell) => cell !== "")) fail(1, "the first row is the input and has no times.");
    const subtasks = rows.slice(2);
    return {
      name: PASTED,
      text,
      stages: subtasks.map(([name]) => name),
      data: rows.slice(1).map((row, index) => number(row[1], index + 1, head[1])),
      seconds: subtasks.map((row, index) => [2, 3, 4].map((column) => number(row[column], index + 2, head[column]) / 1000)),
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
  for (const { name } of [...tasks, { name: PASTED }]) element(select, "option", { value: name }, name);
  const pasted = element(left, "label", { class: "pasted", hidden: "" }, "Milliseconds at each place, as CSV");
  const table = element(pasted, "textarea", {
    id: "explorer-table",
    rows: 6,
    spellcheck: "false",
    placeholder: "subtask,output_bytes,device,edge,cloud\ninput,150528,,,\nconv1,802816,12.5,3.1,0.8\nclassifier,4000,2.5,0.4,0.1",
  });
  const wrong = element(pasted, "p", { class: "wrong", role: "status" });
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
  function read({ input, low, high, first, last }) {
    const position = Number(input.value);
    if (first && position === 0) return 0;
    return last && position === STEPS ? Infinity : Number((low * (high / low) ** (position / STEPS)).toPrecision(2));
  }

  function drawBars(taken, best) {
    const rows = [["Best", best], ...WHERE.map((where, place) => [`All ${where}`, best.map(() => place)])].map(([text, decision]) => {
      const { computing, moving } = spent(taken, decision);
      return { text, total: computing + moving, computing, moving };
    });
    const longest = Math.max(1e-300, ...rows.map(({ total }) => total).filter(Number.isFinite));
    bars.replaceChildren();
    rows.forEach(({ text, total, ...parts }, index) => {
      const possible = Number.isFinite(total);
      const row = element(bars, "div", { class: index ? "bar" : "bar best", "data-seconds": total });
      element(row, "span", {}, text);
      const times = index && possible ? ` (× ${Number((total / rows[0].total).toPrecision(3))})` : "";
      element(row, "span", {}, possible ? seconds(total) + times : "not possible");
      const bar = element(row, "div", { class: "length" });
      for (const [kind, part] of Object.entries(parts)) {
        if (possible) element(bar, "div", { class: kind, style: `width: ${(100 * part) / longest}%` });
      }
    });
  }

  // From top to bottom: the stages, each in the lane of its place, between input and result on the device.
  function drawWay({ stages, cycles, seconds: measured, data }, decision) {
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
      write(88, y + 4, name.length > 13 ? `${name.slice(0, 4)}…${name.slice(-8)}` : name, "end", isStage ? "" : "faint");
      const work = () => (measured ? seconds(measured[row - 1][here[row]]) : operations(cycles[row - 1] * flopsPerCycle));
      if (isStage) write(316, y + 4, work(), "end", "faint");
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

  // The part of the address behind # keeps what is chosen, so that it can be passed on.
  let later;
  function remember(task) {
    const kept = new URLSearchParams({ network: select.value });
    for (const { key, input } of SLIDERS) kept.set(key, input.value);
    if (task?.text) kept.set("table", task.text);
    history.replaceState(null, "", `#${kept}`);
  }
  function recall() {
    const kept = new URLSearchParams(location.hash.slice(1));
    const known = [...select.options].map((option) => option.value);
    if (known.includes(kept.get("network"))) select.value = kept.get("network");
    for (const { key, input } of SLIDERS) if (/^\d+$/.test(kept.get(key))) input.value = kept.get(key);
    if (kept.has("table")) table.value = kept.get("table");
  }

  function chosen() {
    const isPasted = select.value === PASTED;
    pasted.hidden = !isPasted;
    wrong.textContent = "";
    for (const { key, input } of SLIDERS) if (key.endsWith("speed")) input.disabled = isPasted;
    if (!isPasted) return tasks.find(({ name }) => name === select.value);
    try {
      return readTable(table.value || table.placeholder);
    } catch (error) {
      wrong.textContent = error.message;
      return null;
    }
  }

  function update() {
    const task = chosen();
    const amounts = SLIDERS.map((slider) => {
      const value = read(slider);
      slider.output.textContent = value === 0 ? slider.first : value === Infinity ? slider.last : `${value} ${slider.unit}`;
      slider.output.dataset.value = value;
      slider.input.setAttribute("aria-valuetext", slider.output.textContent);
      return value * slider.si;
    });
    clearTimeout(later); // Browsers refuse more than some changes a second.
    later = setTimeout(() => remember(task), 250);
    if (!task) {
      answer.textContent = "";
      for (const part of [bars, right]) part.replaceChildren();
      return;
    }
    const taken = secondsOf(task, amounts);
    const decision = decide(taken);
    const { computing, moving } = spent(taken, decision);
    const possible = computing + moving < Infinity;
    answer.textContent = possible ? summary(task, decision) : "Nothing is possible.";
    drawBars(taken, decision);
    drawWay(task, decision);
  }

  columns.addEventListener("input", update);
  addEventListener("hashchange", () => { recall(); update(); });
  recall();
  update();
})();
