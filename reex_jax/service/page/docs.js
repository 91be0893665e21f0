// The API's description as a page: every address with what it takes and gives.

import { get } from "./api.js";
import { $, make, say } from "./view.js";

const EXAMPLES = {
  "/v1/search": (at) => `curl ${at}/v1/search -d '{"text": "a red circle", "k": 5, "compare": true}'`,
  "/v1/search/image": (at) => `curl "${at}/v1/search/image?k=5" --data-binary @photo.jpg`,
  "/v1/state/reset": (at) => `curl -X POST ${at}/v1/state/reset`,
  "/metrics": (at) => `curl ${at}/metrics`,
};

let schemas = {};
const named = (schema) => (schema?.$ref ? schemas[schema.$ref.split("/").at(-1)] : schema);

function kindOf(schema) {
  const options = schema.anyOf ?? [schema];
  return options.map((one) => {
    if (one.$ref) return one.$ref.split("/").at(-1);
    if (one.enum) return one.enum.join(" | ");
    if (one.type === "array") return `list of ${kindOf(one.items ?? {})}`;
    return one.type ?? "any";
  }).join(" or ");
}

function table(rows) {
  const head = make("tr", {}, ...["name", "type", "meaning"].map((name) => make("th", { scope: "col" }, name)));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

function row(name, schema, required) {
  const notes = [schema.description ?? ""];
  if (schema.default !== undefined && schema.default !== null && schema.default !== "")
    notes.push(`default ${JSON.stringify(schema.default)}`);
  if (required) notes.push("required");
  return make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, kindOf(schema)),
    make("td", {}, notes.filter(Boolean).join("; ")));
}

function fields(schema, seen = new Set()) {
  const rows = [], inner = [];
  for (const [name, one] of Object.entries(schema.properties ?? {})) {
    rows.push(row(name, one, schema.required?.includes(name) && schema.additionalProperties === false));
    for (const option of [one, one.items, ...(one.anyOf ?? [])].filter(Boolean)) {
      const found = [option, option.items].find((part) => part?.$ref);
      if (found && !seen.has(found.$ref)) { seen.add(found.$ref); inner.push(found); }
    }
  }
  const parts = [table(rows)];
  for (const found of inner)
    parts.push(make("h3", {}, found.$ref.split("/").at(-1)), ...fields(named(found), seen));
  return parts;
}

function card(path, verb, what) {
  const parts = [
    make("h2", {}, make("span", { className: "verb" }, verb.toUpperCase()), make("code", {}, path)),
    make("p", { className: "quiet" }, what.summary),
  ];
  if (what.parameters?.length)
    parts.push(make("h3", {}, "In the address"), table(what.parameters.map((p) => row(p.name, p.schema, p.required))));
  const body = named(what.requestBody?.content?.["application/json"]?.schema);
  if (body) parts.push(make("h3", {}, "Body"), ...fields(body));
  const answer = what.responses["200"]?.content?.["application/json"]?.schema;
  if (answer) {
    parts.push(make("h3", {}, "Answer"), ...fields(named(answer)));
  }
  const others = Object.entries(what.responses).filter(([status]) => status !== "200");
  if (others.length)
    parts.push(make("p", { className: "quiet" }, others.map(([status, one]) => `${status}: ${one.description}`).join(" · ")));
  if (EXAMPLES[path]) parts.push(make("pre", { tabIndex: 0 }, EXAMPLES[path](location.origin)));
  return make("section", { className: "card" }, ...parts);
}

try {
  const described = await get("/openapi.json");
  schemas = described.components.schemas;
  for (const [path, verbs] of Object.entries(described.paths))
    for (const [verb, what] of Object.entries(verbs)) $("paths").append(card(path, verb, what));
} catch (error) {
  say(error.status === 401 ? "This service asks for a token: open the search page and give it there." : error.message, true);
}
