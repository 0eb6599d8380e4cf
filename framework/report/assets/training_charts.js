// Trainings: loss over steps, a thin line for each seed and a thick one for their median; and the search for the
// learning rate.
const trainings = data.trainings;
const armsKey = (one) => join(...one.arms);
const groupKey = (one) => join(armsKey(one), one.learning_rate);
const numbersOf = (values) => values.map((value) => (isNumber(value) ? value : NaN));
const formatRate = (rate) => general(rate, 4);
const shownArmOf = (one) => one.arms.find((arm) => choice.shown.has(arm));

// What a chart of curves may show; of held-out data only what some training has.
const curveKinds = [
  { key: "loss", text: "training loss", unit: "nats", better: "lower", of: (run) => run.curve, value: "loss" },
  { key: "held_out", text: "held-out loss", unit: "nats", better: "lower", of: (run) => run.held_out, value: "loss" },
  {
    key: "accuracy",
    text: "held-out accuracy",
    unit: "share",
    better: "higher",
    of: (run) => run.held_out,
    value: "accuracy",
  },
].filter((kind) => trainings?.runs.some((run) => kind.of(run)?.[kind.value]?.length > 0));

function pointsOf(run, kind) {
  const curve = kind.of(run);
  if (!curve?.[kind.value]) return [];
  const values = numbersOf(curve[kind.value]);
  return curve.steps.map((step, index) => ({ step, value: values[index] }));
}

// Of held-out data at the steps at which every seed was looked at; of the loss the program has it.
function medianOf(runs, kind) {
  if (runs.length < 2) return [];
  if (kind.key === "loss") {
    const median = trainings.medians.find((one) => groupKey(one) === groupKey(runs[0]));
    if (!median) return [];
    const values = numbersOf(median.loss);
    return median.steps.map((step, index) => ({ step, value: values[index] }));
  }
  const seeds = runs.map((run) => new Map(pointsOf(run, kind).map((point) => [point.step, point.value])));
  return [...seeds[0].keys()]
    .filter((step) => seeds.every((of) => isNumber(of.get(step))))
    .map((step) => ({ step, value: d3.median(seeds, (of) => of.get(step)) }));
}

/// Curves of all trainings, or of those that the arms keep (all of arms that keep none yet).
function drawCurves({ kind, rates, steps, values }, width) {
  const keptArms = new Set(trainings.runs.filter((run) => run.kept).map(armsKey));
  const keptGroups = new Set(trainings.runs.filter((run) => run.kept).map(groupKey));
  const runs = trainings.runs.filter(
    (run) => shownArmOf(run) && (rates === "all" || keptGroups.has(groupKey(run)) || !keptArms.has(armsKey(run))),
  );
  const groups = d3
    .groups(runs, groupKey)
    .map(([, own], index) => ({
      index,
      runs: own,
      arm: shownArmOf(own[0]),
      label:
        labelOf(shownArmOf(own[0])) +
        (own[0].searched && (rates === "all" || !own.some((run) => run.kept))
          ? `, rate ${formatRate(own[0].learning_rate)}`
          : ""),
      median: medianOf(own, kind).filter((point) => isNumber(point.value)),
      seeds: own.map((run) => ({ run, points: pointsOf(run, kind) })).filter((seed) => seed.points.length > 0),
    }))
    .filter((group) => group.seeds.length > 0);
  const points = groups.flatMap((group) =>
    group.seeds.flatMap(({ run, points: own }) =>
      own.filter((point) => isNumber(point.value)).map((point) => ({ ...point, group, run })),
    ),
  );
  if (points.length === 0) return undefined;
  const looks = lineLooks(groups.map((group) => [group.arm]));
  const lookOf = new Map(groups.map((group, place) => [group, looks[place]]));
  const xs = points.map((point) => point.step);
  const ys = points.map((point) => point.value);
  const scaleOf = (chosen, all, unit) =>
    chosen === "log" && d3.min(all) > 0
      ? { type: "log", nice: false, base: 10 }
      : chosen === "linear"
        ? { type: "linear" }
        : numericScale(all, unit);
  const xScale = scaleOf(steps, xs, "");
  const yScale = scaleOf(values, ys, kind.unit);
  const format = (value) => formatValue(value, kind.unit);
  const isSmall = width < 520;
  const diverged = groups.flatMap((group) =>
    group.seeds
      .filter(({ run }) => run.status === "diverged")
      .map(({ run, points: own }) => ({ group, run, ...own.findLast((point) => isNumber(point.value)) }))
      .filter((point) => isNumber(point.value)),
  );
  const line = (own, group, more) =>
    Plot.line(own, {
      x: "step",
      y: "value",
      stroke: lookOf.get(group).colour,
      strokeDasharray: lookOf.get(group).dash,
      ...more,
    });
  const svg = plot(width, {
    height: isSmall ? 320 : 420,
    marginLeft: 62,
    marginTop: 34,
    marginBottom: 42,
    marginRight: isSmall ? 16 : Math.min(220, 20 + 6.3 * (d3.max(groups, (group) => group.label.length) ?? 0)),
    inset: 10,
    grid: true,
    x: {
      ...xScale,
      label: "steps",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: ticksOf(xScale, xs, "", isSmall ? 5 : 9) ?? (isSmall ? 4 : 8),
      tickFormat: (value) => String(value),
    },
    y: {
      ...yScale,
      label: `${kind.text}${kind.unit === "nats" ? " in nats" : ""} (${betterText(kind.better)})`,
      labelArrow: "none",
      ticks: ticksOf(yScale, ys, kind.unit, 7) ?? 6,
      tickFormat: (value) => formatTick(value, kind.unit),
    },
    marks: [
      groups.flatMap((group) =>
        group.seeds.map((seed) =>
          line(
            seed.points,
            group,
            group.median.length > 1
              ? { strokeWidth: 1, strokeOpacity: 0.4, ariaDescription: "seeds" }
              : { strokeWidth: 2, ariaDescription: "seeds" },
          ),
        ),
      ),
      groups
        .filter((group) => group.median.length > 1)
        .map((group) => line(group.median, group, { strokeWidth: 2.75, ariaDescription: "medians" })),
      Plot.dot(diverged, {
        x: "step",
        y: "value",
        symbol: "times",
        r: 6,
        strokeWidth: 2,
        stroke: (point) => lookOf.get(point.group).colour,
        ariaDescription: "diverged",
      }),
      Plot.tip(
        points,
        Plot.pointer({
          x: "step",
          y: "value",
          maxRadius: 40,
          title: (point) =>
            `${point.group.label}, seed ${point.run.seed}\nstep ${point.step}\n${kind.text} ${format(point.value)}` +
            (point.run.status === "ok" ? "" : `\n${statusWords(point.run.status)}`),
        }),
      ),
    ],
  });
  if (!isSmall)
    placeLabels(
      svg,
      groups
        .map((group) => {
          const own = group.median.length > 1 ? group.median : group.seeds[0].points;
          const last = own.findLast((point) => isNumber(point.value));
          if (!last) return undefined;
          return { x: svg.scale("x").apply(last.step), y: svg.scale("y").apply(last.value), label: group.label };
        })
        .filter(Boolean),
      width,
      24,
    );
  const lasts = groups.flatMap((group) =>
    group.seeds.map(({ run, points: own }) => ({
      name: `${group.label}, seed ${run.seed}`,
      value: own.findLast((point) => isNumber(point.value))?.value,
    })),
  );
  return {
    about: { metric: kind.key },
    svg,
    legend: groups.map((group) => [group.label, lookOf.get(group).colour, lookOf.get(group).dash]),
    head: ["arms", "seed", "step", kind.text],
    rows: groups.flatMap((group) => [
      ...group.seeds.flatMap(({ run, points: own }) =>
        own.map((point) => [group.label, run.seed, point.step, format(point.value)]),
      ),
      ...group.median.map((point) => [group.label, "median", point.step, format(point.value)]),
    ]),
    numeric: [1, 2, 3],
    text:
      "At the last step of each curve: " +
      extremesText(
        lasts.filter((last) => isNumber(last.value)),
        (last) => last.name,
        (last) => last.value,
        format,
      ),
  };
}

/// Validation loss by learning rate, a line for the arms of each training; filled: the rate that is kept.
function drawSearch(width) {
  const lines = trainings.search
    .filter((search) => shownArmOf(search))
    .map((search) => ({
      arm: shownArmOf(search),
      label: labelOf(shownArmOf(search)),
      points: search.rates.filter((rate) => isNumber(rate.validation_loss)),
    }))
    .filter((line) => line.points.length > 0);
  if (lines.length === 0) return undefined;
  const looks = lineLooks(lines.map((line) => [line.arm]));
  const points = lines.flatMap((line, place) => line.points.map((rate) => ({ ...rate, line, look: looks[place] })));
  const xs = points.map((point) => point.learning_rate);
  const ys = points.map((point) => point.validation_loss);
  const xScale = { type: "log", nice: false, base: 10 };
  const yScale = numericScale(ys, "nats");
  const format = (value) => formatValue(value, "nats");
  const isSmall = width < 520;
  const svg = plot(width, {
    height: isSmall ? 280 : 320,
    marginLeft: 62,
    marginTop: 34,
    marginBottom: 42,
    marginRight: isSmall ? 16 : Math.min(220, 20 + 6.3 * (d3.max(lines, (line) => line.label.length) ?? 0)),
    inset: 12,
    grid: true,
    x: {
      ...xScale,
      label: "learning rate",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: d3.sort(new Set(xs)),
      tickFormat: formatRate,
    },
    y: {
      ...yScale,
      label: "validation loss in nats (↓ less is better)",
      labelArrow: "none",
      ticks: ticksOf(yScale, ys, "nats", 7) ?? 6,
      tickFormat: (value) => formatTick(value, "nats"),
    },
    marks: [
      lines.map((line, place) =>
        Plot.line(line.points, {
          x: "learning_rate",
          y: "validation_loss",
          stroke: looks[place].colour,
          strokeDasharray: looks[place].dash,
          strokeWidth: 2,
          ariaDescription: "lines",
        }),
      ),
      Plot.dot(points, {
        x: "learning_rate",
        y: "validation_loss",
        r: 4.5,
        stroke: (point) => point.look.colour,
        strokeWidth: 2,
        fill: (point) => (point.kept ? point.look.colour : "var(--surface)"),
        ariaDescription: "rates",
      }),
      Plot.tip(
        points,
        Plot.pointer({
          x: "learning_rate",
          y: "validation_loss",
          maxRadius: 40,
          title: (point) =>
            `${point.line.label}\nlearning rate ${formatRate(point.learning_rate)}\n` +
            `validation loss ${format(point.validation_loss)}, ${point.ended_well} of ${point.seeds} seeds` +
            (point.diverged ? `\n${point.diverged} diverged` : "") +
            (point.kept ? "\nkept" : ""),
        }),
      ),
    ],
  });
  if (!isSmall)
    placeLabels(
      svg,
      lines.map((line) => {
        const last = line.points.at(-1);
        return {
          x: svg.scale("x").apply(last.learning_rate),
          y: svg.scale("y").apply(last.validation_loss),
          label: line.label,
        };
      }),
      width,
      24,
    );
  return {
    about: { metric: "validation_loss" },
    svg,
    legend: lines.map((line, place) => [line.label, looks[place].colour, looks[place].dash]),
    head: ["arms", "learning rate", "validation loss", "kept"],
    rows: points.map((point) => [
      point.line.label,
      formatRate(point.learning_rate),
      format(point.validation_loss),
      point.kept ? "yes" : "",
    ]),
    numeric: [1, 2],
    text: extremesText(
      points,
      (point) => `${point.line.label} at ${formatRate(point.learning_rate)}`,
      (point) => point.validation_loss,
      format,
    ),
  };
}
