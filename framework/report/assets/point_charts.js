// Charts of one point for each arm: quality against cost, predicted against measured.
/// Quality against what it costs.
function drawTradeoff(tradeoff, width) {
  const { quality, cost } = tradeoff;
  const points = tradeoff.points.filter((point) => choice.shown.has(point.arm));
  if (points.length === 0) return undefined;
  const x = (point) => point.cost;
  const y = (point) => point.quality;
  const xs = points.map(x);
  const ys = points.flatMap((point) => [
    point.quality,
    point.quality_low ?? point.quality,
    point.quality_high ?? point.quality,
    point.quality_seeds_low ?? point.quality,
    point.quality_seeds_high ?? point.quality,
  ]);
  const xScale = numericScale(xs, cost.unit);
  const yScale = numericScale(ys, quality.unit, 20);
  const shown = new Set(points);
  const curves = (tradeoff.curves ?? [])
    .map((curve) => curve.points.map((index) => tradeoff.points[index]).filter((one) => shown.has(one)))
    .map((points) => ({ points }))
    .filter((curve) => curve.points.length > 1);
  const isOnCurve = new Set(curves.flatMap((curve) => curve.points));
  const front = d3.sort(
    points.filter((point) => point.front),
    x,
  );
  const describe = (point) =>
    `${labelOf(point.arm)}\n${metricOf.get(quality.metric).heading} ${formatValue(point.quality, quality.unit)}\n` +
    `${metricOf.get(cost.metric).heading} ${formatValue(point.cost, cost.unit)}` +
    (point.quality_seeds_low === undefined
      ? ""
      : `\nseeds: ${formatValue(point.quality_seeds_low, quality.unit)} to ` +
        formatValue(point.quality_seeds_high, quality.unit)) +
    (point.front ? "\non the Pareto front" : "");
  const isSmall = width < 520;
  const svg = plot(width, {
    height: isSmall ? 340 : 420,
    marginLeft: 62,
    marginBottom: 42,
    marginTop: 34,
    marginRight: isSmall ? 16 : 40,
    inset: 14,
    grid: true,
    x: {
      ...xScale,
      label: axisTitle(cost),
      labelAnchor: "center",
      labelArrow: "none",
      ticks: ticksOf(xScale, xs, cost.unit, isSmall ? 5 : 9) ?? (isSmall ? 4 : 8),
      tickFormat: (value) => formatTick(value, cost.unit),
    },
    y: {
      ...yScale,
      label: axisTitle(quality),
      labelArrow: "none",
      ticks: ticksOf(yScale, ys, quality.unit, 7) ?? 6,
      tickFormat: (value) => formatTick(value, quality.unit),
    },
    marks: [
      // A band over a point without an interval would say what is not known.
      curves
        .filter((curve) => curve.points.every((point) => point.quality_low !== undefined))
        .map((curve) =>
          Plot.areaY(curve.points, {
            x,
            y1: "quality_low",
            y2: "quality_high",
            fill: colourOf(curve.points[0].arm),
            fillOpacity: 0.16,
            ariaDescription: "bands",
          }),
        ),
      curves.map((curve) =>
        Plot.line(curve.points, {
          x,
          y,
          stroke: colourOf(curve.points[0].arm),
          strokeWidth: 2,
          strokeDasharray: dashOf(armAt(curve.points[0].arm).line),
          ariaDescription: "curves",
        }),
      ),
      Plot.line(front, {
        x,
        y,
        stroke: "var(--front)",
        strokeWidth: 1.5,
        strokeDasharray: "1 3",
        ariaDescription: "Pareto front",
      }),
      Plot.ruleX(
        points.filter((point) => point.quality_seeds_low !== undefined),
        {
          x,
          y1: "quality_seeds_low",
          y2: "quality_seeds_high",
          stroke: (point) => colourOf(point.arm),
          strokeOpacity: 0.3,
          strokeWidth: 8,
          ariaDescription: "seeds",
        },
      ),
      Plot.ruleX(
        points.filter((point) => point.quality_low !== undefined),
        {
          x,
          y1: "quality_low",
          y2: "quality_high",
          stroke: (point) => colourOf(point.arm),
          strokeOpacity: 0.6,
          ariaDescription: "intervals",
        },
      ),
      Plot.ruleY(
        points.filter((point) => point.cost_low !== undefined && point.cost_low !== point.cost_high),
        {
          y,
          x1: "cost_low",
          x2: "cost_high",
          stroke: (point) => colourOf(point.arm),
          strokeOpacity: 0.6,
          ariaDescription: "intervals",
        },
      ),
      Plot.dot(points, {
        x,
        y,
        r: 5,
        stroke: (point) => colourOf(point.arm),
        strokeWidth: 2,
        fill: (point) => (point.front ? colourOf(point.arm) : "var(--surface)"),
        ariaDescription: "medians",
      }),
      Plot.tip(points, Plot.pointer({ x, y, title: describe, maxRadius: 40 })),
    ],
  });
  const order = d3.sort(points, (point) => -(isHighlighted(point.arm) ? 2 : point.front ? 1 : 0));
  placeLabels(
    svg,
    order.map((point) => ({
      x: svg.scale("x").apply(point.cost),
      y: svg.scale("y").apply(point.quality),
      label: isOnCurve.has(point) ? pointLabelOf(point.arm) : labelOf(point.arm),
      weight: point.arm === baseline ? 600 : undefined,
    })),
    width,
    points.length > 30 ? 12 : 40,
  );
  const series = d3.groups(points, (point) => armAt(point.arm).series);
  return {
    about: { quality, cost },
    svg,
    legend: series.map(([name, own]) => [
      own.length > 1 ? `${name}, by ${armAt(own[0].arm).varied}` : labelOf(own[0].arm),
      colourOf(own[0].arm),
      dashOf(armAt(own[0].arm).line),
    ]),
    head: ["arm", measureTitle(cost), measureTitle(quality), "on the front"],
    rows: points.map((point) => [
      point.arm,
      formatValue(point.cost, cost.unit),
      formatValue(point.quality, quality.unit),
      point.front ? "yes" : "",
    ]),
    numeric: [1, 2],
    text: `${plural(points, "arm")}; on the Pareto front: ${front.map((point) => point.arm).join(", ")}.`,
  };
}

/// What was known beforehand against what came.
function drawPrediction(metric, width) {
  const points = data.predictions.filter((point) => point.metric === metric && choice.shown.has(point.arm));
  if (points.length === 0) return undefined;
  const { unit } = points[0];
  const format = (value) => formatValue(value, unit);
  const tickFormat = (value) => formatTick(value, unit);
  const values = points.flatMap((point) => [point.predicted, point.measured]);
  const [least, most] = d3.extent(values);
  const scale = numericScale(values, unit, 4);
  const domain =
    unit === "share"
      ? [Math.min(0, least), Math.max(1, most)]
      : scale.type === "log"
        ? [least / 1.15, most * 1.15]
        : [Math.min(0, least), most * 1.05];
  const shares = points.filter((point) => point.predicted !== 0).map((point) => point.measured / point.predicted);
  const side = Math.min(width, 460);
  const ticks = ticksOf(scale, values, unit, 6) ?? 5;
  const svg = plot(side, {
    height: side,
    marginLeft: 62,
    marginTop: 34,
    marginBottom: 42,
    inset: 8,
    grid: true,
    x: { ...scale, domain, label: "predicted", labelAnchor: "center", labelArrow: "none", ticks, tickFormat },
    y: { ...scale, domain, label: "measured", labelArrow: "none", ticks, tickFormat },
    marks: [
      Plot.line([domain[0], domain[1]], {
        x: (value) => value,
        y: (value) => value,
        stroke: "var(--muted)",
        strokeDasharray: "4 4",
        ariaDescription: "as predicted",
      }),
      Plot.ruleX(
        points.filter((point) => isNumber(point.low)),
        { x: "predicted", y1: "low", y2: "high", stroke: (point) => colourOf(point.arm), ariaDescription: "intervals" },
      ),
      Plot.dot(points, {
        x: "predicted",
        y: "measured",
        r: 5,
        stroke: (point) => colourOf(point.arm),
        strokeWidth: 2,
        fill: (point) => (point.in_cache ? "var(--surface)" : colourOf(point.arm)),
        ariaDescription: "medians",
      }),
      Plot.tip(
        points,
        Plot.pointer({
          x: "predicted",
          y: "measured",
          maxRadius: 40,
          title: (point) =>
            `${labelOf(point.arm)}, ${caseTitle(point.workload, point.case)}\n` +
            `predicted ${format(point.predicted)}\nmeasured ${format(point.measured)}` +
            (point.in_cache ? "\nfits into the caches: no bound" : ""),
        }),
      ),
    ],
  });
  placeLabels(
    svg,
    points.map((point) => ({
      x: svg.scale("x").apply(point.predicted),
      y: svg.scale("y").apply(point.measured),
      label: labelOf(point.arm),
    })),
    side,
    10,
  );
  return {
    about: { metric },
    svg,
    head: ["arm", "case", "predicted", "measured", "measured / predicted", "bound by memory"],
    rows: points.map((point) => [
      point.arm,
      caseTitle(point.workload, point.case),
      format(point.predicted),
      format(point.measured),
      point.predicted === 0 ? "" : formatRatio(point.measured / point.predicted),
      point.in_cache ? "no: fits into the caches" : "",
    ]),
    numeric: [2, 3, 4],
    text: `${plural(points, "point")}; measured over predicted: ${d3.extent(shares).map(formatRatio).join(" to ")}.`,
  };
}
