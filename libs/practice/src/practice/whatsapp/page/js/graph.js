// The module graph as Meta's loader shows it to those who look: `require`, `importNamespace`, `__d`, `__debug`.

export const VERSION = "2.3000.1048032155";

/** Take modules, or single exports of modules, out of the graph: what a new build of the page does now and then. */
export function without(modules, names) {
  const missing = new Set(names);
  const left = Object.entries(modules).filter(([id]) => !missing.has(id));
  const stripped = ([id, exported]) => {
    const gone = Object.keys(exported).filter((name) => missing.has(name));
    for (const name of gone) delete exported[name];
    return [id, exported];
  };
  return Object.fromEntries(left.map(stripped));
}

export function offer(modules) {
  const modulesMap = Object.fromEntries(Object.keys(modules).map((id) => [id, { factory() {} }]));
  window.ErrorGuard = { skipGuardGlobal() {} };
  window.importNamespace = (id) => modules[id];
  window.__d = () => {};
  window.require = (id) => (id === "__debug" ? { modulesMap } : modules[id]);
}
