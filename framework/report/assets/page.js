// Puts the page together: sections with something to say, and no others.
function tradeoffSection() {
  if (data.tradeoffs.length === 0) return undefined;
  const bySize = data.tradeoffs.filter((one) => one.cost.unit === "bytes");
  const bySpeed = data.tradeoffs.filter((one) => one.cost.unit !== "bytes");
  const chart = (id, title, choices) => {
    if (choices.length === 0) return "";
    let chosen = 0;
    const options = choices.map((one, index) => [
      String(index),
      `${measureTitle(one.quality)} / ${measureTitle(one.cost)}`,
    ]);
    const node = figure({
      id,
      title,
      height: 420,
      controls: [
        select("What", options, "0", (index) => {
          chosen = Number(index);
          frames.get(node).renew();
        }),
      ],
      draw: (width) => drawTradeoff(choices[chosen], width),
    });
    return node;
  };
  return section(
    "tradeoffs",
    "Quality against cost",
    "A curve joins arms that differ in numbers only, over the bytes that were measured; its band is their interval. " +
      "Filled points joined by the dotted line are the Pareto front: no other arm is as good in both and better in " +
      "one. Lines through points are intervals" +
      (data.tradeoffs.some((one) => one.points.some((point) => point.quality_seeds_low !== undefined))
        ? "; broad pale bars reach from the least to the greatest seed."
        : "."),
    el(
      "div",
      { class: "pair" },
      chart("quality-bytes", "Quality against KV bytes", bySize),
      chart("quality-speed", "Quality against decode speed", bySpeed),
    ),
  );
}

function familyNote(entry, metric) {
  const family = unmarkable.find(
    (one) => one.workload === entry.workload && one.case === entry.case && one.metric === metric.name,
  );
  if (!family) return "";
  const there = count(family.rounds, ...familyUnit(family));
  if (family.of_seeds)
    return `${there} ${family.rounds === 1 ? "is" : "are"} too few for a verdict, ${family.rounds_needed} would do.`;
  return `Nothing can be marked: ${there}, ${family.rounds_needed} would be needed.`;
}

function metricsSection() {
  if (columnsOf.length === 0) return undefined;
  let asRatio = false;
  const hasRatios = compared.length > 0;
  const grid = (entry, metrics) =>
    el(
      "div",
      { class: "grid" },
      metrics.map((metric) =>
        figure({
          id: newId("metric"),
          level: "h4",
          title: metric.heading + betterArrow(metric.better),
          note: familyNote(entry, metric),
          height: 80,
          draw: (width) => drawByArm(entry, metric, asRatio, width),
        }),
      ),
    );
  const node = section(
    "metrics",
    "Every metric by arm",
    "Points are medians, lines 95 % intervals or the range of too few rounds; the dashed line is the baseline. " +
      "As ratios, intervals hold for all arms at once, and filled points differ significantly." +
      (data.summary.some((row) => row.no_verdict)
        ? " Hollow values have no verdict: they are compared with none."
        : ""),
    el(
      "div",
      { class: "controls" },
      hasRatios
        ? select(
            "Show",
            [
              ["value", "values"],
              ["ratio", "ratios to the baseline"],
            ],
            "value",
            (value) => {
              asRatio = value === "ratio";
              for (const one of node.querySelectorAll("figure")) frames.get(one).renew();
            },
          )
        : "",
    ),
    columnsOf.map(({ entry, metrics }) => {
      const first = metrics.some(isHeadline) ? metrics.filter(isHeadline) : metrics;
      const more = metrics.filter((metric) => !first.includes(metric));
      return el(
        "section",
        { class: "case", "aria-label": entry.title },
        el("h3", {}, entry.title),
        grid(entry, first),
        more.length > 0
          ? el(
              "details",
              {},
              el("summary", {}, `${count(more.length, "further metric")} of ${entry.title}`),
              grid(entry, more),
            )
          : "",
      );
    }),
  );
  return node;
}

// A chart with a choice of what, and of which metric: metrics that the choice has at least two points of.
function chooser({ id, title, whatLabel, whats, metricsOf, draw }) {
  let what = whats[0];
  let metric = metricsOf(what)[0];
  const metricControl = el("span", {});
  const fillMetrics = () => {
    const metrics = metricsOf(what);
    metric = metrics.find((one) => one.name === metric.name) ?? metrics[0];
    metricControl.replaceChildren(
      select(
        "Metric",
        metrics.map((one) => [one.name, one.heading]),
        metric.name,
        (name) => {
          metric = metricOf.get(name);
          frames.get(node).renew();
        },
      ),
    );
  };
  const node = figure({
    id,
    title,
    height: 400,
    controls: [
      select(
        whatLabel,
        whats.map((one, index) => [String(index), one.text]),
        "0",
        (index) => {
          what = whats[Number(index)];
          fillMetrics();
          frames.get(node).renew();
        },
      ),
      metricControl,
    ],
    draw: (width) => draw(what, metric, width),
  });
  fillMetrics();
  return node;
}

function axesSection() {
  const pointsOf = (axis, metric) =>
    axis.lines
      .flatMap((line) => line.points)
      .map((point) => judgedRowAt(point.arm, { workload: axis.workload, case: point.case }, metric.name))
      .filter((row) => isNumber(row?.median)).length;
  const metricsOf = ({ axis }) => {
    const metrics = data.metrics.filter((metric) => pointsOf(axis, metric) > 1);
    return [...metrics.filter(isHeadline), ...metrics.filter((metric) => !isHeadline(metric))];
  };
  const whats = data.axes
    .map((axis) => ({
      axis,
      text: `${axisName(axis)} (${axis.case === undefined ? axis.workload : caseTitle(axis.workload, axis.case)})`,
    }))
    .filter((what) => metricsOf(what).length > 0);
  if (whats.length === 0) return undefined;
  return section(
    "axes",
    "Along what was varied",
    "One line for each arm, or for arms that differ in nothing else. Vertical lines are 95 % intervals.",
    chooser({
      id: "axis",
      title: "A metric along a number",
      whatLabel: "Along",
      whats,
      metricsOf,
      draw: (what, metric, width) => drawAxis(what.axis, metric, width),
    }),
  );
}

function mapsSection() {
  const metricsOf = ({ map }) => {
    const has = (metric) =>
      map.cases.some((name) =>
        armNames.some((arm) => isNumber(rowAt(arm, { workload: map.workload, case: name }, metric.name)?.median)),
      );
    const metrics = data.metrics.filter(has);
    return [...metrics.filter(isHeadline), ...metrics.filter((metric) => !isHeadline(metric))];
  };
  const words = (name) => name.replace(/_/g, " ");
  const whats = data.maps
    .map((map) => ({
      map,
      text: `${words(map.across)} and ${words(map.down)} (${map.workload}${map.others ? ", " + map.others : ""})`,
    }))
    .filter((what) => metricsOf(what).length > 0);
  if (whats.length === 0) return undefined;
  return section(
    "maps",
    "By two numbers",
    "One table for each arm: darker is more. Dashed cells have no verdict.",
    chooser({
      id: "map",
      title: "A metric by two numbers of the cases",
      whatLabel: "By",
      whats,
      metricsOf,
      draw: (what, metric, width) => drawMap(what.map, metric, width),
    }),
  );
}

function tracesSection() {
  const ofCase = d3.groups(data.series, (one) => join(one.workload, one.case));
  const whats = ofCase.map(([key, series]) => ({ series, text: caseOf.get(key)?.title ?? key }));
  if (whats.length === 0) return undefined;
  const metricsOf = ({ series }) => {
    const names = new Set(series.map((one) => one.metric));
    const metrics = data.metrics.filter((metric) => names.has(metric.name));
    return [...metrics.filter(isHeadline), ...metrics.filter((metric) => !isHeadline(metric))];
  };
  return section(
    "traces",
    "Round by round",
    "What every round measured. A step or a slope that all arms share is the machine, and drops out of " +
      "the ratios; shaded rounds were disturbed by other work.",
    chooser({
      id: "trace",
      title: "Every round",
      whatLabel: "Case",
      whats,
      metricsOf,
      draw: (what, metric, width) =>
        drawTraces(
          what.series.filter((one) => one.metric === metric.name),
          metric,
          width,
        ),
    }),
  );
}

function latencySection() {
  const keys = [...new Set(data.latency.rows.map((row) => join(row.workload, row.case)))];
  if (keys.length === 0) return undefined;
  let chosen = keys[0];
  const node = figure({
    id: "latency",
    title: "Token latency",
    height: 200,
    controls: [
      select(
        "Case",
        keys.map((key) => [key, caseOf.get(key)?.title ?? key]),
        chosen,
        (key) => {
          chosen = key;
          frames.get(node).renew();
        },
      ),
    ],
    draw: (width) => drawLatency(caseOf.get(chosen), width),
  });
  return section(
    "latencies",
    "Token by token",
    "How long single tokens took, over all rounds: thin line 5 to 95 %, thick line the middle half, " +
      "point the median, diamond the 99th percentile; pale ticks at every second percent.",
    node,
  );
}

function predictionsSection() {
  const metrics = [...new Set(data.predictions.map((point) => point.metric))];
  if (metrics.length === 0) return undefined;
  const notes = {
    decode_tokens_per_second:
      "Predicted is the measured read bandwidth over the bytes that a token reads: a bound. Below the line " +
      "the arm is slower than memory allows; hollow points read so little that it fits into the caches, " +
      "where memory is no bound.",
    recall_accuracy:
      "Predicted is the share of queries whose key is still in the cache: on the line, what the arm missed " +
      "is what its cache forgot.",
  };
  return section(
    "predictions",
    "Predicted and measured",
    "",
    el(
      "div",
      { class: "pair" },
      metrics.map((metric) =>
        figure({
          id: "predicted-" + metric,
          title: metricOf.get(metric)?.heading ?? metric,
          note: notes[metric],
          height: 420,
          draw: (width) => drawPrediction(metric, width),
        }),
      ),
    ),
  );
}

const contents = {
  verdict: "Verdict",
  table: "Table",
  comparisons: "Further comparisons",
  tradeoffs: "Quality and cost",
  trainings: "Training",
  metrics: "Metrics",
  axes: "Along a number",
  maps: "By two numbers",
  traces: "Rounds",
  latencies: "Latency",
  predictions: "Predictions",
  generated: "Text",
  failures: "Failures",
  method: "Method",
  environment: "Machine",
  arms: "Arms",
};

document.getElementById("name").textContent = data.study.name;
const question = document.getElementById("question");
question.textContent = data.study.question;
question.hidden = data.study.question === "";
document.getElementById("banner").textContent = data.banner;
document.getElementById("banner").hidden = data.banner === "";
document.getElementById("inputs").append(...data.inputs.map((words) => el("li", {}, words)));
const sections = [
  verdictSection,
  tableSection,
  comparisonsSection,
  tradeoffSection,
  trainingSection,
  metricsSection,
  axesSection,
  mapsSection,
  tracesSection,
  latencySection,
  predictionsSection,
  generatedSection,
  failuresSection,
  methodSection,
  environmentSection,
  armsSection,
]
  .map((make) => make())
  .filter(Boolean);
document.getElementById("main").append(...sections);
document.getElementById("contents").append(...sections.map((one) => el("a", { href: "#" + one.id }, contents[one.id])));
fillTable();
// The first chart is drawn before the page is scrolled to it.
requestAnimationFrame(() => frames.get(document.querySelector("figure"))?.draw());
