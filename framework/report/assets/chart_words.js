// What the kinds of charts share. Groups of marks carry an aria-description that says what they are.
const shownArms = () => armNames.filter((name) => choice.shown.has(name));
const isHighlighted = (arm) => choice.highlighted.has(arm) || arm === baseline;
const measureTitle = (measure) => {
  const heading = metricOf.get(measure.metric)?.heading ?? measure.metric;
  const title = caseTitle(measure.workload, measure.case);
  return title === heading || title.startsWith(heading + " ") ? title : `${heading}, ${title}`;
};
const axisTitle = (measure) => `${measureTitle(measure)} (${betterText(measure.better) || "value"})`;
const plural = (rows, noun) => count(rows.length, noun);

// The least and the greatest, in words: what a reader takes from a chart at first sight.
function extremesText(rows, name, value, format) {
  if (rows.length === 0) return "";
  const least = d3.least(rows, value);
  const most = d3.greatest(rows, value);
  const named = (row) => `${format(value(row))} (${name(row)})`;
  return `${plural(rows, "point")}; least ${named(least)}, greatest ${named(most)}.`;
}
