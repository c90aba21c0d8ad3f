/* SPDX-License-Identifier: GPL-2.0-only */
/* flame.js - zoom, search and keys of a flamegraph that flame_svg.c drew. */
"use strict";
(function () {
	const XML = "http://www.w3.org/2000/svg", HTML = "http://www.w3.org/1999/xhtml";
	const svg = document.documentElement;
	if (!svg.classList.contains("bscope-flame"))
		return;
	const margin = Number(svg.dataset.margin), total = Number(svg.dataset.total);
	const least = Number(svg.dataset.min), bottom = svg.dataset.root === "bottom";
	const height = Number(svg.getAttribute("height")), pad = 3;
	const details = document.getElementById("details");
	let width = Number(svg.getAttribute("width")), column = 7.25;
	let zoomed = null, focused = null, found = "", regexp = null;

	/* Frames come parents first, from left to right. */
	const frames = [], open = [];
	for (const g of document.querySelectorAll("#frames > g")) {
		const f = { g: g, rect: g.querySelector("rect"), text: g.querySelector("text"),
			    s: Number(g.dataset.s), v: Number(g.dataset.v), d: Number(g.dataset.d),
			    i: frames.length, kids: [] };
		f.lines = g.querySelector("title").textContent.split("\n");
		f.name = f.lines[0];
		f.up = f.d ? open[f.d - 1] : null;
		if (f.up)
			f.up.kids.push(f);
		open[f.d] = f;
		g.frame = f;
		frames.push(f);
	}
	/* The last frame above each, itself if there is none. */
	for (const f of frames.slice().reverse())
		f.end = f.kids.length ? f.kids[f.kids.length - 1].end : f.i;
	const root = frames[0];
	if (!root)
		return;
	zoomed = focused = root;

	function make(ns, name, attributes, parent) {
		const e = document.createElementNS(ns, name);
		for (const key in attributes)
			e.setAttribute(key, attributes[key]);
		parent.appendChild(e);
		return e;
	}

	function wide(c) {
		const n = c.codePointAt(0);
		return n >= 0x1100 && n !== 0x2026 && (n < 0x2000 || n >= 0x2e80) ? 2 : 1;
	}

	/* The name cut to so many pixels. */
	function label(name, pixels) {
		let used = 0, cut = "";
		const columns = Math.floor(pixels / column);
		if (columns < 3)
			return "";
		for (const c of name) {
			used += wide(c);
			if (used > columns)
				return cut + "\u2026";
			if (used < columns)
				cut += c;
			else if (cut.length + c.length === name.length)
				return name;
		}
		return cut;
	}

	function place(f, x, w) {
		f.g.classList.remove("off");
		f.rect.setAttribute("x", (margin + x).toFixed(2));
		f.rect.setAttribute("width", w.toFixed(2));
		const text = label(f.name, w - 2 * pad);
		if (!text && !f.text)
			return;
		if (!f.text)
			f.text = make(XML, "text", { y: Number(f.rect.getAttribute("y")) + 12 }, f.g);
		f.text.textContent = text;
		f.text.setAttribute("x", (margin + x + pad).toFixed(2));
	}

	function draw() {
		const inner = width - 2 * margin, scale = inner / zoomed.v;
		const above = new Set();
		for (let f = zoomed.up; f; f = f.up)
			above.add(f);
		for (const f of frames) {
			const x = (f.s - zoomed.s) * scale, w = f.v * scale;
			const up = above.has(f);
			f.g.classList.toggle("up", up);
			if (up)
				place(f, 0, inner);
			else if (f.i < zoomed.i || f.i > zoomed.end || w < least && f !== root)
				f.g.classList.add("off");
			else
				place(f, x, w);
		}
		tools();
	}

	function zoom(f) {
		zoomed = f;
		draw();
		focus(f);
	}

	function shown(f) {
		return f && !f.g.classList.contains("off");
	}

	function focus(f) {
		focused.g.setAttribute("tabindex", "-1");
		focused = f;
		f.g.setAttribute("tabindex", "0");
		f.g.focus();
		say(f);
	}

	function say(f) {
		const text = f ? f.name + ": " + f.lines[1] : found;
		details.textContent = label(text, width - 2 * margin);
	}

	/* What matches, in parts of all: what stands above a match does not count again. */
	function search(source) {
		let sum = 0, end = -1;
		regexp = null;
		found = "";
		try {
			if (source)
				regexp = new RegExp(source, "u");
		} catch (e) {
			found = "not a regular expression: " + source;
		}
		for (const f of frames) {
			const hit = Boolean(regexp) && f !== root && regexp.test(f.name);
			f.g.classList.toggle("hit", hit);
			if (hit && f.i > end) {
				sum += f.v;
				end = f.end;
			}
		}
		if (regexp)
			found = "matched: " + (total ? 100 * sum / total : 0).toFixed(2) + " % of all";
		svg.dataset.matched = regexp ? String(sum) : "";
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
		g.size = name.length * column + 14;
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
		holder = make(XML, "foreignObject", { x: width - margin - w, y: margin + 24, width: w,
						      height: 28 }, svg);
		const input = holder.input = make(HTML, "input", {
			type: "text", placeholder: "regular expression", "aria-label": "search",
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
		input.focus();
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
	const group = document.getElementById("frames");
	group.addEventListener("click", function (e) {
		const f = of_event(e);
		if (f)
			zoom(f);
	});
	group.addEventListener("mouseover", function (e) { say(of_event(e)); });
	group.addEventListener("mouseout", function () { say(null); });
	group.addEventListener("focusin", function (e) {
		const f = of_event(e);
		if (f && f !== focused)
			focus(f);
	});

	function resize() {
		width = Math.max(200, window.innerWidth || width);
		svg.setAttribute("width", width);
		svg.setAttribute("viewBox", "0 0 " + width + " " + height);
		/* Not under a scroll bar. */
		const inside = svg.clientWidth;
		if (inside >= 200 && inside < width) {
			width = inside;
			svg.setAttribute("viewBox", "0 0 " + width + " " + height);
		}
		field_close();
		draw();
		say(null);
	}

	/* The font that the reader has. */
	const probe = make(XML, "text", { visibility: "hidden" }, svg);
	probe.textContent = "0".repeat(50);
	if (probe.getComputedTextLength)
		column = probe.getComputedTextLength() / 50 || column;
	probe.remove();
	window.addEventListener("resize", resize);
	resize();
})();
