// The data of the page (the keys are those of `attnlab report --format json`), what is looked up in it often, and how
// figures are written.
const data = JSON.parse(document.getElementById("data").textContent);

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const join = (...parts) => parts.join("\n");

const armNames = data.arms.map((arm) => arm.name);
const armIndex = new Map(armNames.map((name, index) => [name, index]));
const metricOf = new Map(data.metrics.map((metric) => [metric.name, metric]));
const caseOf = new Map(data.cases.map((entry) => [join(entry.workload, entry.case), entry]));
const baseline = data.study.baseline;

const rowOf = new Map(); // arm, workload, case, metric -> a row of the summary
const badRows = []; // what did not end well
for (const row of data.summary) {
  if (row.metric === undefined) badRows.push(row);
  else rowOf.set(join(row.arm, row.workload, row.case, row.metric), row);
}
const rowAt = (arm, entry, metric) => rowOf.get(join(arm, entry.workload, entry.case, metric));
// Which figures are compared with each other: not those without a verdict.
function judgedRowAt(arm, entry, metric) {
  const row = rowAt(arm, entry, metric);
  return row?.no_verdict ? undefined : row;
}

// Cases with the metrics that at least one arm has in them, in the order of the tables.
const columnsOf = data.cases
  .map((entry) => ({
    entry,
    metrics: data.metrics.filter((metric) => armNames.some((arm) => rowAt(arm, entry, metric.name))),
  }))
  .filter((column) => column.metrics.length > 0);
const isHeadline = (metric) => metric.headline !== "none";

const caseTitle = (workload, name) =>
  caseOf.get(join(workload, name))?.title ?? (name ? workload + " " + name : workload);

// What is said of an arm, and of the case that it is said of where it is not all of them: a row of the table holds
// every case of an arm, so such a note names its own, and stays away where another is shown.
const notesOf = new Map(armNames.map((name) => [name, []]));
const statusWords = (status) => status.replace(/_/g, " ");
const caseKey = (entry) => join(entry.workload, entry.case);
function addNote(arm, text, entry) {
  const notes = notesOf.get(arm);
  const note = entry?.workload
    ? { text: `${caseTitle(entry.workload, entry.case)}: ${text}`, key: caseKey(entry) }
    : { text };
  if (notes && text && !notes.some((other) => other.text === note.text)) notes.push(note);
}
const noteTexts = (arm, key = "") =>
  notesOf
    .get(arm)
    .filter((note) => key === "" || note.key === undefined || note.key === key)
    .map((note) => note.text);
for (const arm of data.arms) {
  if (arm.name === baseline) addNote(arm.name, "baseline");
  if (arm.refused) addNote(arm.name, "refused: " + arm.refused);
  for (const note of arm.notes ?? []) addNote(arm.name, note);
}
for (const entry of data.notes) for (const note of entry.notes) addNote(entry.arm, note, entry);
for (const failure of data.failures)
  addNote(failure.arm, statusWords(failure.status) + (failure.workload ? "" : " before its first case"), failure);

// What went wrong in the same way, whatever the cases and rounds: arm by arm.
const failureGroups = d3
  .groups(data.failures, (failure) => join(failure.arm, failure.status, failure.reason))
  .map(([, same]) => same);
const failureOf = new Map(data.failures.map((failure) => [join(failure.arm, failure.workload, failure.case), failure]));
function placesText(failures) {
  return failures
    .map((failure) => {
      const where = failure.workload ? caseTitle(failure.workload, failure.case) : "before its first case";
      if (failure.status === "refused") return where;
      const [unit, places] = failure.seeds ? ["seed", failure.seeds] : ["round", failure.rounds];
      return `${where} (${places.length === 1 ? unit : unit + "s"} ${places.join(", ")})`;
    })
    .join("; ");
}

// The attempt of every round that counts: a disturbed round is measured twice, and the quieter attempt is kept.
const rounds = [
  ...d3
    .rollup(
      data.environment.rounds ?? [],
      (attempts) => attempts.findLast((attempt) => attempt.counts ?? !attempt.repeated) ?? attempts.at(-1),
      (one) => one.round,
    )
    .values(),
];
const disturbedRounds = rounds.filter((round) => round.disturbed);

// What the reader has chosen: arms that the filter lets through, and those that stand out in every chart.
const choice = { filter: "", shown: new Set(armNames), highlighted: new Set() };
const armText = new Map(
  data.arms.map((arm) => [
    arm.name,
    [arm.name, arm.attention, arm.position, arm.cache, ...(arm.tags ?? []), ...noteTexts(arm.name)]
      .join(" ")
      .toLowerCase(),
  ]),
);
function chooseFilter(text) {
  choice.filter = text;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  choice.shown = new Set(armNames.filter((name) => words.every((word) => armText.get(name).includes(word))));
}

// Colours by policy, or by what else tells the arms of the study apart, as in report.md; what the reader highlights
// has a colour of its own.
const paletteSize = chartLooks.colours;
const hasData = new Set(data.summary.filter((row) => row.metric !== undefined).map((row) => row.arm));
const colouredArms = () => [...choice.shown].filter((name) => hasData.has(name));
const isCrowded = () => choice.highlighted.size === 0 && colouredArms().length > paletteSize;
const armAt = (name) => data.arms[armIndex.get(name)];
const labelOf = (name) => armAt(name)?.label ?? name;
// Beside a curve its name is said already: there the number is enough.
const pointLabelOf = (name) => armAt(name)?.point ?? labelOf(name);
function colourOf(arm) {
  if (arm === undefined) return "var(--muted-mark)";
  if (choice.highlighted.size > 0) {
    const place = [...choice.highlighted].indexOf(arm);
    return place < 0 ? "var(--muted-mark)" : `var(--c${place % paletteSize})`;
  }
  const own = armAt(arm);
  return own === undefined ? "var(--muted-mark)" : `var(--c${own.colour % paletteSize})`;
}
const dashOf = (line) => chartLooks.dashes[line % chartLooks.dashes.length];
// Colours and dashes of lines, each of some arms: lines of one colour differ in their dashes.
function lineLooks(armsOfLines) {
  const uses = new Map();
  return armsOfLines.map((arms) => {
    const colours = new Set(arms.map(colourOf));
    const colour = colours.size === 1 ? [...colours][0] : "var(--text)";
    const use = uses.get(colour) ?? 0;
    uses.set(colour, use + 1);
    return { colour, dash: dashOf(use) };
  });
}

// Figures as people read them, in the form that report.md has them.
function threeDigits(value) {
  const size = Math.abs(value);
  return size < 9.995 ? value.toFixed(2) : size < 99.95 ? value.toFixed(1) : value.toFixed(0);
}
function withPrefix(value, step, units) {
  let unit = 0;
  while (unit + 1 < units.length && Math.abs(value) >= step - 0.5) {
    value /= step;
    ++unit;
  }
  const digits = unit === 0 && Number.isInteger(value) ? value.toFixed(0) : threeDigits(value);
  return units[unit] ? digits + " " + units[unit] : digits;
}
const general = (value, digits) => String(Number(value.toPrecision(digits)));
function formatSi(value) {
  if (value !== 0 && Math.abs(value) < 0.0995) return general(value, 3);
  return withPrefix(value, 1000, ["", "k", "M", "G", "T", "P"]);
}
function formatSeconds(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 999.5e-9) return threeDigits(seconds * 1e9) + " ns";
  if (size < 999.5e-6) return threeDigits(seconds * 1e6) + " µs";
  if (size < 999.5e-3) return threeDigits(seconds * 1e3) + " ms";
  return threeDigits(seconds) + " s";
}
function formatValue(value, unit) {
  if (!isNumber(value)) return value === undefined ? "–" : String(value);
  if (unit === "bytes") return withPrefix(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
  if (unit === "s") return formatSeconds(value);
  if (unit === "tokens/s" || unit === "bytes/s" || unit === "FLOP/s") return formatSi(value);
  if (unit === "share") return (value * 100).toFixed(1) + " %";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return general(value, 4);
}
// Ticks are round numbers, and may lie closer together than the digits of a figure tell apart.
function formatTick(value, unit) {
  if (isNumber(value) && unit === "share") return general(value * 100, 6) + " %";
  const isScaled = ["bytes", "s", "tokens/s", "bytes/s", "FLOP/s"].includes(unit);
  return isScaled || !isNumber(value) || Number.isInteger(value) ? formatValue(value, unit) : general(value, 6);
}
function formatRatio(ratio) {
  if (!isNumber(ratio)) return String(ratio);
  return (Math.abs(ratio) < 0.01 ? general(ratio, 2) : ratio.toFixed(Math.abs(ratio) < 10 ? 3 : 1)) + " ×";
}
// Of a figure that has no ratio, paired by seed.
const formatDifference = (value) => (value < 0 ? "−" : "+") + general(Math.abs(value), 3);
function betterText(better) {
  return better === "higher" ? "↑ more is better" : better === "lower" ? "↓ less is better" : "";
}
function betterArrow(better) {
  return better === "higher" ? " ↑" : better === "lower" ? " ↓" : "";
}
// An interval in brackets from 95 % on, a range in words below.
function formatInterval(low, high, coverage, format) {
  if (low === undefined || low === high) return "";
  return coverage >= 0.95 ? `[${format(low)}, ${format(high)}]` : `(${format(low)} to ${format(high)})`;
}
const count = (number, one, many = one + "s") => `${number} ${number === 1 ? one : many}`;
