/* SPDX-License-Identifier: GPL-2.0-only */
/* flame.js - zoom, search and keys of a flamegraph that flame_svg.c drew. */
"use strict";
(function () {
	const XML = "http://www.w3.org/2000/svg", HTML = "http://www.w3.org/1999/xhtml";
	const svg = document.documentElement;
	if (!svg.classList.contains("bscope-flame"))
		return;
	const margin = Number(svg.dataset.margin), row = Number(svg.dataset.row);
	/* Values may pass 2^53: only what is on the screen becomes a number. */
	const total = BigInt(svg.dataset.total), unit = svg.dataset.unit;
	const least = Number(svg.dataset.min), bottom = svg.dataset.root === "bottom";
	/* Of a comparison: the sum of each side, and what it is called. */
	const sides = "all0" in svg.dataset ? [
		{ all: Number(svg.dataset.all0), name: svg.dataset.side0 },
		{ all: Number(svg.dataset.all1), name: svg.dataset.side1 }] : null;
	const missing = svg.dataset.missing !== "0";
	const height = Number(svg.getAttribute("height")), pad = 3;
	const group = document.getElementById("frames");
	const details = document.getElementById("details");
	const details_y = Number(details.getAttribute("y"));
	let width = Number(svg.getAttribute("width")), grown = 0;
	let zoomed = null, focused = null, matched = "", regexp = null;

	function make(ns, name, attributes, parent) {
		const e = document.createElementNS(ns, name);
		for (const key in attributes)
			e.setAttribute(key, attributes[key]);
		parent.appendChild(e);
		return e;
	}

	/* Frames come parents first, from left to right; f.g is null while one is not drawn. */
	const frames = [], open = [];
	function add(f, d) {
		f.i = frames.length;
		f.d = Number(d);
		f.kids = [];
		f.up = f.d ? open[f.d - 1] : null;
		if (f.up)
			f.up.kids.push(f);
		open[f.d] = f;
		frames.push(f);
	}

	const drawn = Array.from(group.children);
	function add_drawn(n) {
		for (const g of drawn.splice(0, n)) {
			const lines = g.querySelector("title").textContent.split("\n");
			const f = { g: g, rect: g.querySelector("rect"), text: g.querySelector("text"),
				    s: BigInt(g.dataset.s), v: BigInt(g.dataset.v),
				    name: lines[0], says: lines[1] };
			g.frame = f;
			add(f, g.dataset.d);
		}
	}

	/* See put_narrow() in flame_svg.c. */
	const names = [], colors = [];
	for (const line of document.getElementById("narrow").textContent.split("\n")) {
		const space = line.indexOf(" "), words = line.slice(1).split(" ");
		if (line[0] === "=") {
			colors.push(line.slice(1, space));
			names.push(line.slice(space + 1));
		} else if (line[0] === "@") {
			add_drawn(Number(words[0]));
		} else if (line) {
			add({ g: null, s: BigInt(words[1]), v: BigInt(words[2]), name: names[words[0]],
			      color: sides ? words[4] : line[0] + colors[words[0]],
			      sides: words.slice(5).map(Number) }, words[3]);
		}
	}
	add_drawn(drawn.length);
	/* The last frame above each, itself if there is none. */
	for (const f of frames.slice().reverse())
		f.end = f.kids.length ? f.kids[f.kids.length - 1].end : f.i;
	const root = frames[0];
	if (!root)
		return;
	const root_y = Number(root.rect.getAttribute("y"));
	let deepest = 0;
	for (const f of frames)
		if (f.g)
			deepest = Math.max(deepest, f.d);
	zoomed = focused = root;

	/* As bs_fmt_percent() and bs_fmt_count() write them. */
	function percent(v, all = total) {
		const p = Number(all) ? 100 * Number(v) / Number(all) : 0;
		return p === 0 ? "0 %" : p < 0.01 ? "under 0.01 %" : p.toFixed(p < 0.995 ? 2 : 1) + " %";
	}

	/* Not rounded up. */
	function percent_at_least(v) {
		const p = 100 * Number(v) / Number(total), steps = p < 1 ? 100 : 10;
		return p < 0.01 ? "0 %" : (Math.floor(p * steps) / steps).toFixed(p < 1 ? 2 : 1) + " %";
	}

	function count(v) {
		return v.toString().replace(/\B(?=(\d{3})+$)/g, ",");
	}

	/* As put_amount() in flame_svg.c writes it. */
	function amount(f) {
		if (!sides)
			return count(f.v) + " " + unit + ", " + percent(f.v) + " of all";
		const part = sides.map((side, i) => side.all ? 100 * f.sides[i] / side.all : 0);
		const points = part[1] - part[0];
		return sides.map((side, i) => percent(f.sides[i], side.all) + " " + side.name).join(", ") +
		       ", " + (points < 0 ? "" : "+") + points.toFixed(2) + " points";
	}

	/* How wide characters are in the font that the reader has. */
	const pen = document.createElementNS(HTML, "canvas").getContext("2d"), advances = new Map();
	pen.font = getComputedStyle(svg).font;
	function advance(text) {
		let sum = 0;
		for (const c of text) {
			if (!advances.has(c))
				advances.set(c, pen.measureText(c).width);
			sum += advances.get(c);
		}
		return sum;
	}

	/* As much of a text as fits. */
	function cut(text, pixels) {
		let used = 0, at = 0, end = 0;
		const ellipsis = advance("\u2026");
		for (const c of text) {
			used += advance(c);
			if (used > pixels)
				return text.slice(0, end) + "\u2026";
			at += c.length;
			if (used + ellipsis <= pixels)
				end = at;
		}
		return text;
	}

	/* A frame that was too narrow until now. */
	function build(f) {
		f.says = amount(f);
		f.g = make(XML, "g", { class: f.hit ? "f hit" : "f", role: "button", tabindex: "-1" }, group);
		f.g.frame = f;
		make(XML, "title", {}, f.g).textContent = f.name + "\n" + f.says;
		f.rect = make(XML, "rect", { class: f.color, height: row - 1,
					     y: root_y + (bottom ? -f.d : f.d) * row }, f.g);
		f.text = null;
	}

	function place(f, x, w) {
		if (!f.g)
			build(f);
		f.g.classList.remove("off");
		f.g.classList.toggle("thin", w < 3);
		f.rect.setAttribute("x", (margin + x).toFixed(2));
		f.rect.setAttribute("width", w.toFixed(2));
		const room = w - 2 * pad, text = room < advance("000") ? "" : cut(f.name, room);
		if (!text && !f.text)
			return;
		if (!f.text)
			f.text = make(XML, "text", { y: Number(f.rect.getAttribute("y")) + 12 }, f.g);
		f.text.textContent = text;
		f.text.setAttribute("x", (margin + x + pad).toFixed(2));
	}

	function draw() {
		const inner = width - 2 * margin, scale = inner / Number(zoomed.v);
		const below = new Set();
		let rows = deepest;
		for (let f = zoomed.up; f; f = f.up)
			below.add(f);
		for (const f of frames) {
			const x = Number(f.s - zoomed.s) * scale, w = Number(f.v) * scale;
			const up = below.has(f);
			const off = !up && (f.i < zoomed.i || f.i > zoomed.end || w < least && f !== zoomed);
			if (off && f.g)
				f.g.classList.add("off");
			if (off)
				continue;
			place(f, up ? 0 : x, up ? inner : w);
			f.g.classList.toggle("up", up);
			rows = Math.max(rows, f.d);
		}
		grow((rows - deepest) * row);
		tools();
	}

	/* Room for rows that only frames have which were too narrow; what the reader sees stays. */
	function grow(pixels) {
		const by = pixels - grown;
		grown = pixels;
		svg.setAttribute("height", height + grown);
		svg.setAttribute("viewBox", "0 0 " + width + " " + (height + grown));
		if (!bottom || !by)
			return;
		group.setAttribute("transform", "translate(0 " + grown + ")");
		window.scrollBy(0, by);
	}

	function zoom(f) {
		zoomed = f;
		draw();
		focus(f);
	}

	function shown(f) {
		return f && f.g && !f.g.classList.contains("off");
	}

	function focus(f) {
		focused.g.setAttribute("tabindex", "-1");
		focused = f;
		f.g.setAttribute("tabindex", "0");
		f.g.focus({ preventScroll: true });
		/* Two rows from the edges, where the line of details may be; at once, or keys overtake it. */
		const r = f.rect.getBoundingClientRect(), edge = 2 * row;
		const by = Math.min(r.top - edge, 0) || Math.max(r.bottom + edge - window.innerHeight, 0);
		if (by)
			window.scrollBy({ top: by, behavior: "instant" });
		say(f);
	}

	/* What is found stands at the right of what is said, on a line that never leaves the window. */
	const back = make(XML, "rect", { class: "back", height: 34 }, svg);
	const found = make(XML, "text", { class: "note", "text-anchor": "end", "aria-live": "polite" }, svg);
	svg.append(details, found);
	function say(f) {
		const room = width - 2 * margin - (matched ? advance(matched) + 20 : 0);
		found.textContent = cut(matched, width - 2 * margin);
		/* The name apart, or one that is written from right to left would turn the numbers. */
		details.textContent = f ? "\u2068" + cut(f.name, room - advance(": " + f.says)) +
			"\u2069: " + f.says : "";
		lines_place();
	}

	function lines_place() {
		const own = details_y + (bottom ? grown : 0), top = window.scrollY;
		const y = bottom ? Math.min(own, top + window.innerHeight - margin) :
			  Math.max(own, top + margin + 10);
		details.setAttribute("y", y);
		found.setAttribute("x", width - margin);
		found.setAttribute("y", y);
		back.setAttribute("width", width);
		/* To the edge of the window, and past it. */
		back.setAttribute("y", y - (bottom ? 15 : 28));
		back.style.display = y === own || !details.textContent && !matched ? "none" : "";
	}

	/* What matches, in parts of all: what stands above a match does not count again. */
	function search(source) {
		let sum = 0n, end = -1;
		regexp = null;
		matched = "";
		try {
			if (source)
				regexp = new RegExp(source, "u");
		} catch (e) {
			matched = "not a regular expression: " + source;
		}
		for (const f of frames) {
			f.hit = Boolean(regexp) && f !== root && regexp.test(f.name);
			if (f.g)
				f.g.classList.toggle("hit", f.hit);
			if (f.hit && f.i > end) {
				sum += f.v;
				end = f.end;
			}
		}
		/* Names of frames that are not in the file cannot match. */
		if (regexp)
			matched = "matched: " + (missing ? "at least " + percent_at_least(sum) : percent(sum)) +
				  (sides ? " of the width" : " of all");
		say(null);
		tools();
	}

	/* Buttons at the right of the title, and the field for a search, as long as it is needed. */
	function button(name, act) {
		const g = make(XML, "g", { class: "tool", role: "button", tabindex: "0",
					   "aria-label": name }, svg);
		g.rect = make(XML, "rect", { y: margin, height: 20, rx: 3 }, g);
		g.text = make(XML, "text", { y: margin + 14 }, g);
		g.text.textContent = name;
		g.size = advance(name) + 14;
		g.rect.setAttribute("width", g.size);
		g.addEventListener("click", act);
		g.addEventListener("keydown", function (e) {
			if (e.key !== "Enter" && e.key !== " ")
				return;
			e.preventDefault();
			e.stopPropagation();
			act();
		});
		return g;
	}

	let holder = null;
	function field() {
		if (holder) {
			holder.input.focus();
			return;
		}
		const w = Math.min(300, width - 2 * margin);
		holder = make(XML, "foreignObject", { x: width - margin - w, width: w, height: 28,
						      y: margin + 24 + window.scrollY }, svg);
		const input = holder.input = make(HTML, "input", {
			type: "text", placeholder: "regular expression", "aria-label": "search",
			spellcheck: "false",
			style: "width:100%;box-sizing:border-box;font:12px monospace" }, holder);
		input.value = regexp ? regexp.source : "";
		input.addEventListener("input", function () { search(input.value); });
		input.addEventListener("keydown", function (e) {
			e.stopPropagation();
			if (e.key === "Escape")
				search("");
			if (e.key === "Escape" || e.key === "Enter") {
				e.preventDefault();
				field_close();
			}
		});
		input.focus({ preventScroll: true });
		input.select();
	}

	function field_close() {
		if (!holder)
			return;
		holder.remove();
		holder = null;
		focused.g.focus({ preventScroll: true });
		say(regexp ? null : focused);
	}

	function reset() {
		field_close();
		search("");
		zoom(root);
	}

	const search_button = button("Search", field), reset_button = button("Reset", reset);
	function tools() {
		let x = width - margin;
		reset_button.style.display = zoomed === root && !regexp ? "none" : "";
		for (const b of [search_button, reset_button]) {
			x -= b.size;
			b.rect.setAttribute("x", x);
			b.text.setAttribute("x", x + 7);
			x -= 6;
		}
	}

	/* The frame beside f, of the same depth. */
	function beside(f, step) {
		for (let i = f.i + step; i >= 0 && i < frames.length; i += step)
			if (frames[i].d === f.d && shown(frames[i]))
				return frames[i];
		return null;
	}

	function move(key) {
		const deeper = bottom ? "ArrowUp" : "ArrowDown";
		let to;
		if (key === "ArrowLeft" || key === "ArrowRight")
			to = beside(focused, key === "ArrowLeft" ? -1 : 1);
		else if (key === deeper)
			to = focused.kids.find(shown);
		else
			to = focused.up;
		if (shown(to))
			focus(to);
	}

	function of_event(e) {
		const g = e.target.closest ? e.target.closest("g.f") : null;
		return g ? g.frame : null;
	}

	window.addEventListener("keydown", function (e) {
		if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey ||
		    (e.key === "f" || e.key === "F") && (e.ctrlKey || e.metaKey)) {
			e.preventDefault();
			field();
		} else if (e.ctrlKey || e.metaKey || e.altKey) {
			return;
		} else if (e.key === "Escape") {
			reset();
		} else if (e.key.startsWith("Arrow")) {
			e.preventDefault();
			move(e.key);
		} else if (e.key === "Enter" || e.key === " ") {
			e.preventDefault();
			zoom(focused);
		}
	});
	group.addEventListener("click", function (e) {
		const f = of_event(e);
		if (f)
			zoom(f);
	});
	group.addEventListener("mouseover", function (e) { say(of_event(e)); });
	group.addEventListener("mouseout", function () { say(null); });
	/* Not of the group: an element of SVG that listens for the focus can have it. */
	document.addEventListener("focusin", function (e) {
		const f = of_event(e);
		if (f && f !== focused)
			focus(f);
		else if (f)
			say(f);
	});

	/* Title and notes, as long as the window allows. */
	const notes = [];
	for (const e of document.querySelectorAll("text.title, text.note")) {
		const whole = e.querySelector("title");
		if (e !== details && e !== found)
			notes.push({ e: e, text: e.dataset.live || (whole || e).textContent });
	}
	function notes_cut() {
		for (const n of notes) {
			const title = n.e.classList.contains("title");
			const room = width - margin - Number(n.e.getAttribute("x"));
			const text = cut(n.text, title ? (room - search_button.size - reset_button.size - 20) *
					 12 / 15 : room);
			n.e.textContent = text;
			if (text !== n.text)
				make(XML, "title", {}, n.e).textContent = n.text;
		}
	}

	function fit(pixels) {
		width = Math.max(200, pixels);
		svg.setAttribute("width", width);
		draw();
	}

	function resize() {
		fit(window.innerWidth || width);
		/* Not under a scroll bar. */
		if (svg.clientWidth < width)
			fit(svg.clientWidth);
		notes_cut();
		field_close();
		say(null);
	}

	window.addEventListener("resize", resize);
	window.addEventListener("scroll", lines_place);
	resize();
})();
