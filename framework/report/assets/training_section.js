// The section of trainings around their charts: the search as a table, and every training with its end.
function searchParts() {
  if (trainings.search.length === 0) return "";
  const notes = (rate) =>
    [rate.kept && "kept", rate.diverged && `${rate.diverged} diverged`, rate.failed && `${rate.failed} failed`]
      .filter(Boolean)
      .join("; ");
  return [
    el("h3", { id: "search-title" }, "Search for the learning rate"),
    el(
      "p",
      { class: "note" },
      "Validation loss is the mean over the seeds that ended well; the arm keeps the rate of the least.",
    ),
    trainings.search.some((search) => search.rates.length >= 3)
      ? figure({ id: "search", level: "h4", title: "Validation loss by learning rate", height: 320, draw: drawSearch })
      : "",
    el(
      "div",
      { id: "search-table" },
      plainTable(
        ["arms", "learning rate", "validation loss", "seeds that ended well", ""],
        trainings.search.flatMap((search) =>
          search.rates.map((rate) => [
            search.arms.join(", "),
            formatRate(rate.learning_rate),
            formatValue(rate.validation_loss, "nats"),
            `${rate.ended_well} of ${rate.seeds}`,
            notes(rate),
          ]),
        ),
        [1, 2, 3],
      ),
    ),
  ];
}

function everyTraining() {
  const status = (run) =>
    [
      statusWords(run.status) + (run.reason ? ": " + run.reason : ""),
      run.stopped_early && "stopped early",
      run.kept && run.searched && "kept",
    ]
      .filter(Boolean)
      .join("; ");
  return el(
    "details",
    { id: "every-training" },
    el("summary", {}, `Every training (${trainings.runs.length})`),
    plainTable(
      ["arms", "seed", "learning rate", "parameters", "steps", "time", "how it ended"],
      trainings.runs.map((run) => [
        run.arms.join(", "),
        run.seed,
        formatRate(run.learning_rate),
        formatSi(run.parameters),
        run.planned_steps ? `${run.steps} of ${run.planned_steps}` : run.steps,
        run.seconds > 0 ? formatSeconds(run.seconds) : "–",
        status(run),
      ]),
      [1, 2, 3, 4, 5],
    ),
  );
}

function trainingSection() {
  if (!trainings) return undefined;
  const shows = { kind: curveKinds[0], rates: "kept", steps: "linear", values: "" };
  const control = (label, key, options, read = (value) => value) =>
    select(label, options, options[0][0], (value) => {
      shows[key] = read(value);
      frames.get(node).renew();
    });
  const node =
    curveKinds.length === 0
      ? el("p", { class: "nothing" }, "No training has taken a step yet.")
      : figure({
          id: "curves",
          title: "Over steps",
          note:
            trainings.steps_a_point > 1
              ? `A point of the training loss is the mean of ${trainings.steps_a_point} steps, the last perhaps of fewer.`
              : "A point of the training loss is a step.",
          height: 420,
          controls: [
            control(
              "What",
              "kind",
              curveKinds.map((kind) => [kind.key, kind.text]),
              (key) => curveKinds.find((kind) => kind.key === key),
            ),
            control(
              "Learning rates",
              "rates",
              trainings.runs.some((run) => run.searched)
                ? [
                    ["kept", "those that are kept"],
                    ["all", "all"],
                  ]
                : [["kept", "all"]],
            ),
            control("Steps", "steps", [
              ["linear", "linear"],
              ["log", "logarithmic"],
            ]),
            control("Values", "values", [
              ["", "as they need"],
              ["linear", "linear"],
              ["log", "logarithmic"],
            ]),
          ],
          draw: (width) => drawCurves(shows, width),
        });
  return section(
    "trainings",
    "Learning curves",
    [
      trainings.progress ? el("b", { id: "training-progress" }, trainings.progress) : "",
      trainings.progress ? " " : "",
      "Thin lines are seeds, thick ones their median as far as all seeds go; a cross is where a training diverged. " +
        "Arms that differ in their caches only share a training.",
    ],
    node,
    searchParts(),
    everyTraining(),
  );
}
