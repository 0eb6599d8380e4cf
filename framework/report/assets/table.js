// One row for each arm, one column for each case and metric: sorts, filters, and leaves as CSV with the columns of
// summary.csv.
const table = {
  entry: "", // key of one case, or "" for all
  all: false, // metrics beyond the headline ones
  sort: undefined, // { key, descending }
};

const columnKey = (column) => join(column.entry.workload, column.entry.case, column.metric.name);

function tableColumns() {
  return columnsOf
    .filter((column) => table.entry === "" || caseKey(column.entry) === table.entry)
    .flatMap(({ entry, metrics }) => {
      const chosen = table.all ? metrics : metrics.filter(isHeadline);
      return (chosen.length > 0 ? chosen : metrics).map((metric) => ({ entry, metric }));
    });
}

// Missing values stay at the end whatever the direction.
function sortedArms(columns) {
  const arms = armNames.filter((name) => choice.shown.has(name));
  if (!table.sort) return arms;
  const { key, descending } = table.sort;
  const column = columns.find((one) => columnKey(one) === key);
  if (key !== "arm" && !column) return arms;
  const value = (arm) => (column ? rowAt(arm, column.entry, column.metric.name)?.median : arm);
  const [known, unknown] = [[], []];
  for (const arm of arms) (column && !isNumber(value(arm)) ? unknown : known).push(arm);
  return [...known.sort((a, b) => (descending ? d3.descending : d3.ascending)(value(a), value(b))), ...unknown];
}

function sortBy(key, isBetterHigh) {
  const isSame = table.sort?.key === key;
  table.sort = { key, descending: isSame ? !table.sort.descending : isBetterHigh };
  fillTable();
}

function headCell(key, text, hint, isBetterHigh, attributes = {}) {
  const isSorted = table.sort?.key === key;
  const direction = isSorted ? (table.sort.descending ? "descending" : "ascending") : "none";
  const mark = direction === "ascending" ? "▲" : direction === "descending" ? "▼" : "";
  return el(
    "th",
    { scope: "col", "aria-sort": direction, ...attributes },
    el(
      "button",
      { type: "button", class: "sort", "data-key": key, title: hint, onclick: () => sortBy(key, isBetterHigh) },
      text,
      el("span", { class: "sort-mark", "aria-hidden": "true" }, mark),
    ),
  );
}

function ratioClass(row, metric) {
  if (!row.marked || metric.better === "none") return "ratio";
  const isMore = isNumber(row.ratio) ? row.ratio > 1 : row.difference > 0;
  return "ratio marked " + (isMore === (metric.better === "higher") ? "better" : "worse");
}

function valueCell(arm, { entry, metric }) {
  const row = rowAt(arm, entry, metric.name);
  if (!row) {
    const failure = failureOf.get(join(arm, entry.workload, entry.case)) ?? failureOf.get(join(arm, "", ""));
    const status = armAt(arm).refused ? "refused" : failure && statusWords(failure.status);
    return el("td", { class: "number" }, status ? el("span", { class: "status" }, status) : "–");
  }
  const format = (value) => formatValue(value, metric.unit);
  const interval = formatInterval(row.low, row.high, row.coverage, format);
  const showsRatio = arm !== baseline && (isNumber(row.ratio) || isNumber(row.difference));
  const ratios = isNumber(row.ratio)
    ? formatInterval(row.ratio_low, row.ratio_high, row.ratio_coverage, (value) => value.toFixed(3))
    : formatInterval(row.difference_low, row.difference_high, row.difference_coverage, formatDifference);
  const kind = ratioClass(row, metric);
  return el(
    "td",
    { class: "number" },
    el("span", { class: "value" }, format(row.median)),
    interval ? el("span", { class: "interval" }, interval) : "",
    showsRatio
      ? el(
          "span",
          { class: kind },
          kind.endsWith("better") ? "✓ " : kind.endsWith("worse") ? "✗ " : "",
          isNumber(row.ratio)
            ? formatRatio(row.ratio) + (row.unstable ? "†" : "")
            : "Δ " + formatDifference(row.difference),
          ratios ? " " + ratios : "",
        )
      : "",
    row.no_verdict ? el("span", { class: "status", title: row.no_verdict }, "no verdict") : "",
  );
}

// Highlighting an arm draws the row anew: the button keeps the focus.
function toggleHighlight(arm) {
  if (!choice.highlighted.delete(arm)) choice.highlighted.add(arm);
  fillTable();
  renewFigures();
  [...document.querySelectorAll("#arms-table .swatch")].find((button) => button.dataset.arm === arm)?.focus();
}

function armCell(arm) {
  const isOn = choice.highlighted.has(arm);
  const swatch = el("button", {
    type: "button",
    class: "swatch",
    "data-arm": arm,
    "aria-pressed": String(isOn),
    title: isOn ? "No longer highlighted in the charts" : "Highlight in every chart",
    "aria-label": `Highlight ${arm} in every chart`,
    style: `--swatch: ${colourOf(arm)}`,
    onclick: () => toggleHighlight(arm),
  });
  return el(
    "th",
    { scope: "row", class: arm === baseline ? "arm is-baseline" : "arm" },
    el("div", { class: "arm-name" }, swatch, el("span", {}, arm)),
  );
}

// Below an arm that did not come through: what happened, in full, where the reader is looking.
function reasonRow(arm, columns) {
  const lines = failureGroups
    .filter(([first]) => first.arm === arm)
    .map((same) => [statusWords(same[0].status), " in " + placesText(same), same[0].reason || "no reason was left"]);
  const { refused } = armAt(arm);
  if (refused) lines.push(["refused", "", refused]);
  if (lines.length === 0) return "";
  return el(
    "tr",
    { class: "why" },
    el(
      "td",
      { colspan: columns.length + 2 },
      lines.map(([status, where, reason]) =>
        el(
          "div",
          { class: "why-text" },
          el("span", { class: "status" }, status),
          where,
          el("span", { class: "reason" }, reason),
        ),
      ),
    ),
  );
}

function fillTable() {
  const columns = tableColumns();
  const arms = sortedArms(columns);
  const groups = d3.rollups(
    columns,
    (group) => group.length,
    (column) => caseKey(column.entry),
  );
  const focused = document.activeElement?.dataset?.key;
  const head = el(
    "thead",
    {},
    el(
      "tr",
      { class: "cases" },
      el("td", { class: "corner" }),
      groups.map(([key, size]) => el("th", { scope: "colgroup", colspan: size }, caseOf.get(key)?.title ?? key)),
      el("td", {}),
    ),
    el(
      "tr",
      {},
      headCell("arm", "arm", "Sort by name", false, { class: "arm" }),
      columns.map((column) =>
        headCell(
          columnKey(column),
          column.metric.heading + betterArrow(column.metric.better),
          [column.metric.name, column.metric.unit, betterText(column.metric.better)].filter(Boolean).join(", "),
          column.metric.better === "higher",
        ),
      ),
      el("th", { scope: "col", class: "notes" }, "notes"),
    ),
  );
  const body = el(
    "tbody",
    {},
    arms.map((arm) => [
      el(
        "tr",
        {},
        armCell(arm),
        columns.map((column) => valueCell(arm, column)),
        el("td", { class: "notes" }, noteTexts(arm, table.entry).join("; ")),
      ),
      reasonRow(arm, columns),
    ]),
  );
  document.getElementById("arms-table").replaceChildren(head, body);
  document.getElementById("row-count").textContent =
    arms.length === armNames.length ? count(arms.length, "arm") : `${arms.length} of ${count(armNames.length, "arm")}`;
  if (focused) [...document.querySelectorAll("#arms-table .sort")].find((one) => one.dataset.key === focused)?.focus();
}

const csvColumns = [
  "arm",
  "attention",
  "position",
  "cache",
  "workload",
  "case",
  "metric",
  "unit",
  "better",
  "n",
  "median",
  "ci_low",
  "ci_high",
  "baseline_ratio",
  "ratio_low",
  "ratio_high",
  "status",
];

// What the table shows, in its order, one line for each figure.
function tableRows() {
  const columns = tableColumns();
  const text = (value) => (value === undefined ? "" : String(value));
  return sortedArms(columns).flatMap((name) => {
    const arm = data.arms[armIndex.get(name)];
    const start = (row) => [name, arm.attention, arm.position, arm.cache, row.workload, row.case];
    const good = columns
      .map((column) => [column, rowAt(name, column.entry, column.metric.name)])
      .filter(([, row]) => row);
    const bad = badRows.filter(
      (row) => row.arm === name && (row.workload === "" || table.entry === "" || caseKey(row) === table.entry),
    );
    return [
      ...good.map(([{ metric }, row]) => [
        ...start(row),
        metric.name,
        metric.unit,
        metric.better,
        ...[row.n, row.median, row.low, row.high, row.ratio, row.ratio_low, row.ratio_high].map(text),
        "ok",
      ]),
      ...bad.map((row) => [
        ...start(row),
        "",
        "",
        "",
        row.n > 0 ? String(row.n) : "",
        "",
        "",
        "",
        "",
        "",
        "",
        row.status,
      ]),
    ];
  });
}

function csvField(text) {
  return /[",\r\n]|^ | $/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
const csvText = () => [csvColumns, ...tableRows()].map((row) => row.map(csvField).join(",") + "\n").join("");
const tabText = () =>
  [csvColumns, ...tableRows()]
    .map((row) => row.map((field) => field.replace(/[\t\r\n]/g, " ")).join("\t") + "\n")
    .join("");

function tableSection() {
  const cases = columnsOf.map(({ entry }) => [caseKey(entry), entry.title]);
  // Many columns at once are no overview.
  if (cases.length > 1 && tableColumns().length > 14) table.entry = cases[0][0];
  const hasMore = data.metrics.some((metric) => !isHeadline(metric));
  const copied = el("span", { class: "said", role: "status" });
  const filter = el("input", {
    type: "search",
    id: "filter",
    placeholder: "words of a name, plugin, tag or note",
    autocomplete: "off",
    spellcheck: "false",
  });
  let waiting;
  filter.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      chooseFilter(filter.value);
      fillTable();
      renewFigures();
    }, 120);
  });
  return section(
    "table",
    "Every arm",
    [
      "One row for each arm. ",
      el("b", {}, "[a, b]"),
      " is a 95 % interval, ",
      el("b", {}, "(a to b)"),
      " the range of too few rounds; ",
      el("b", {}, "×"),
      ` is the median of paired ratios to the baseline ${baseline}, each round and seed against its own. `,
      el("span", { class: "ratio marked better" }, "✓"),
      " and ",
      el("span", { class: "ratio marked worse" }, "✗"),
      " mark differences that hold for all arms of a column at once; what has no mark may be chance.",
      data.summary.some((row) => row.unstable)
        ? " † unstable: the quotient of the two medians lies outside the ratio's interval; rely on neither."
        : "",
    ],
    el(
      "div",
      { class: "controls" },
      el("label", { class: "control grow" }, el("span", {}, "Filter the table and all charts"), filter),
      select("Case", [["", "all cases"], ...cases], table.entry, (key) => {
        table.entry = key;
        fillTable();
      }),
      hasMore
        ? select(
            "Metrics",
            [
              ["", "headline"],
              ["all", "all"],
            ],
            "",
            (value) => {
              table.all = value === "all";
              fillTable();
            },
          )
        : "",
      el("span", { id: "row-count", role: "status" }),
      el(
        "button",
        {
          type: "button",
          id: "download-csv",
          onclick: () =>
            download(`${data.study.name.replace(/[^\w.-]+/g, "_") || "report"}.csv`, "text/csv", csvText()),
        },
        "Download CSV",
      ),
      el(
        "button",
        {
          type: "button",
          id: "copy-table",
          onclick: async () => {
            copied.textContent = (await copyText(tabText())) ? "copied" : "the browser does not allow copying";
          },
        },
        "Copy",
      ),
      copied,
    ),
    el(
      "div",
      { class: "scroll arms", tabindex: "0", role: "region", "aria-label": "Results of every arm" },
      el("table", { id: "arms-table" }),
    ),
  );
}
