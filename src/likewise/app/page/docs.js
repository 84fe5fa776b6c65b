// The API's description as a page, made of the OpenAPI document alone: nothing is loaded from elsewhere.

import { $, el } from "./dom.js";

const MOST = 6;

/** A schema in a few words; names of others are followed, to some depth. */
function words(schema, all, depth = 0) {
  if (!schema) return "anything";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > MOST ? name : name === "Job" ? words(all[name], all, depth + 1) : name;
  }
  const many = schema.anyOf ?? schema.oneOf;
  if (many) return many.map((each) => words(each, all, depth + 1)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(", ");
  if (schema.prefixItems) return `[${schema.prefixItems.map((each) => words(each, all, depth + 1)).join(", ")}]`;
  if (schema.type === "array") return `list of ${words(schema.items, all, depth + 1)}`;
  if (schema.type === "object" && schema.additionalProperties) return `by key: ${words(schema.additionalProperties, all, depth + 1)}`;
  return schema.format ?? schema.type ?? "anything";
}

function fields(schema, all) {
  const named = schema?.$ref ? all[schema.$ref.split("/").pop()] : schema;
  const many = named?.oneOf ?? named?.anyOf;
  if (many) return many.flatMap((each) => [el("p", { class: "quiet", text: words(each, all) }), ...fields(each, all)]);
  if (!named?.properties) return named ? [el("p", { text: words(named, all) })] : [];
  const required = new Set(named.required ?? []);
  return [el("table", {}, el("tbody", {}, ...Object.entries(named.properties).map(([name, each]) =>
    el("tr", {},
      el("td", {}, el("code", { text: name }), required.has(name) ? " *" : ""),
      el("td", {}, words(each, all), each.description ? el("div", { class: "quiet", text: each.description }) : null)))))];
}

function content(holder) {
  return Object.values(holder?.content ?? {})[0]?.schema;
}

function request(path, method, told, all) {
  const good = Object.entries(told.responses ?? {}).find(([status]) => status < 300) ?? ["200", {}];
  const parameters = (told.parameters ?? []).map((each) => el("tr", {}, el("td", {}, el("code", { text: each.name }), each.required ? " *" : ""),
    el("td", { text: `in the ${each.in}: ${words(each.schema, all)}` })));
  const answer = content(good[1]);
  return el("details", { id: told.operationId },
    el("summary", {}, el("b", { text: method.toUpperCase() }), el("code", { text: path }), ` ${told.summary ?? ""}`),
    el("div", { class: "inside" },
      el("p", { text: told.description ?? "" }),
      parameters.length ? el("table", {}, el("tbody", {}, ...parameters)) : null,
      ...(told.requestBody ? [el("h3", { text: `It takes: ${words(content(told.requestBody), all)}` }), ...fields(content(told.requestBody), all)] : []),
      el("h3", { text: `It answers ${good[0]}${answer ? `: ${words(answer, all)}` : ""}` }), ...fields(answer, all)));
}

const response = await fetch("api/v1/openapi.json");
const { paths, components } = await response.json();
const all = components?.schemas ?? {};
const groups = new Map();
for (const [path, methods] of Object.entries(paths))
  for (const [method, told] of Object.entries(methods)) {
    const tag = told.tags?.[0] ?? "others";
    groups.set(tag, [...(groups.get(tag) ?? []), request(path, method, told, all)]);
  }
groups.set("what they are made of", Object.entries(all).map(([name, schema]) =>
  el("details", { id: name }, el("summary", {}, el("code", { text: name })), el("div", { class: "inside" }, el("p", { text: schema.description ?? "" }), ...fields(schema, all)))));
for (const [tag, requests] of groups) {
  const id = `tag-${tag.replaceAll(" ", "-")}`;
  $("#contents").append(el("a", { href: `#${id}`, text: tag }));
  $("#requests").append(el("section", {}, el("h2", { id, text: tag }), ...requests));
}
$("#docs").setAttribute("aria-busy", "false");
document.documentElement.dataset.ready = "yes";
