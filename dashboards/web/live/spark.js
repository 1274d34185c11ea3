/**
 * A line of prices that fits into a table cell, as SVG so that it uses the theme's colours.
 *
 * @module
 */
import { svg } from "./dom.js";

const WIDTH = 96, HEIGHT = 26, PADDING = 2;
/** The most points of one line; the oldest are dropped. */
export const POINTS_MAX = 60;

/** The element, and the function that draws it. */
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
