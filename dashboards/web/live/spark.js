/**
 * A line of prices small enough for a table's cell, as SVG so that it takes the theme's colours.
 *
 * @module
 */
import { svg } from "./dom.js";

const WIDTH = 96, HEIGHT = 26, PADDING = 2;
/** Points of one line; of more the oldest go. */
export const POINTS_MAX = 60;

/** The element, and how to draw it. */
export function sparkline() {
  const line = svg("path", { fill: "none", stroke: "currentColor", "stroke-width": "1.5", "stroke-linejoin": "round" });
  const area = svg("path", { fill: "currentColor", "fill-opacity": "0.1" });
  const element = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);
  return {
    element,
    draw(points) {
      if (points.length < 2) return;
      const low = Math.min(...points), high = Math.max(...points), height = HEIGHT - 2 * PADDING;
      const x = (at) => ((at * WIDTH) / (points.length - 1)).toFixed(1);
      const y = (value) => (high === low ? HEIGHT / 2 : HEIGHT - PADDING - ((value - low) / (high - low)) * height).toFixed(1);
      const path = points.map((value, at) => `${at === 0 ? "M" : "L"}${x(at)} ${y(value)}`).join("");
      line.setAttribute("d", path);
      area.setAttribute("d", `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`);
    },
  };
}
