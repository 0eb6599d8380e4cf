// The frame of a chart: title, what it shows, its controls, the drawing, and the same data as a table for readers who
// cannot see the drawing. A chart is drawn when it comes near the window, and drawn again when what it shows changes.
const frames = new Map(); // figure element -> frame

const nearWindow = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) frames.get(entry.target)?.draw();
  },
  { rootMargin: "500px" },
);

const widthChanges = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const frame = frames.get(entry.target);
    if (frame && frame.width > 0 && Math.abs(entry.contentRect.width - frame.width) > 1) frame.renew();
  }
});

/// draw(width) -> { svg, head, rows, numeric, text }, or undefined where the filter leaves nothing to show. Rows are
/// what is drawn, one for each mark; `text` says in a sentence what a reader would see; `about` says to
/// programs what is drawn.
function figure({ id, title, note, level = "h3", controls = [], height = 260, draw }) {
  const plot = el("div", { class: "plot" });
  plot.style.minHeight = height + "px";
  const legend = el("ul", { class: "legend", hidden: true });
  const table = el("div", {});
  const file = (text, hint, use) => {
    const onclick = () => frame.drawn?.svg && use(standalone(frame.drawn, titleText(title)), fileName(id, frame.drawn));
    return el("button", { type: "button", class: "file", "data-file": text, title: hint, onclick }, text);
  };
  const files = el(
    "p",
    { class: "files" },
    file("SVG", "Download this chart as SVG", (svg, name) => download(name + ".svg", "image/svg+xml", svgFile(svg))),
    file("PDF", "Print this chart alone: save it as PDF, which keeps its vectors", printAlone),
  );
  const details = el("details", { class: "data" }, el("summary", {}, "The data of this chart as a table"), table);
  const node = el(
    "figure",
    { id, class: "figure" },
    el("figcaption", {}, el(level, {}, title), note ? el("p", { class: "note" }, note) : ""),
    controls.length > 0 ? el("div", { class: "controls" }, controls) : "",
    legend,
    plot,
    files,
    details,
  );
  const frame = {
    width: 0,
    drawn: undefined,
    draw() {
      const width = Math.floor(plot.clientWidth);
      if (frame.drawn || width === 0) return;
      frame.width = node.clientWidth;
      frame.drawn = draw(width) ?? { rows: [] };
      node.dataset.about = JSON.stringify(frame.drawn.about ?? {});
      plot.style.minHeight = "";
      const { svg, text } = frame.drawn;
      if (svg) {
        svg.setAttribute("role", "img");
        svg.setAttribute("aria-label", text ? `${titleText(title)}. ${text}` : titleText(title));
        plot.replaceChildren(svg);
      } else {
        plot.replaceChildren(el("p", { class: "nothing" }, "No arm that the filter lets through has data here."));
      }
      const keys = frame.drawn.legend ?? [];
      legend.hidden = keys.length < 2 || keys.length > 24;
      legend.replaceChildren(
        ...(legend.hidden
          ? []
          : keys.map(([text, colour, dash]) =>
              el("li", { style: `--swatch: ${colour}`, class: dash && dash !== "none" ? "dashed" : undefined }, text),
            )),
      );
      details.hidden = files.hidden = !svg;
      frame.fillTable();
    },
    fillTable() {
      const { head, rows, numeric } = frame.drawn ?? {};
      table.replaceChildren();
      if (details.open && head) table.append(plainTable(head, rows, numeric));
    },
    /// What was drawn no longer holds.
    renew() {
      frame.drawn = undefined;
      nearWindow.unobserve(node);
      nearWindow.observe(node);
    },
  };
  details.addEventListener("toggle", frame.fillTable);
  frames.set(node, frame);
  nearWindow.observe(node);
  widthChanges.observe(node);
  return node;
}

const titleText = (title) => (title instanceof Node ? title.textContent : String(title));

function renewFigures() {
  for (const frame of frames.values()) frame.renew();
}

addEventListener("beforeprint", () => {
  for (const frame of frames.values()) frame.draw();
});

/// What every chart has in common.
function plot(width, options) {
  return Plot.plot({
    width,
    style: { background: "none", fontFamily: "inherit", fontSize: "12px", overflow: "visible" },
    ...options,
  });
}

/// Names beside points where there is room for them: right, left, above or below; else the point keeps its tip only.
function placeLabels(svg, points, width, mostLabels = 40) {
  const boxes = points.map(({ x, y }) => ({ left: x - 5, right: x + 5, top: y - 5, bottom: y + 5 }));
  const group = d3.select(svg).append("g").attr("class", "labels").attr("text-anchor", "start");
  let placed = 0;
  for (const { x, y, label, weight } of points) {
    if (!label || placed >= mostLabels) continue;
    const length = label.length * (weight ? 7.5 : 6.9);
    const places = [
      { left: x + 8, top: y - 7 },
      { left: x - 8 - length, top: y - 7 },
      { left: x - length / 2, top: y - 21 },
      { left: x - length / 2, top: y + 7 },
    ];
    for (const place of places) {
      const box = { ...place, right: place.left + length, bottom: place.top + 14 };
      if (box.left < 2 || box.right > width - 2 || box.top < 0) continue;
      const isFree = boxes.every(
        (other) => box.right < other.left || other.right < box.left || box.bottom < other.top || other.bottom < box.top,
      );
      if (!isFree) continue;
      boxes.push(box);
      group
        .append("text")
        .attr("x", box.left)
        .attr("y", box.top + 11)
        .attr("font-weight", weight ?? null)
        .text(label);
      ++placed;
      break;
    }
  }
}

/// A scale that shows what differs: logarithmic over a wide positive range. Of bytes and counts in powers of two, which
/// is also what keeps Plot from hiding the labels of ticks that are not round in tens.
function numericScale(values, unit, wideFrom = chartLooks.log_from) {
  const [least, most] = d3.extent(values);
  if (!(least > 0 && most / least >= wideFrom)) return { type: "linear" };
  return { type: "log", nice: false, base: isBinary(unit) ? 2 : 10 };
}
const isBinary = (unit) => unit === "bytes" || unit === "count";

/// Ticks at round numbers where the scale's own would not be round: on logarithmic axes, and of bytes.
function ticksOf(scale, values, unit, most) {
  const [least, greatest] = d3.extent(values);
  if (scale.type === "linear") {
    if (unit !== "bytes" || least === greatest) return undefined;
    const step = 2 ** Math.ceil(Math.log2((greatest - least) / most));
    return d3.range(Math.ceil(least / step) * step, greatest + step / 2, step);
  }
  const { base } = scale;
  const steps = base === 2 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log(least) / Math.log(base)); base ** power <= greatest * base; ++power)
    for (const step of steps) ticks.push(step * base ** power);
  const inside = ticks.filter((tick) => tick >= least / 1.3 && tick <= greatest * 1.3);
  const skip = Math.ceil(inside.length / most);
  return inside.filter((_, index) => index % skip === 0);
}
