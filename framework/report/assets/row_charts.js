// Charts of one row for each arm: a metric with its intervals, the latency of tokens.
// Rows of names with something beside each: names stand left of the drawing, or above it where it is narrow.
function rowLayout(names, width) {
  const isNarrow = width < 365;
  const longest = d3.max(names, (name) => labelOf(name).length) ?? 0;
  const marginLeft = isNarrow ? 8 : Math.min(Math.max(60, longest * 6.5 + 14), width * 0.45);
  const most = Math.floor((isNarrow ? width - 90 : marginLeft - 14) / 6.5);
  const linesOf = new Map(names.map((name) => [name, wrapped(labelOf(name), most)]));
  const lines = d3.max(linesOf.values(), (one) => one.length) ?? 1;
  const step = (isNarrow ? 36 : names.length > 40 ? 17 : 24) + 14 * (lines - 1);
  const inLines = (name) => linesOf.get(name).join("\n");
  const labels = isNarrow
    ? Plot.text(names, {
        y: (name) => name,
        text: inLines,
        frameAnchor: "left",
        textAnchor: "start",
        dx: -2,
        dy: -14 - 7 * (lines - 1),
        fill: "currentColor",
        title: (name) => name,
        ariaDescription: "names",
        fontWeight: (name) => (name === baseline ? 600 : 400),
      })
    : Plot.text(names, {
        y: (name) => name,
        text: inLines,
        frameAnchor: "left",
        textAnchor: "end",
        dx: -8,
        fill: "currentColor",
        title: (name) => name,
        ariaDescription: "names",
        fontWeight: (name) => (name === baseline ? 600 : 400),
      });
  return {
    isNarrow,
    ticks: Math.max(3, Math.floor((width - marginLeft - 80) / 62)),
    marginLeft,
    height: names.length * step + 62,
    labels,
    y: { type: "band", domain: names, axis: null, padding: 0.1 },
  };
}

// In lines of at most so many letters, broken after blanks and after / , ( where there are any: nothing is left out.
function wrapped(text, most) {
  const lines = [];
  let rest = [...text];
  while (rest.length > most) {
    const last = rest.slice(0, most).findLastIndex((letter) => " /,(".includes(letter));
    const cut = last > 0 ? last + 1 : Math.max(1, most);
    lines.push(rest.slice(0, cut).join("").trimEnd());
    rest = rest.slice(cut);
  }
  return [...lines, rest.join("")];
}

// Marks over the rows of a layout, along one axis of numbers.
function plotRows(width, layout, { scale, values, unit, format }, marks) {
  return plot(width, {
    height: layout.height,
    marginLeft: layout.marginLeft,
    marginRight: 76,
    marginTop: layout.isNarrow ? 22 : 8,
    marginBottom: 32,
    insetLeft: 10,
    insetRight: 10,
    x: {
      ...scale,
      grid: true,
      label: null,
      ticks: ticksOf(scale, values, unit, layout.ticks) ?? layout.ticks,
      tickFormat: format,
    },
    y: layout.y,
    marks,
  });
}

/// One metric by arm: the value with its interval, or the ratio to the baseline with its simultaneous interval.
function drawByArm(entry, metric, asRatio, width) {
  const rows = shownArms()
    .map((arm) => rowAt(arm, entry, metric.name))
    .filter((row) => row && isNumber(asRatio ? row.ratio : row.median));
  if (rows.length === 0) return undefined;
  const value = (row) => (asRatio ? row.ratio : row.median);
  const low = (row) => (asRatio ? row.ratio_low : row.low) ?? value(row);
  const high = (row) => (asRatio ? row.ratio_high : row.high) ?? value(row);
  const format = asRatio ? (number) => formatRatio(number) : (number) => formatValue(number, metric.unit);
  const layout = rowLayout(
    rows.map((row) => row.arm),
    width,
  );
  const values = rows.flatMap((row) => [value(row), low(row), high(row)]).filter(isNumber);
  const scale = numericScale(values, asRatio ? "" : metric.unit, 30);
  const reference = asRatio ? 1 : judgedRowAt(baseline, entry, metric.name)?.median;
  const colour = (row) => colourOf(row.arm);
  const isSolid = (row) => !row.no_verdict && (!asRatio || row.marked || row.arm === baseline);
  const describe = (row) =>
    `${labelOf(row.arm)}\n${formatValue(row.median, metric.unit)} ` +
    formatInterval(row.low, row.high, row.coverage, (number) => formatValue(number, metric.unit)) +
    (isNumber(row.ratio) && row.arm !== baseline
      ? `\n${formatRatio(row.ratio)} of the baseline ` +
        formatInterval(row.ratio_low, row.ratio_high, row.ratio_coverage, formatRatio)
      : "") +
    (row.seeds_low !== undefined
      ? `\nseeds: ${formatValue(row.seeds_low, metric.unit)} to ${formatValue(row.seeds_high, metric.unit)}`
      : "") +
    `\nn = ${row.n}` +
    (row.no_verdict ? `\nno verdict: ${row.no_verdict}` : "");
  const seeds = asRatio ? [] : rows.filter((row) => row.seeds_low !== undefined);
  const svg = plotRows(width, layout, { scale, values, unit: asRatio ? "" : metric.unit, format }, [
    isNumber(reference)
      ? Plot.ruleX([reference], { stroke: "var(--muted)", strokeDasharray: "3 3", ariaDescription: "baseline" })
      : null,
    layout.labels,
    Plot.ruleY(seeds, {
      y: "arm",
      x1: "seeds_low",
      x2: "seeds_high",
      stroke: colour,
      strokeOpacity: 0.35,
      strokeWidth: 8,
      ariaDescription: "seeds",
    }),
    Plot.ruleY(
      rows.filter((row) => low(row) !== high(row)),
      { y: "arm", x1: low, x2: high, stroke: colour, strokeWidth: 2, ariaDescription: "intervals" },
    ),
    Plot.dot(rows, {
      y: "arm",
      x: value,
      r: 4.5,
      stroke: colour,
      strokeWidth: 2,
      fill: (row) => (isSolid(row) ? colour(row) : "var(--surface)"),
      ariaDescription: "medians",
    }),
    Plot.text(rows, {
      y: "arm",
      text: (row) => format(value(row)),
      frameAnchor: "right",
      textAnchor: "start",
      dx: 10,
      fill: "currentColor",
      ariaDescription: "values",
    }),
    Plot.tip(rows, Plot.pointerY({ y: "arm", x: value, title: describe })),
  ]);
  return {
    about: { workload: entry.workload, case: entry.case, metric: metric.name, asRatio },
    svg,
    head: ["arm", metric.heading, "interval", "ratio to the baseline", "interval of the ratio", "n"],
    rows: rows.map((row) => [
      row.arm,
      formatValue(row.median, metric.unit),
      formatInterval(row.low, row.high, row.coverage, (number) => formatValue(number, metric.unit)),
      isNumber(row.ratio)
        ? formatRatio(row.ratio)
        : isNumber(row.difference)
          ? "Δ " + formatDifference(row.difference)
          : row.no_verdict
            ? "no verdict"
            : "",
      isNumber(row.ratio)
        ? formatInterval(row.ratio_low, row.ratio_high, row.ratio_coverage, formatRatio)
        : formatInterval(row.difference_low, row.difference_high, row.difference_coverage, formatDifference),
      row.n,
    ]),
    numeric: [1, 3, 5],
    text: extremesText(
      rows.filter((row) => !row.no_verdict),
      (row) => row.arm,
      value,
      format,
    ),
  };
}

/// Latency of single tokens over all rounds of an arm: ticks at every second percent, box, median, 99th percentile.
function drawLatency(entry, width) {
  const { probabilities, rows } = data.latency;
  const shown = rows.filter(
    (row) => row.workload === entry.workload && row.case === entry.case && choice.shown.has(row.arm),
  );
  if (shown.length === 0) return undefined;
  const at = (row, p) => row.quantiles[probabilities.indexOf(p)];
  const layout = rowLayout(
    shown.map((row) => row.arm),
    width,
  );
  const ticks =
    shown.length > 30 ? [] : shown.flatMap((row) => row.quantiles.map((seconds) => ({ arm: row.arm, seconds })));
  const values = shown.flatMap((row) => [at(row, 0), at(row, 1)]);
  const scale = numericScale(values, "s", 4);
  const colour = (row) => colourOf(row.arm);
  const svg = plotRows(width, layout, { scale, values, unit: "s", format: formatSeconds }, [
    layout.labels,
    Plot.tickX(ticks, {
      y: "arm",
      x: "seconds",
      stroke: colour,
      strokeOpacity: 0.35,
      insetTop: 4,
      insetBottom: 4,
      ariaDescription: "percentiles",
    }),
    Plot.ruleY(shown, {
      y: "arm",
      x1: (row) => at(row, 0.05),
      x2: (row) => at(row, 0.95),
      stroke: colour,
      ariaDescription: "5 to 95 percent",
    }),
    Plot.ruleY(shown, {
      y: "arm",
      x1: (row) => at(row, 0.25),
      x2: (row) => at(row, 0.75),
      stroke: colour,
      strokeWidth: 6,
      strokeOpacity: 0.55,
      ariaDescription: "quartiles",
    }),
    Plot.dot(shown, {
      y: "arm",
      x: (row) => at(row, 0.5),
      r: 4,
      fill: colour,
      stroke: "var(--surface)",
      ariaDescription: "medians",
    }),
    Plot.dot(shown, {
      y: "arm",
      x: (row) => at(row, 0.99),
      r: 3.5,
      symbol: "diamond",
      stroke: colour,
      fill: "var(--surface)",
      ariaDescription: "p99",
    }),
    Plot.text(shown, {
      y: "arm",
      text: (row) => formatSeconds(at(row, 0.5)),
      frameAnchor: "right",
      textAnchor: "start",
      dx: 10,
      fill: "currentColor",
      ariaDescription: "values",
    }),
    Plot.tip(
      shown,
      Plot.pointerY({
        y: "arm",
        x: (row) => at(row, 0.5),
        title: (row) =>
          [
            labelOf(row.arm),
            ...[0.5, 0.95, 0.99].map((p) => `p${p * 100} ${formatSeconds(at(row, p))}`),
            `${row.samples} tokens`,
          ].join("\n"),
      }),
    ),
  ]);
  return {
    about: { workload: entry.workload, case: entry.case },
    svg,
    head: ["arm", "p5", "p25", "p50", "p75", "p95", "p99", "tokens"],
    rows: shown.map((row) => [
      row.arm,
      ...[0.05, 0.25, 0.5, 0.75, 0.95, 0.99].map((p) => formatSeconds(at(row, p))),
      row.samples,
    ]),
    numeric: [1, 2, 3, 4, 5, 6, 7],
    text: extremesText(
      shown,
      (row) => row.arm,
      (row) => at(row, 0.5),
      formatSeconds,
    ),
  };
}
