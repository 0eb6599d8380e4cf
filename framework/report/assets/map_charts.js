// Tables of colours: a metric by two numbers of the cases, such as the length of a text and the depth of what was
// hidden in it; one table for each arm.
function drawMap(map, metric, width) {
  const points = shownArms().flatMap((arm) =>
    map.cases.map((name, place) => ({
      arm,
      name,
      x: map.xs[place % map.xs.length],
      y: map.ys[Math.floor(place / map.xs.length)],
      row: name === "" ? undefined : rowAt(arm, { workload: map.workload, case: name }, metric.name),
    })),
  );
  const there = points.filter((point) => isNumber(point.row?.median));
  if (there.length === 0) return undefined;
  const arms = [...new Set(there.map((point) => point.arm))];
  const value = (point) => point.row.median;
  const format = (number) => formatValue(number, metric.unit);
  const [least, most] = metric.unit === "share" ? [0, 1] : d3.extent(there, value);
  const judged = there.filter((point) => !point.row.no_verdict);
  // Never so dark that a figure on it cannot be read.
  const strength = (point) => 0.05 + (most > least ? (0.55 * (value(point) - least)) / (most - least) : 0);
  const cell = Math.max(34, Math.min(64, (width - 90) / map.xs.length));
  const tableHeight = map.ys.length * 24 + 30;
  const fx = { x: "x", y: "y", fy: "arm" };
  const number = (one) => formatAxisNumber(one);
  const svg = plot(Math.min(width, 90 + cell * map.xs.length), {
    height: arms.length * tableHeight + 60,
    marginLeft: 64,
    marginRight: 20,
    marginTop: 30,
    marginBottom: 40,
    x: {
      type: "band",
      domain: map.xs,
      label: map.across.replace(/_/g, " "),
      labelArrow: "none",
      labelAnchor: "center",
      tickFormat: number,
      padding: 0.04,
    },
    y: {
      type: "band",
      domain: map.ys,
      label: map.down.replace(/_/g, " "),
      labelArrow: "none",
      tickFormat: number,
      padding: 0.08,
    },
    fy: { domain: arms, label: null, axis: null, padding: 30 / tableHeight },
    marks: [
      Plot.cell(judged, { ...fx, fill: "var(--c0)", fillOpacity: { value: strength, scale: null }, ariaDescription: "cells" }),
      Plot.cell(
        there.filter((point) => point.row.no_verdict),
        { ...fx, fill: "none", stroke: "var(--muted)", strokeDasharray: "2 2", ariaDescription: "no verdict" },
      ),
      Plot.text(there, {
        ...fx,
        text: (point) => format(value(point)),
        fill: (point) => (point.row.no_verdict ? "var(--muted)" : "var(--text)"),
        fontSize: 11,
        ariaDescription: "values",
      }),
      Plot.text(arms, {
        fy: (arm) => arm,
        text: (arm) => labelOf(arm) + (arm === baseline ? " (baseline)" : ""),
        frameAnchor: "top-left",
        dy: -12,
        textAnchor: "start",
        fontWeight: 600,
        ariaDescription: "arms",
      }),
      Plot.tip(
        there,
        Plot.pointer({
          ...fx,
          maxRadius: 40,
          title: (point) =>
            `${labelOf(point.arm)}\n${map.across} ${number(point.x)}, ${map.down} ${number(point.y)}\n` +
            `${metric.heading} ${format(value(point))}` +
            (point.row.no_verdict ? `\n${point.row.no_verdict}` : ""),
        }),
      ),
    ],
  });
  return {
    about: { map: [map.across, map.down], workload: map.workload, metric: metric.name },
    svg,
    head: ["arm", map.across, map.down, metric.heading, "verdict"],
    rows: there.map((point) => [
      point.arm,
      number(point.x),
      number(point.y),
      format(value(point)),
      point.row.no_verdict ?? "",
    ]),
    numeric: [1, 2, 3],
    text: extremesText(
      there,
      (point) => `${point.arm} at ${map.across} ${number(point.x)}, ${map.down} ${number(point.y)}`,
      value,
      format,
    ),
  };
}
