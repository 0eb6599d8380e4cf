// The sections around the charts: the verdict, what failed, how it was measured, where, and what exactly ran.
const environment = data.environment;
const at = (path) => path.split("/").reduce((value, key) => value?.[key], environment);
const percent = (share) => (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %";

// A case that is impossible for an arm is refused, and the arm runs in the others.
const refusedCases = data.failures.filter((failure) => failure.status === "refused");
const divergedTrainings = data.failures.filter((failure) => failure.status === "diverged");
const failedTrials = data.failures.filter((failure) => !["refused", "diverged"].includes(failure.status));
const failedArms = [...new Set(failedTrials.map((failure) => failure.arm))];
const divergedArms = [...new Set(divergedTrainings.map((failure) => failure.arm))];
const refusedArms = data.arms.filter((arm) => arm.refused);
const compared = data.summary.filter((row) => row.ratio !== undefined && row.arm !== baseline);
const unmarkable = data.families.filter((family) => family.rounds < family.rounds_needed);

// What a family counts: one, and several of them.
function familyUnit(family) {
  if (family.of_text) return ["window of text", "windows of text"];
  return family.of_examples ? ["example"] : family.of_seeds ? ["seed"] : ["round"];
}

const familyUnits = (family) => familyUnit(family)[1] ?? familyUnit(family)[0] + "s";

function tile(href, title, value, detail) {
  return el(
    "a",
    { class: "tile", href },
    el("span", { class: "tile-title" }, title),
    el("span", { class: "tile-value" }, value),
    el("span", { class: "tile-detail" }, detail),
  );
}

function verdictSection() {
  const { study } = data;
  const ran = data.arms.length - refusedArms.length;
  const familyKeys = new Set(data.families.map((one) => join(one.workload, one.case, one.metric)));
  const inFamilies = compared.filter((row) => familyKeys.has(join(row.workload, row.case, row.metric)));
  const marked = inFamilies.filter((row) => row.marked);
  const troubles = [
    refusedArms.length && `${refusedArms.length} refused`,
    refusedCases.length && `${count(refusedCases.length, "case")} refused`,
    failedArms.length && `${failedArms.length} with failures`,
    divergedArms.length && `${divergedArms.length} diverged in training`,
    data.missing.length && `${count(data.missing.length, "case")} not run yet`,
  ].filter(Boolean);
  return section(
    "verdict",
    "What came out",
    "",
    data.verdict.length > 0
      ? el(
          "ul",
          { class: "verdict" },
          data.verdict.map((sentence) => el("li", {}, sentence)),
        )
      : el("p", { class: "lead" }, "No trial has ended yet."),
    el(
      "div",
      { class: "tiles" },
      tile("#failures", "Arms", count(ran, "arm"), troubles.join(", ") || "none refused, none failed"),
      tile(
        "#method",
        "Rounds",
        study.rounds > 0 ? count(study.rounds, "round") : "–",
        (study.seeds.length > 1 ? `${study.seeds.length} seeds; ` : "") + "every round runs every arm, shuffled",
      ),
      inFamilies.length > 0
        ? tile(
            "#method",
            "How sure",
            `${marked.length} of ${inFamilies.length}`,
            unmarkable.length > 0
              ? `differences are significant; some need more ${[...new Set(unmarkable.map(familyUnits))].join(" or ")}`
              : "differences to the baseline are significant",
          )
        : "",
      rounds.length > 0
        ? tile(
            "#method",
            "Quiet machine",
            `${rounds.length - disturbedRounds.length} of ${rounds.length}`,
            "rounds ran undisturbed",
          )
        : "",
      tile(
        "#environment",
        "Machine",
        environment.cpu ?? "unknown",
        environment.threads ? count(environment.threads, "thread") : "",
      ),
    ),
    troublesBox(),
    warningsBox(study.warnings),
  );
}

// What did not run to its end, first: a mean over the rest says nothing of it.
function troublesBox() {
  const entry = (arm, status, where, reason) =>
    el(
      "li",
      {},
      el("b", {}, arm),
      " ",
      el("span", { class: "status" }, status),
      where,
      el("span", { class: "reason" }, reason.trim().split("\n")[0] || "no reason was left"),
    );
  const entries = [
    ...failureGroups.map((same) =>
      entry(same[0].arm, statusWords(same[0].status), " in " + placesText(same), same[0].reason),
    ),
    ...refusedArms.map((arm) => entry(arm.name, "refused", "", arm.refused)),
  ];
  if (entries.length === 0) return "";
  const rest = entries.slice(8);
  return el(
    "div",
    { class: "troubles", role: "note" },
    el("h3", {}, divergedArms.length > 0 ? "Failed, diverged or refused" : "Failed or refused"),
    el("ul", {}, entries.slice(0, 8)),
    rest.length > 0 ? el("details", {}, el("summary", {}, `${rest.length} more`), el("ul", {}, rest)) : "",
    el("p", { class: "note" }, el("a", { href: "#failures" }, "Everything that they reported")),
  );
}

function warningsBox(warnings) {
  if (warnings.length === 0) return "";
  const list = (texts) => el("ul", {}, ...texts.map((text) => el("li", {}, text)));
  const rest = warnings.slice(4);
  return el(
    "div",
    { class: "warnings", role: "note" },
    el("h3", {}, "Mind"),
    list(warnings.slice(0, 4)),
    rest.length > 0 ? el("details", {}, el("summary", {}, `${rest.length} more`), list(rest)) : "",
  );
}

// One entry for what went wrong in the same way, whatever the cases and rounds.
function failureArticle(alike) {
  const [first] = alike;
  return el(
    "article",
    { class: "failure" },
    el(
      "p",
      {},
      el("b", {}, first.arm),
      " ",
      el("span", { class: "status" }, statusWords(first.status)),
      " in ",
      placesText(alike),
    ),
    el("pre", { tabindex: "0" }, first.reason || "no reason was left"),
  );
}

function failuresSection() {
  const parts = [];
  const articles = (has) => failureGroups.filter(([first]) => has(first.status)).map(failureArticle);
  if (failedTrials.length > 0)
    parts.push(
      el("h3", {}, "Failed trials"),
      articles((status) => !["refused", "diverged"].includes(status)),
    );
  if (divergedTrainings.length > 0)
    parts.push(
      el("h3", {}, "Diverged trainings"),
      el("p", { class: "note" }, "Their loss was no number, or stayed above its start: they have no figures."),
      articles((status) => status === "diverged"),
    );
  if (refusedCases.length > 0)
    parts.push(
      el("h3", {}, "Refused cases"),
      el("p", { class: "note" }, "They are impossible for the arm, which ran in its other cases."),
      articles((status) => status === "refused"),
    );
  if (refusedArms.length > 0)
    parts.push(
      el("h3", {}, "Refused arms"),
      el("p", { class: "note" }, "Their parts do not fit together, so they were not run."),
      refusedArms.map((arm) =>
        el(
          "article",
          { class: "failure" },
          el("p", {}, el("b", {}, arm.name)),
          el("pre", { tabindex: "0" }, arm.refused),
        ),
      ),
    );
  if (data.missing.length > 0)
    parts.push(
      el("h3", {}, "Not run yet"),
      el("p", { class: "note" }, "The run was interrupted; --resume continues it."),
      el(
        "ul",
        { class: "columns" },
        data.missing.map((one) => el("li", {}, `${one.arm}, ${caseTitle(one.workload, one.case)}`)),
      ),
    );
  return section(
    "failures",
    "What failed",
    parts.length > 0 ? "" : "Nothing failed, and no arm was refused.",
    ...parts,
  );
}

function generatedSection() {
  if (data.generated.length === 0) return undefined;
  return section(
    "generated",
    "Generated text",
    "The prompt, and what was written after it: each text once, with the arms that wrote it.",
    data.generated.map((one) =>
      el(
        "article",
        { class: "failure" },
        el("p", {}, el("b", {}, one.arms.join(", ")), ", ", caseTitle(one.workload, one.case)),
        el("pre", { tabindex: "0" }, el("span", { class: "prompt" }, one.prompt), one.text),
      ),
    ),
  );
}

// Comparisons with other arms than the baseline (compare_with).
function comparisonsSection() {
  if (data.comparisons.length === 0) return undefined;
  return section(
    "comparisons",
    "Further comparisons",
    "Medians of paired ratios to the arms that the study names beside the baseline. Intervals hold for all " +
      "comparisons of a case and metric at once.",
    d3
      .groups(data.comparisons, (one) => one.compared_with)
      .map(([reference, rows]) => [
        el("h3", {}, "Against " + reference),
        plainTable(
          ["arm", "case", "metric", "median of paired ratios", "interval", ""],
          rows.map((row) => [
            row.arm,
            caseTitle(row.workload, row.case),
            metricOf.get(row.metric)?.heading ?? row.metric,
            formatRatio(row.ratio),
            formatInterval(row.ratio_low, row.ratio_high, row.ratio_coverage, (value) => value.toFixed(3)),
            [row.marked && "more than chance", row.unstable && "unstable"].filter(Boolean).join(", "),
          ]),
          [3, 4],
        ),
      ]),
  );
}

function methodSection() {
  const attempts = environment.rounds ?? [];
  const share = (value) => (isNumber(value) ? percent(value) : "");
  const load = (value) => (Array.isArray(value) ? value.join(", ") : (value ?? ""));
  return section(
    "method",
    "How it was measured",
    "",
    data.method.map((paragraph) => el("p", {}, paragraph)),
    unmarkable.length > 0
      ? [
          el("h3", {}, "Too few to mark anything"),
          plainTable(
            ["case", "metric", "arms", "there are", "needed"],
            unmarkable.map((one) => [
              caseTitle(one.workload, one.case),
              metricOf.get(one.metric)?.heading ?? one.metric,
              one.arms,
              count(one.rounds, ...familyUnit(one)),
              count(one.rounds_needed, ...familyUnit(one)),
            ]),
            [2, 3, 4],
          ),
        ]
      : "",
    attempts.length > 0
      ? el(
          "details",
          {},
          el("summary", {}, "Load of the machine in every round"),
          plainTable(
            ["round", "attempt", "load average", "CPU share of others", "stolen", "disturbed", "counts"],
            attempts.map((round) => [
              round.round,
              round.attempt ?? "",
              load(round.load_average),
              share(round.other_cpu_share),
              share(round.steal_share),
              round.disturbed ? "yes" : "",
              (round.counts ?? !round.repeated) ? "yes" : "no: the other attempt was quieter",
            ]),
            [0, 1, 2, 3, 4],
          ),
        )
      : "",
    el(
      "p",
      { class: "note" },
      "To make this page from the raw samples again: ",
      el("code", {}, "attnlab report FOLDER"),
      ". The same data for a program: ",
      el("code", {}, "attnlab report FOLDER --format json"),
      ".",
    ),
  );
}

function nodesText() {
  const counted = (count, what) => (count > 0 ? `${count} ${what}${count === 1 ? "" : "s"}` : "");
  return (at("nodes") ?? [])
    .map(({ name, kind, rounds, round_numbers, trials }) => {
      const numbers = round_numbers?.length ? ` (${round_numbers.join(" ")})` : "";
      const done = [counted(rounds, "round") + numbers, counted(trials, "trial")].filter(Boolean).join(", ");
      return `${name} (${kind}): ${done || "nothing"}`;
    })
    .join("; ");
}

function environmentSection() {
  const known = (value, format = String, after = "") =>
    value === undefined || value === null || value === "" || value === 0 ? "" : format(value) + after;
  const bytes = (value) => formatValue(value, "bytes");
  const caches = ["l1d_bytes", "l2_bytes", "l3_bytes"]
    .map((key) => known(at("caches/" + key), bytes))
    .filter(Boolean)
    .join(", ");
  const rows = [
    ["CPU", known(at("cpu"))],
    ["kernels", known(at("simd_target"))],
    ["CPU flags", (at("cpu_flags") ?? []).join(" ")],
    ["threads", known(at("threads")) + known(at("logical_cores"), String, " logical cores").replace(/^(.)/, " of $1")],
    ["FMA peak (f32)", known(at("roof/fma_flops_per_second"), formatSi, "FLOP/s")],
    ["read bandwidth", known(at("roof/read_bytes_per_second"), formatSi, "B/s")],
    ["caches L1d, L2, L3", caches],
    ["memory", known(at("memory_bytes"), bytes)],
    ["system", known(at("kernel"))],
    ["compiler", known(at("build/compiler"))],
    ["libraries", known(at("build/libraries"))],
    ["git revision", known(at("build/git_revision"))],
    ["nodes", nodesText()],
  ].filter(([, value]) => value !== "");
  const whole = el("pre", { tabindex: "0" });
  const details = el(
    "details",
    {},
    el("summary", {}, "environment.json in full, with the hashes of all plugin files"),
    whole,
  );
  details.addEventListener("toggle", () => {
    whole.textContent = details.open ? JSON.stringify(environment, null, 1) : "";
  });
  return section("environment", "Where it ran", "", plainTable(["what", "value"], rows), details);
}

function armsSection() {
  return section(
    "arms",
    "What exactly ran",
    "Every arm with all options resolved, as plan.yaml has them.",
    data.arms.map((arm) => {
      const body = el("div", {});
      const details = el(
        "details",
        { class: "arm-details" },
        el(
          "summary",
          {},
          el("b", {}, arm.name),
          el("span", { class: "parts" }, [arm.attention, arm.position, arm.cache].filter(Boolean).join(" · ")),
        ),
        body,
      );
      details.addEventListener("toggle", () => {
        if (!details.open || body.firstChild) return;
        append(body, [
          arm.tags?.length > 0 ? el("p", {}, "tags: ", arm.tags.join(", ")) : "",
          noteTexts(arm.name).map((note) => el("p", {}, note)),
          arm.resolved === undefined
            ? el("p", {}, "The folder does not say more.")
            : el("pre", { tabindex: "0" }, JSON.stringify(arm.resolved, null, 2)),
        ]);
      });
      return details;
    }),
  );
}
