// @ts-check
/**
 * What our nodes say when they are done, drawn in the node: warnings first.
 *
 * It comes as output of the node (faceid_core/said.py), so that ComfyUI keeps it with the node's values: a cached run
 * says it again. The editor forgets outputs when its page is loaded anew; the last ones are kept in the browser.
 */
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

/** @typedef {{warnings: string[], lines: string[]}} Said */

const WIDGET = "faceid_said";
const PROGRESS_TEXT = "$$node-text-preview"; // the web UI's own widget; up to 1.55 it outlives the job
const PICTURES = "$$canvas-image-preview"; // the web UI's own, in the classic renderer
const KEPT = "faceid_tunes.said"; // in localStorage: workflow id -> node's locator -> Said
const WORKFLOWS_KEPT = 30;
const MOST_HEIGHT = 320; // pixels; more is scrolled
const MARGIN = 4; // pixels around it

const STYLE = `
.faceid-said { box-sizing: border-box; width: 100%; overflow: hidden auto; font: 12px/1.4 sans-serif; color: var(--input-text, #ddd); }
.faceid-said > div { padding: 2px 4px; display: flex; flex-direction: column; gap: 3px; }
.faceid-said p { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; user-select: text; }
.faceid-said p.warning { padding: 2px 6px; border-left: 3px solid #e6a700; background: color-mix(in srgb, #e6a700 14%, transparent); }
.faceid-said p.before { opacity: 0.7; font-style: italic; }
`;

/** @param {any} output of a node @returns {Said | null} */
function saidIn(output) {
  const warnings = output?.faceid_warnings ?? [];
  const lines = output?.faceid_lines ?? [];
  return warnings.length || lines.length ? { warnings: warnings.map(String), lines: lines.map(String) } : null;
}

/** @param {string} text @param {string} kind */
function paragraph(text, kind) {
  const element = document.createElement("p");
  element.className = kind;
  element.textContent = kind === "warning" ? `⚠ ${text}` : text;
  return element;
}

/**
 * Draw what a node says, or take it away.
 * @param {any} node @param {Said | null} said @param {boolean} [isKept] of an earlier visit of this page
 */
function show(node, said, isKept = false) {
  let widget = node.widgets?.find((/** @type {any} */ one) => one.name === WIDGET);
  if (!said) {
    if (widget) node.removeWidget(widget);
    node.setDirtyCanvas?.(true, true);
    return;
  }
  widget ??= addWidget(node);
  widget.faceidSay(said, isKept);
}

/** @param {any} node */
function addWidget(node) {
  const outer = document.createElement("div");
  outer.className = "faceid-said";
  const inner = document.createElement("div");
  inner.setAttribute("role", "status");
  outer.append(inner);
  let height = 24;
  const widget = node.addDOMWidget(WIDGET, WIDGET, outer, {
    serialize: false, // out of the prompt
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: () => Math.min(height, MOST_HEIGHT) + 2 * MARGIN,
    getMaxHeight: () => Math.min(height, MOST_HEIGHT) + 2 * MARGIN,
  });
  widget.serialize = false; // out of the workflow: widgets_values is by position
  const grow = () => {
    if (!inner.offsetHeight || inner.offsetHeight === height) return;
    height = inner.offsetHeight;
    fit(node);
  };
  const observer = new ResizeObserver(grow);
  observer.observe(inner);
  const removed = widget.onRemove;
  widget.onRemove = () => {
    observer.disconnect();
    removed?.call(widget);
  };
  widget.faceidSay = (/** @type {Said} */ said, /** @type {boolean} */ isKept) => {
    inner.replaceChildren(
      ...(isKept ? [paragraph("Last run:", "before")] : []),
      ...said.warnings.map((text) => paragraph(text, "warning")),
      ...said.lines.map((text) => paragraph(text, "line")),
    );
    grow();
  };
  return widget;
}

/** Make the node as high as its widgets need. @param {any} node */
function fit(node) {
  const needed = node.computeSize()[1];
  if (needed > node.size[1]) node.setSize([node.size[0], needed]);
  node.setDirtyCanvas?.(true, true);
}

/** The web UI adds its pictures when they are loaded, and makes room for them in low nodes only. @param {any} node */
function fitPictures(node, frames = 120) {
  if (node.widgets?.some((/** @type {any} */ one) => one.name === PICTURES)) fit(node);
  else if (frames) requestAnimationFrame(() => fitPictures(node, frames - 1));
}

/** The graph that holds all others. @returns {any} */
function root() {
  return app.rootGraph ?? app.graph?.rootGraph ?? app.graph;
}

/** @param {any} node @returns {string} the node's place: its id, below the id of its subgraph if it is in one */
function locator(node) {
  const graph = node.graph;
  return graph && graph !== root() ? `${graph.id}:${node.id}` : String(node.id);
}

/** @param {string} place @returns {any} */
function nodeAt(place) {
  const [id, subgraph] = place.split(":").reverse();
  const graph = subgraph ? root().subgraphs?.get(subgraph) : root();
  return graph?.getNodeById(id) ?? graph?.getNodeById(Number(id));
}

/** @param {string} id of an execution: "3", or "12:3" for node 3 in subgraph node 12 @returns {any} */
function nodeRun(id) {
  let graph = root();
  const path = id.split(":");
  for (const outer of path.slice(0, -1)) graph = graph?.getNodeById(Number(outer))?.subgraph;
  return graph?.getNodeById(path.at(-1)) ?? graph?.getNodeById(Number(path.at(-1)));
}

/** @returns {Record<string, Record<string, Said>>} */
function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

/** @param {any} node @param {Said | null} said */
function keep(node, said) {
  const { [root().id]: ofThis = {}, ...others } = kept();
  if (said) ofThis[locator(node)] = said;
  else delete ofThis[locator(node)];
  const all = [...Object.entries(others), [root().id, ofThis]].slice(-WORKFLOWS_KEPT);
  try {
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(all)));
  } catch {
    localStorage.removeItem(KEPT); // full: what is on the screen stays
  }
}

/** @param {any} node */
function withoutProgressText(node) {
  const widget = node.widgets?.find((/** @type {any} */ one) => one.name === PROGRESS_TEXT);
  if (widget) node.removeWidget(widget);
}

app.registerExtension({
  name: "FaceIDTunes.Said",
  setup() {
    document.head.append(Object.assign(document.createElement("style"), { textContent: STYLE }));
    api.addEventListener("faceid_tunes.warned", (/** @type {any} */ { detail }) => {
      const node = nodeRun(String(detail.node));
      if (node) show(node, saidIn(detail));
    });
    api.addEventListener("execution_error", (/** @type {any} */ { detail }) => {
      const node = nodeRun(String(detail.node_id));
      if (!node || node.comfyClass !== detail.node_type) return;
      withoutProgressText(node);
      show(node, null); // of an earlier run
      if (detail.node_type.startsWith("FaceID")) keep(node, null);
    });
  },
  /** @param {any} type @param {any} data */
  beforeRegisterNodeDef(type, data) {
    if (!data.name.startsWith("FaceID")) return;
    const before = type.prototype.onExecuted;
    type.prototype.onExecuted = function (/** @type {any} */ output) {
      before?.call(this, output);
      withoutProgressText(this);
      show(this, saidIn(output));
      keep(this, saidIn(output));
      if (output?.images?.length) fitPictures(this);
    };
  },
  afterConfigureGraph() {
    for (const [place, said] of Object.entries(kept()[root().id] ?? {})) {
      const node = nodeAt(place);
      if (node?.comfyClass?.startsWith("FaceID")) show(node, said, true);
    }
  },
  /** @param {Record<string, any>} outputs by locator: of a tab that comes to the front, or a job that is opened */
  onNodeOutputsUpdated(outputs) {
    for (const [place, output] of Object.entries(outputs ?? {})) {
      const said = saidIn(output);
      const node = said && nodeAt(place);
      if (node) show(node, said);
    }
  },
});
