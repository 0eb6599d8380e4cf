// Charts of lines: a metric along a number that the study varies, a metric round by round.
/// A metric along a number that the study varies, one line for each arm (or family of arms).
function drawAxis(axis, metric, width) {
  const lines = axis.lines
    .map((line, index) => ({
      label: axis.case === undefined ? lineLabel(line) : line.label,
      index,
      arms: new Set(line.points.map((point) => point.arm)),
      points: line.points
        .filter((point) => choice.shown.has(point.arm))
        .map((point) => ({
          ...point,
          label: axis.case === undefined ? lineLabel(line) : line.label,
          index,
          row: judgedRowAt(point.arm, { workload: axis.workload, case: point.case }, metric.name),
        }))
        .filter((point) => point.row && isNumber(point.row.median)),
    }))
    .filter((line) => line.points.length > 0);
  if (lines.length === 0) return undefined;
  const points = lines.flatMap((line) => line.points);
  const looks = new Map(
    lineLooks(lines.map((line) => [...line.arms])).map((look, place) => [lines[place].index, look]),
  );
  const colour = (index) => looks.get(index).colour;
  const xs = points.map((point) => point.x);
  const ys = points
    .flatMap((point) => [point.row.median, point.row.low ?? point.row.median, point.row.high ?? point.row.median])
    .filter(isNumber);
  const xScale = numericScale(xs, "count", 4);
  const yScale = numericScale(ys, metric.unit);
  const reference =
    axis.case === undefined
      ? undefined
      : judgedRowAt(baseline, { workload: axis.workload, case: axis.case }, metric.name)?.median;
  const showsReference = isNumber(reference) && !points.some((point) => point.arm === baseline);
  const y = (point) => point.row.median;
  const format = (value) => formatValue(value, metric.unit);
  const isSmall = width < 520;
  const svg = plot(width, {
    height: isSmall ? 320 : 400,
    marginLeft: 62,
    marginTop: 34,
    marginBottom: 42,
    marginRight: isSmall ? 16 : Math.min(220, 20 + 6.3 * (d3.max(lines, (line) => line.label.length) ?? 0)),
    inset: 12,
    grid: true,
    x: {
      ...xScale,
      label: axisName(axis),
      labelAnchor: "center",
      labelArrow: "none",
      ticks: d3.sort(new Set(xs)).length <= 10 ? d3.sort(new Set(xs)) : ticksOf(xScale, xs, "count", 8),
      tickFormat: (value) => formatAxisNumber(value),
    },
    y: {
      ...yScale,
      label: `${metric.heading} (${betterText(metric.better) || "value"})`,
      labelArrow: "none",
      ticks: ticksOf(yScale, ys, metric.unit, 7) ?? 6,
      tickFormat: (value) => formatTick(value, metric.unit),
    },
    marks: [
      showsReference
        ? Plot.ruleY([reference], { stroke: "var(--muted)", strokeDasharray: "3 3", ariaDescription: "baseline" })
        : null,
      showsReference
        ? Plot.text([reference], {
            y: reference,
            text: () => `baseline ${labelOf(baseline)}`,
            frameAnchor: "left",
            textAnchor: "start",
            dy: -8,
            fill: "var(--muted)",
            ariaDescription: "baseline",
          })
        : null,
      lines.map((line) =>
        Plot.line(line.points, {
          x: "x",
          y,
          stroke: colour(line.index),
          strokeWidth: 2,
          strokeDasharray: looks.get(line.index).dash,
          ariaDescription: "lines",
        }),
      ),
      Plot.ruleX(
        points.filter((point) => isNumber(point.row.low)),
        {
          x: "x",
          y1: (point) => point.row.low,
          y2: (point) => point.row.high,
          stroke: (point) => colour(point.index),
          ariaDescription: "intervals",
        },
      ),
      Plot.dot(points, { x: "x", y, fill: (point) => colour(point.index), r: 4, ariaDescription: "medians" }),
      Plot.tip(
        points,
        Plot.pointer({
          x: "x",
          y,
          maxRadius: 40,
          title: (point) =>
            `${labelOf(point.arm)}\n${axisName(axis)} ${formatAxisNumber(point.x)}\n` +
            `${metric.heading} ${format(y(point))} ` +
            formatInterval(point.row.low, point.row.high, point.row.coverage, format),
        }),
      ),
    ],
  });
  if (!isSmall)
    placeLabels(
      svg,
      lines.map((line) => {
        const last = line.points[line.points.length - 1];
        return { x: svg.scale("x").apply(last.x), y: svg.scale("y").apply(y(last)), label: line.label };
      }),
      width,
      24,
    );
  return {
    about: { axis: axis.axis, workload: axis.workload, case: axis.case, metric: metric.name },
    svg: svg,
    legend: lines.map((line) => [line.label, colour(line.index), looks.get(line.index).dash]),
    head: ["line", "arm", axisName(axis), metric.heading, "interval"],
    rows: points.map((point) => [
      point.label,
      point.arm,
      formatAxisNumber(point.x),
      format(y(point)),
      formatInterval(point.row.low, point.row.high, point.row.coverage, format),
    ]),
    numeric: [2, 3],
    text:
      plural(lines, "line") +
      ", " +
      extremesText(points, (point) => `${point.label} at ${formatAxisNumber(point.x)}`, y, format),
  };
}
// Along cases a line is an arm: its name begins the label, and what stands after it stays.
function lineLabel(line) {
  const { arm } = line.points[0];
  return line.label.startsWith(arm) ? labelOf(arm) + line.label.slice(arm.length) : line.label;
}
const axisName = (axis) => axis.axis.replace(/_/g, " ").replace(".", ": ");
function formatAxisNumber(value) {
  if (value >= 1024 && value % 1024 === 0) return value / 1024 + "k";
  return Number.isInteger(value) ? String(value) : general(value, 4);
}

/// Every round of one metric: drift, outliers, and whether a round hit all arms alike.
function drawTraces(series, metric, width) {
  const shown = series.filter((one) => choice.shown.has(one.arm));
  const points = shown
    .flatMap((one) =>
      one.values.map((value, index) => ({
        arm: one.arm,
        round: one.rounds[index],
        seed: one.seeds?.[index],
        value,
        line: one.seeds ? join(one.arm, one.seeds[index]) : one.arm,
      })),
    )
    .filter((point) => isNumber(point.value));
  if (points.length === 0) return undefined;
  const measured = d3.sort(new Set(points.map((point) => point.round)));
  const disturbed = new Set(disturbedRounds.map((round) => round.round));
  const format = (value) => formatValue(value, metric.unit);
  const isQuiet = isCrowded();
  const lines = d3.groups(points, (point) => point.line).map(([, own]) => own);
  const arms = [...new Set(points.map((point) => point.arm))];
  const armLooks = lineLooks(arms.map((arm) => [arm]));
  const looks = new Map(arms.map((arm, place) => [arm, armLooks[place]]));
  const colour = (point) => colourOf(point.arm);
  const isSmall = width < 520;
  const svg = plot(width, {
    height: isSmall ? 300 : 360,
    marginLeft: 62,
    marginTop: 34,
    marginBottom: 42,
    marginRight: isSmall ? 16 : Math.min(200, 20 + 6.3 * (d3.max(shown, (one) => labelOf(one.arm).length) ?? 0)),
    insetLeft: 10,
    insetRight: 10,
    grid: true,
    x: {
      label: "round",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: measured.length <= 20 ? measured : 10,
      tickFormat: (value) => String(value),
    },
    y: {
      label: `${metric.heading} (${betterText(metric.better) || "value"})`,
      labelArrow: "none",
      ticks: 6,
      tickFormat: (value) => formatTick(value, metric.unit),
    },
    marks: [
      Plot.rectX(
        measured.filter((round) => disturbed.has(round)),
        {
          x1: (round) => round - 0.4,
          x2: (round) => round + 0.4,
          fill: "var(--warn)",
          fillOpacity: 0.18,
          ariaDescription: "disturbed rounds",
        },
      ),
      lines.map((own) =>
        Plot.line(own, {
          x: "round",
          y: "value",
          stroke: looks.get(own[0].arm).colour,
          strokeDasharray: looks.get(own[0].arm).dash,
          strokeOpacity: isQuiet ? 0.4 : 1,
          ariaDescription: "lines",
        }),
      ),
      Plot.dot(points, {
        x: "round",
        y: "value",
        r: points.length > 400 ? 2 : 3.5,
        fill: colour,
        ariaDescription: "samples",
      }),
      Plot.tip(
        points,
        Plot.pointer({
          x: "round",
          y: "value",
          maxRadius: 40,
          title: (point) =>
            `${labelOf(point.arm)}\nround ${point.round}` +
            (point.seed === undefined ? "" : `, seed ${point.seed}`) +
            `\n${format(point.value)}`,
        }),
      ),
    ],
  });
  if (!isSmall && !isQuiet)
    placeLabels(
      svg,
      shown
        .map((one) => {
          const last = points.findLast((point) => point.arm === one.arm);
          if (!last) return undefined;
          const label = labelOf(one.arm);
          return { x: svg.scale("x").apply(last.round), y: svg.scale("y").apply(last.value), label };
        })
        .filter(Boolean),
      width,
      24,
    );
  return {
    about: { workload: shown[0].workload, case: shown[0].case, metric: metric.name },
    svg,
    legend: isQuiet ? undefined : arms.map((arm) => [labelOf(arm), looks.get(arm).colour, looks.get(arm).dash]),
    head: ["arm", "round", "seed", metric.heading],
    rows: points.map((point) => [point.arm, point.round, point.seed ?? "", format(point.value)]),
    numeric: [1, 3],
    text: extremesText(
      points,
      (point) => `${point.arm}, round ${point.round}`,
      (point) => point.value,
      format,
    ),
  };
}
