"use strict";
// Sorts, filters, pages and opens tables. A text is set as text, never as HTML; nothing is fetched.
(() => {
  const NONE = "–", UNKNOWN = 65535, UNLIKELY = 65534;
  const byId = (id) => document.getElementById(id);
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(key, value);
      else if (value !== null) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };
  const whole = (n) => n.toLocaleString("en");
  const count = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;
  const minus = (text) => text.replaceAll("-", "−");
  const digits = (n) => (x) => (x === null ? NONE : minus(x === 0 || (Math.abs(x) >= 1e-4 && Math.abs(x) < 1e6) ? String(+x.toPrecision(n)) : x.toExponential(n - 1)));
  const small = digits(2), figure = digits(5);
  const percent = (x) => (x === null ? NONE : `${(100 * x).toFixed(1)}\u00a0%`);
  const probability = (nats) => (nats < -9.2 ? small(Math.exp(nats)) : `${+(100 * Math.exp(nats)).toPrecision(3)}\u00a0%`);

  // The block of data: see llm_mia/report/html/block.py.
  let lines = null, index = null;
  const unpacked = async (number) => {
    lines ??= byId("passages-data").textContent.split("\n");
    const letters = atob(lines[number]), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  };
  const json = (buffer, ...part) => JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, ...part)));
  const remembering = (load, most) => {
    const held = new Map();
    return (key) => {
      if (!held.has(key)) {
        if (held.size >= most) held.delete(held.keys().next().value);
        held.set(key, load(key));
      }
      return held.get(key);
    };
  };
  const textsOf = remembering(async (chunk) => json(await unpacked(1 + 2 * chunk)), 1e9);
  const tokensOf = remembering(async (chunk) => {
    const buffer = await unpacked(2 + 2 * chunk), size = new DataView(buffer).getUint32(0, true);
    const head = json(buffer, 4, size), total = head.n.reduce((sum, n) => sum + n, 0);
    const starts = head.n.map(((at) => (n) => (at += n) - n)(0));
    const plane = (k) => new Uint8Array(buffer, 4 + size + k * total, total);
    const planes = Array.from({ length: head.reference ? 9 : 7 }, (_, k) => plane(k));
    return { ...head, starts, wide: (k, at) => planes[k][at] + 256 * planes[k + 1][at], byte: (k, at) => planes[k][at] };
  }, 8);

  const opener = (content, click) => element("button", { type: "button", class: "opener", "aria-expanded": "false", ...(click && { click }) }, content);
  const unfold = async (button, close, place, content) => {
    const opened = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!opened));
    if (opened) return close();
    const target = place();
    const node = await content().catch((error) => `This cannot be shown: ${error.message}`);
    if (button.getAttribute("aria-expanded") === "true") target.append(node);
  };

  // A table: columns are [value of a row, cell of a row, whether large values come first].
  const grid = (name, rowCount, columns, { noun, size, matches, open, first }) => {
    const root = byId(`${name}-grid`), body = root.querySelector("tbody"), status = root.querySelector("[role=status]");
    const form = root.querySelector(".controls"), pager = root.querySelector(".pager"), [before, after] = pager.children;
    const [search, only] = form.querySelectorAll("input"), heads = [...root.querySelectorAll("thead th")], titles = heads.map((head) => head.textContent);
    let order = Array.from({ length: rowCount }, (_, i) => i), rows = order, at = 0, wanted = 0, by = null, down = false;
    const draw = () => {
      body.replaceChildren(...rows.slice(at, at + size).map(rowOf));
      const last = Math.min(at + size, rows.length);
      const place = rows.length ? `Rows ${whole(at + 1)} to ${whole(last)} of ` : "", all = rows.length < rowCount ? `, of ${whole(rowCount)} in all` : "";
      status.textContent = `${place}${count(rows.length, noun)}${all}.`;
      pager.hidden = rows.length <= size;
      before.disabled = at === 0;
      after.disabled = last === rows.length;
    };
    const rowOf = (i) => {
      const cells = columns.map(([, cell], k) => {
        const content = cell(i);
        if (k) return element("td", { class: heads[k].className, "data-label": titles[k] }, content);
        if (!open) return element("th", { scope: "row" }, content);
        return element("th", { scope: "row" }, opener(content));
      });
      const row = element("tr", {}, ...cells);
      if (open) row.addEventListener("click", (event) => {
        if (event.target.closest("button:not(.opener)") || String(getSelection())) return;
        toggle(row, i);
      });
      return row;
    };
    const toggle = (row, i) => {
      const cell = element("td", { colspan: columns.length }), opened = element("tr", { class: "opened" }, cell);
      unfold(row.querySelector(".opener"), () => row.nextElementSibling.remove(), () => (row.after(opened), cell), () => open(i));
    };
    const sort = (k) => {
      down = by === k ? !down : Boolean(columns[k][2]);
      by = k;
      heads.forEach((head, other) => head.setAttribute("aria-sort", other !== k ? "none" : down ? "descending" : "ascending"));
      const value = columns[k][0], sign = down ? -1 : 1;
      const compare = (x, y) => (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
      order.sort((i, j) => {
        const x = value(i), y = value(j);
        return (x === null) - (y === null) || (x === null ? 0 : sign * compare(x, y)) || i - j;
      });
      filter();
    };
    const filter = async () => {
      const asked = ++wanted, text = search.value.toLowerCase();
      const test = await matches(text, Boolean(only?.checked));
      if (asked !== wanted) return;
      rows = order.filter(test);
      at = 0;
      draw();
    };
    const move = (step) => {
      at += step * size;
      draw();
      root.querySelector(".scroll").focus();
    };
    heads.forEach((head, k) => head.replaceChildren(element("button", { type: "button", click: () => sort(k) }, ...head.childNodes)));
    before.addEventListener("click", () => move(-1));
    after.addEventListener("click", () => move(1));
    form.addEventListener("input", filter);
    form.hidden = root.hidden = false;
    if (first) order.sort(first);
    draw();
  };

  // The text of a passage. Levels go from 0 to 6: the higher, the less surprising.
  const SURPRISE = [7, 4, 2, 1, 0.5, 0.1], DIFFERENCE = [-2, -0.5, 0.5, 2, 4];
  const SCALES = {
    target: { title: "The target model", levels: 7, prefix: "l", name: (k) => (k ? `≤ ${SURPRISE[k - 1]}` : "> 7"), unit: "nats of surprise; 0.1 is a probability of 90\u00a0%", low: "surprising", high: "less surprising" },
    difference: { title: "Difference to the reference", levels: 6, prefix: "d", name: (k) => minus(k ? `≥ ${DIFFERENCE[k - 1]}` : "< -2"), unit: "nats likelier under the target", low: "likelier under the other model", high: "less surprising to the target than to the other model" },
    none: { title: "No colour", levels: 0 },
  };
  const legend = (scale) => {
    const { levels, prefix, name, unit, low, high } = SCALES[scale];
    if (!levels) return [];
    const boxes = Array.from({ length: levels }, (_, k) => element("span", { class: `t ${prefix}${k}` }, name(k)));
    return [`${low} `, ...boxes, ` ${high} (${unit})`];
  };
  const written = (piece) => JSON.stringify(piece).replace(/[\u007f-\u00a0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2066-\u2069\ufeff]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

  const heatMap = (text, chunk, start, n, facts) => {
    const [step, entropyStep] = index.steps, spans = [], ends = [];
    const nats = (steps) => (steps === UNKNOWN ? null : steps === UNLIKELY ? -Infinity : -step * steps);
    const target = (j) => nats(chunk.wide(2, start + j));
    const other = (j) => (chunk.reference ? nats((chunk.wide(7, start + j) + chunk.wide(2, start + j)) & 65535) : null);
    const difference = (j) => (target(j) === null || other(j) === null ? null : target(j) - other(j));
    const level = (scale, j) => {
      const value = scale === "target" ? target(j) : difference(j);
      if (scale === "none" || value === null || Number.isNaN(value)) return "";
      return scale === "target" ? `l${SURPRISE.filter((nats) => -value <= nats).length}` : `d${DIFFERENCE.filter((nats) => value >= nats).length}`;
    };
    const marks = Array.from({ length: n }, () => "");
    for (const [from, to] of facts.runs) for (let j = from; j < to; j++) marks[j] += " run";
    for (const [from, to] of facts.spans) for (let j = from; j < to; j++) marks[j] += ` span${j === from ? " from" : ""}${j === to - 1 ? " to" : ""}`;
    let scale = "target", now = -1, at = 0;
    const paint = (j) => (spans[j].className = `t ${level(scale, j)}${marks[j]}${j === now ? " now" : ""}${spans[j].firstChild ? "" : " empty"}`);
    for (let j = 0; j < n; j++) {
      const piece = text.slice(at, (at += chunk.wide(0, start + j)));
      spans.push(element("span"));
      if (piece) spans[j].append(piece);
      ends.push(at);
      spans[j].number = j;
      paint(j);
      if (/^\s*\n\s*$/.test(piece)) spans[j].dataset.line = "↵";
    }
    const panel = element("dl", { class: "token" });
    const choose = (j, focused = true) => {
      const last = now;
      now = Math.max(0, Math.min(n - 1, j));
      if (last >= 0) paint(last);
      paint(now);
      const rank = chunk.wide(5, start + now), entropy = chunk.byte(4, start + now), piece = text.slice(now ? ends[now - 1] : 0, ends[now]);
      const inNats = (value) => `${minus(value.toFixed(2))}\u00a0nats`;
      const likely = (value) => (value === null ? "not known" : value === -Infinity ? "below what is kept here" : `${inNats(value)} (${probability(value)})`);
      const rows = [
        ["token", `${now + 1} of ${n}: ${piece ? written(piece) : "shares a character with the token before it"}`],
        ["log-probability, target", likely(target(now))],
        ...(chunk.reference ? [[`log-probability, ${index.other}`, likely(other(now))], ["difference", difference(now) === null ? "not known" : inNats(difference(now))]] : []),
        ["rank", rank === UNKNOWN ? "not known" : rank === 0 ? "the model’s first choice" : `${count(rank, "token")}${rank === UNLIKELY ? " or more" : ""} likelier`],
        ["entropy", entropy === 255 ? "not known" : inNats(entropyStep * entropy)],
      ];
      panel.replaceChildren(...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
      if (focused) spans[now].scrollIntoView({ block: "nearest" });
    };
    const nextLine = (way) => {
      const here = spans[now].getBoundingClientRect();
      let best = now, nearest = Infinity, top = null;
      for (let j = now + way; j >= 0 && j < n; j += way) {
        const there = spans[j].getClientRects()[0];
        if (!there || Math.abs(there.top - here.top) < 3) continue;
        top ??= there.top;
        if (Math.abs(there.top - top) > 3) break;
        if (Math.abs(there.left - here.left) < nearest) [best, nearest] = [j, Math.abs(there.left - here.left)];
      }
      return best;
    };
    const keys = { ArrowRight: () => now + 1, ArrowLeft: () => now - 1, ArrowDown: () => nextLine(1), ArrowUp: () => nextLine(-1), Home: () => 0, End: () => n - 1 };
    const body = element("div", { class: "text", tabindex: "0", role: "group", "aria-label": "Tokens; the arrow keys choose a token", click: (event) => {
      const token = event.target.closest(".t");
      if (token && !String(getSelection())) choose(token.number);
    }, keydown: (event) => {
      if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      choose(now < 0 ? 0 : keys[event.key]());
    } }, ...spans, text.slice(at));
    body.dir = "auto"; // Set last: each piece that is added would be searched.
    const scaleOf = element("p", { class: "legend" }, ...legend(scale));
    const group = `scale-${(heatMap.number = (heatMap.number ?? 0) + 1)}`;
    const choices = Object.entries(SCALES).map(([name, { title }]) => {
      const input = element("input", { type: "radio", name: group, value: name, change: () => {
        scale = name;
        spans.forEach((_, j) => paint(j));
        scaleOf.replaceChildren(...legend(name));
      } });
      input.checked = name === scale;
      input.disabled = name === "difference" && !chunk.reference;
      return element("label", {}, input, ` ${title}`);
    });
    const steps = [["Previous token", -1], ["Next token", 1]].map(([title, way]) => element("button", { type: "button", click: () => choose(now < 0 ? 0 : now + way) }, title));
    panel.append(element("div", {}, element("dt", {}, "token"), element("dd", {}, "choose one by a click, or with the arrow keys")));
    const framed = facts.spans.length ? [element("p", {}, `Framed: ${facts.spans.map(([from, to, p]) => `tokens ${from + 1} to ${to} (probability of the likeliest stretch ${small(p)})`).join("; ")}.`)] : [];
    const why = index.difference ? [element("p", { class: "note" }, index.difference)] : [];
    return [element("fieldset", { class: "scale" }, element("legend", {}, "Colour by"), ...choices), ...why, scaleOf, body, element("p", { class: "steps" }, ...steps), element("div", { role: "status" }, panel), ...framed];
  };

  const perplexities = ({ perplexity, per_byte: perByte }) => {
    if (!perplexity || perplexity[0] === null) return [];
    const both = (values, digits) => `${+values[0].toPrecision(digits)} under the target${values[1] === null ? "" : `, ${+values[1].toPrecision(digits)} under ${index.other}`}`;
    return [element("p", {}, `Perplexity ${both(perplexity, 4)}; ${perByte[0] === null ? "" : `nats per byte ${both(perByte, 3)}.`}`)];
  };
  const place = (value) => {
    if (value === null) return element("td", {}, NONE);
    const mark = element("span", { class: "mark" });
    mark.style.left = `${value}%`;
    return element("td", {}, element("span", { class: "strip", "aria-hidden": "true" }, mark), ` ${Math.round(value)}\u00a0%`);
  };
  const places = ({ scores, members, nonmembers }) => {
    const rows = index.attacks.map((name, k) => element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "number" }, figure(scores[k])), place(members[k]), place(nonmembers[k])));
    const table = (caption, some) => element("table", { class: "places" }, element("caption", {}, caption), element("thead", {}, element("tr", {}, ...["score", "value", "above this share of members", "above this share of non-members"].map((title) => element("th", { scope: "col" }, title)))), element("tbody", {}, ...some));
    const parts = [table("The deciding score among the known sets", rows.slice(0, 1))];
    if (rows.length > 1) parts.push(element("details", {}, element("summary", {}, `${count(rows.length - 1, "other score")}`), table("Other scores among the known sets", rows.slice(1))));
    return parts;
  };
  const passage = async (i) => {
    const at = Math.floor(i / index.chunk), k = i % index.chunk;
    const [texts, chunk] = await Promise.all([textsOf(at), tokensOf(at)]);
    const text = texts[k], n = chunk.n[k], facts = chunk.passages[k], made = element("article", { class: "passage" });
    if (text === null) made.append(element("p", {}, "The page holds no text of this passage."));
    else if (!n) made.append(element("p", {}, text ? "It is not known where the tokens of this text begin, so it has no colours." : "The text is empty."), element("div", { class: "text", dir: "auto" }, text));
    else made.append(...heatMap(text, chunk, chunk.starts[k], n, facts));
    made.append(...perplexities(facts), ...places(facts));
    return made;
  };

  const passagesOf = (numbers) => {
    const { id, flagged, score, p } = index.passages;
    const items = numbers.map((i) => element("li", {}, opener(id[i], ({ currentTarget: button }) => {
      const item = button.parentElement;
      unfold(button, () => item.querySelector("article")?.remove(), () => item, () => passage(i));
    }), ` ${flagged[i] ? "flagged, " : ""}score ${figure(score[i])}, p = ${small(p[i])}`));
    return element("ul", { class: "of-document" }, ...items);
  };
  const start = async () => {
    index = json(await unpacked(0));
    const { documents, passages } = index, { sources } = documents;
    const column = (table, key, cell, down) => [(i) => table[key][i], (i) => cell(table[key][i]), down];
    const name = (text) => text || NONE;
    const contains = (table, keys, text) => (i) => keys.some((key) => table[key][i].toLowerCase().includes(text));
    const members = Array.from(documents.name, () => []);
    passages.document.forEach((number, i) => members[number].push(i));
    const likeliest = (i, j) => passages.flagged[j] - passages.flagged[i] || (passages.score[j] ?? -Infinity) - (passages.score[i] ?? -Infinity) || i - j;
    members.forEach((numbers) => numbers.sort(likeliest));
    const withReason = (key) => [(i) => documents[key][i], (i) => (documents[key][i] === null ? element("span", { title: documents.reasons[documents.why[i]] }, NONE) : small(documents[key][i]))];
    grid("documents", documents.name.length, [
      column(documents, "name", name),
      ...(sources ? [column(documents, "source", name)] : []),
      column(documents, "passages", whole, true),
      column(documents, "flagged", whole, true),
      withReason("p"), withReason("q"),
      column(documents, "share", percent, true),
    ], { noun: "document", size: 50, open: async (i) => passagesOf(members[i]), matches: (text, only) => {
      const named = contains(documents, ["name", "source"], text);
      return (i) => (!only || documents.flagged[i] > 0) && named(i);
    } });
    if (sources) grid("sources", sources.source.length, [
      column(sources, "source", name),
      ...["documents", "passages", "flagged", "likely"].map((key) => column(sources, key, whole, true)),
      column(sources, "q", small),
    ], { noun: "source", size: 50, matches: (text) => contains(sources, ["source"], text) });
    const documentOf = (i) => documents.name[passages.document[i]];
    grid("passages", passages.id.length, [
      column(passages, "id", name),
      [documentOf, documentOf],
      [(i) => passages.flagged[i], (i) => (passages.flagged[i] ? "yes" : "no"), true],
      column(passages, "score", figure, true),
      column(passages, "p", small), column(passages, "q", small),
    ], { noun: "passage", size: 50, open: passage, first: likeliest, matches: async (text, only) => {
      const texts = [];
      if (text && index.texts) for (let at = 0; at * index.chunk < passages.id.length; at++) texts.push(...(await textsOf(at)));
      return (i) => (!only || passages.flagged[i]) && (!text || [passages.id[i], documentOf(i), texts[i] ?? ""].some((each) => each.toLowerCase().includes(text)));
    } });
  };
  // A printed page shows what is folded.
  addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach((each) => { each.open = each.dataset.folded = true; }));
  addEventListener("afterprint", () => document.querySelectorAll("details[data-folded]").forEach((each) => { each.open = false; delete each.dataset.folded; }));
  const fault = byId("passages-fault");
  start().then(() => fault.remove(), (error) => {
    fault.textContent = `The list of passages cannot be shown: this browser cannot read it (${error.message}). A current browser can.`;
  });
})();
