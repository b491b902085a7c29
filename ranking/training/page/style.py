"""The report's style sheet: light, dark and print, with no outside font, image or script."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --muted: #545d68; --rule: #d6dce2; --wash: #f4f6f8;
  --c0: #0b5cad; --c1: #a8480b; --c2: #3a7d34; --c3: #7a3e9d; --area: #bcd3ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #10151a; --ink: #e6ebf0; --muted: #9eaab6; --rule: #303a44; --wash: #182027;
    --c0: #6fb3ff; --c1: #f2a765; --c2: #86c97f; --c3: #cf9ff0; --area: #2c4a6b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.5rem 2.5rem; max-width: 69rem; background: var(--paper);
  color: var(--ink); font: 0.9375rem/1.45 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial,
  sans-serif; font-variant-numeric: tabular-nums;
}
h1 {
  margin: 0 0 1rem; font-size: 1.625rem; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere;
}
h2 { margin: 0 0 0.25rem; font-size: 1.0625rem; line-height: 1.3; }
section { margin-top: 2rem; min-width: 0; }
p { margin: 0 0 0.5rem; color: var(--muted); max-width: 44rem; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); column-gap: 2.5rem; }
.facts {
  display: flex; flex-wrap: wrap; gap: 0.75rem 2.25rem; margin: 0; padding: 0.875rem 0;
  border-top: 2px solid var(--ink); border-bottom: 1px solid var(--rule);
}
.facts dt { color: var(--muted); font-size: 0.8125rem; }
.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td {
  padding: 0.4rem 1.25rem 0.4rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--rule);
}
thead th { color: var(--muted); font-weight: 500; border-bottom-color: var(--ink); }
.metrics th, .metrics td { white-space: nowrap; }
.metrics tbody th { font-weight: 500; }
.metrics .model { font-weight: 650; }
small { display: block; color: var(--muted); font-size: 0.8125rem; font-weight: 400; }
td small.interval { display: inline; margin-left: 0.5rem; }
.note { margin-top: 0.75rem; max-width: none; font-size: 0.8125rem; }
.keys { display: block; columns: 17rem auto; column-gap: 2.5rem; margin: 0; font-size: 0.8125rem; }
.keys div {
  display: flex; justify-content: space-between; gap: 1rem; padding: 0.2rem 0;
  border-bottom: 1px solid var(--rule); break-inside: avoid;
}
.keys dt { color: var(--muted); flex: none; max-width: 60%; overflow-wrap: anywhere; }
.keys dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; }
.prints dd { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.prints { columns: auto; }
svg { display: block; width: 100%; height: auto; max-width: 42rem; overflow: hidden; }
svg text { font-size: 12px; fill: var(--ink); }
svg .tick, svg .unit { fill: var(--muted); }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .axis { stroke: var(--muted); stroke-width: 1; }
svg .best { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 3; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .dot { stroke: var(--paper); stroke-width: 1.5; }
svg .bar { fill: var(--c0); }
svg .ridge { fill: var(--area); stroke: var(--c0); stroke-width: 1; }
svg .median { stroke: var(--ink); stroke-width: 2; }
svg .s0 { stroke: var(--c0); } svg .f0 { fill: var(--c0); }
svg .s1 { stroke: var(--c1); stroke-dasharray: 7 3; } svg .f1 { fill: var(--c1); }
svg .s2 { stroke: var(--c2); stroke-dasharray: 2 3; } svg .f2 { fill: var(--c2); }
svg .s3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; } svg .f3 { fill: var(--c3); }
@media (max-width: 46rem) { .pair { grid-template-columns: minmax(0, 1fr); } }
@media print {
  :root {
    color-scheme: light; --paper: #fff; --ink: #000; --muted: #444; --rule: #ccc;
    --c0: #0b5cad; --c1: #a8480b; --c2: #3a7d34; --c3: #7a3e9d; --area: #bcd3ec;
  }
  @page { margin: 12mm; }
  html { font-size: 10.5px; }
  body { padding: 0; max-width: none; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section { margin-top: 1.1rem; break-inside: avoid; }
  .pair { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); column-gap: 1.5rem; }
  .scroll { overflow: visible; }
  th, td { padding-top: 0.2rem; padding-bottom: 0.2rem; }
}
"""
