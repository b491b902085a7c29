// The playground: everything it knows comes from the service's own routes.

const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const SHOWN_FEATURES = 4;
let described = null;

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function bar(from, to, className, middle = null) {
  // A bar between two shares of the width; CSS classes, for the policy forbids inline styles.
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("x", Math.min(from, to) * 100);
  rect.setAttribute("width", Math.max(Math.abs(to - from) * 100, 0.5));
  rect.setAttribute("height", 10);
  rect.setAttribute("class", className);
  svg.append(rect);
  if (middle !== null) {
    const line = document.createElementNS(SVG, "line");
    for (const [key, value] of Object.entries({ x1: middle * 100, x2: middle * 100, y1: 0, y2: 10 })) line.setAttribute(key, value);
    line.setAttribute("class", "axis");
    svg.append(line);
  }
  return svg;
}

function say(text, isError = false) {
  at("message").textContent = text;
  at("message").className = isError ? "error" : "";
}

async function ask(path, body) {
  const headers = at("key").value ? { Authorization: `Bearer ${at("key").value}` } : {};
  const options = body === undefined ? { headers } : { method: "POST", body, headers: { ...headers, "Content-Type": "application/json" } };
  const reply = await fetch(path, options);
  const text = await reply.text();
  if (!reply.ok) {
    let message = text;
    try { message = JSON.parse(text).message; } catch { /* not ours: as it is */ }
    throw new Error(`${reply.status}: ${message}`);
  }
  return text;
}

async function loadModels() {
  const list = JSON.parse(await ask("/v1/models"));
  const options = [];
  for (const model of list.models) {
    options.push([model.name, `${model.name} (now @${model.serving})`]);
    for (const alias of Object.keys(model.aliases)) options.push([`${model.name}:${alias}`, `${model.name}:${alias}`]);
    for (const version of model.versions) options.push([`${model.name}@${version}`, `${model.name}@${version}`]);
  }
  at("model").replaceChildren(...options.map(([value, label]) => {
    const option = element("option", label);
    option.value = value;
    return option;
  }));
  if (list.default && options.some(([value]) => value === list.default)) at("model").value = list.default;
  await describe();
}

async function describe() {
  described = JSON.parse(await ask(`/v1/models/${encodeURIComponent(at("model").value)}`));
  const metrics = Object.entries(described.metrics).flatMap(([data, values]) =>
    Object.entries(values).map(([name, value]) => [`${name}, ${data}`, Number(value).toFixed(4)]));
  const facts = [
    ["version", `${described.name}@${described.version}`], ["kind", described.kind],
    ["features", described.feature_count], ["missing is", described.missing], ...metrics,
    ["at most", `${described.limits.max_candidates} candidates a request`],
    ["digest", described.digest.slice(0, 16) || "-"],
  ];
  at("card").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", String(value))]));
  await drift();
}

async function drift() {
  const text = await ask("/metrics");
  const pattern = /^rankwright_feature_drift\{feature="((?:[^"\\]|\\.)*)",model="([^"]*)",version="([^"]*)"\} (\S+)$/gm;
  const found = [...text.matchAll(pattern)]
    .filter((match) => match[2] === described.name && match[3] === described.version)
    .map((match) => [match[1], Number(match[4])])
    .sort((one, other) => other[1] - one[1]).slice(0, 12);
  if (!found.length) {
    at("drift").replaceChildren(element("p", "Too little was served to say.", "hint"));
    return;
  }
  const most = Math.max(0.25, found[0][1]);
  at("drift").replaceChildren(...found.map(([name, value]) =>
    part(name, bar(0, value / most, value > 0.25 ? "much" : value > 0.1 ? "some" : "little"), value.toFixed(3))));
}

function part(name, drawn, value) {
  const row = element("div", "", "part");
  const label = element("span", name);
  label.title = name;
  row.append(label, drawn, element("span", value));
  return row;
}

function example() {
  // Within the ranges of training, so that the scores mean something.
  const random = (low, high) => Number((low + Math.random() * (high - low)).toPrecision(4));
  const candidates = Array.from({ length: 10 }, (_, number) => ({
    id: `document-${number + 1}`,
    features: Object.fromEntries(described.features.map(({ name, low = 0, high = 1 }) => [name, random(low, high)])),
  }));
  at("request").value = JSON.stringify({ candidates }, null, 1);
  say("");
}

async function rank() {
  let request;
  try {
    request = JSON.parse(at("request").value);
  } catch (error) {
    say(`the request is not JSON: ${error.message}`, true);
    return;
  }
  request.model = at("model").value;
  request.explain ??= { top_features: SHOWN_FEATURES };
  try {
    show(JSON.parse(await ask("/v1/rank", JSON.stringify(request))));
    await drift();
  } catch (error) {
    say(error.message, true);
  }
}

function show(reply) {
  const sizes = reply.results.flatMap(({ contributions }) => contributions ? Object.values(contributions.values).map(Math.abs) : []);
  const largest = Math.max(1e-12, ...sizes);
  const body = at("results").tBodies[0];
  body.replaceChildren(...reply.results.map((result) => row(result, largest)));
  at("results").hidden = false;
  at("summary").textContent = `${reply.results.length} candidates by ${reply.model}@${reply.version} in ${reply.timing_ms.total} ms`;
  const warnings = reply.warnings.map(({ code, feature, count }) => `${code.replaceAll("_", " ")}: ${feature ?? ""} ${count ?? ""}`.trim());
  say(warnings.join("\n"));
}

function row(result, largest) {
  const made = document.createElement("tr");
  const moved = result.index + 1 - result.rank;
  const arrow = moved > 0 ? `▲ ${moved}` : moved < 0 ? `▼ ${-moved}` : "·";
  made.append(
    element("td", result.index + 1, "number"), element("td", result.rank, "number"),
    element("td", arrow, moved > 0 ? "up" : moved < 0 ? "down" : ""), element("td", result.id),
    element("td", result.score.toPrecision(5), "number"),
  );
  const cell = element("td");
  if (result.contributions) {
    for (const [name, value] of Object.entries(result.contributions.values)) {
      cell.append(part(name, bar(0.5, 0.5 + value / largest / 2, value < 0 ? "minus" : "plus", 0.5), value.toPrecision(3)));
    }
  }
  made.append(cell);
  return made;
}

const guarded = (action) => () => Promise.resolve(action()).catch((error) => say(error.message, true));
at("model").addEventListener("change", guarded(describe));
at("key").addEventListener("change", guarded(loadModels));
at("example").addEventListener("click", guarded(example));
at("rank").addEventListener("click", guarded(rank));
at("file").addEventListener("change", guarded(async () => {
  const [file] = at("file").files;
  if (file) at("request").value = await file.text();
  at("file").value = "";
}));
loadModels().then(example).catch((error) => say(error.message, true));
