// Time series only: bars, shares and funnels are drawn by the server.
import uPlot from "uplot";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const font = "12px Inter Variable, sans-serif";

function options(el, lang) {
  const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: el.dataset.zone });
  const number = new Intl.NumberFormat(lang);
  const axis = { stroke: css("--muted"), font, ticks: { show: false } };
  return {
    width: el.clientWidth, height: el.clientHeight, legend: { show: false }, padding: [12, 24, 0, 0],
    cursor: { points: { size: 8, fill: css("--chart") }, y: false },
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), el.dataset.zone),
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(max * 1.1, 5)] } },
    axes: [{ ...axis, grid: { show: false }, space: 70, incrs: [60, 300, 600, 900, 1800, 3600, 7200, 21600, 86400], values: (_plot, all) => all.map((s) => clock.format(new Date(s * 1000))) },
           { ...axis, size: 52, grid: { stroke: css("--rule"), width: 1 }, values: (_plot, all) => all.map((n) => number.format(n)) }],
    series: [{}, { stroke: css("--chart"), width: 2, fill: `${css("--chart")}1f`, points: { show: false } }],
  };
}

export function mount(root) {
  const { lang } = document.documentElement;
  for (const el of root.querySelectorAll("[data-chart]")) {
    let points = JSON.parse(el.dataset.points);
    const data = () => [points.map(([minute]) => minute * 60), points.map(([, count]) => count)];
    let plot;
    const draw = () => { plot?.destroy(); plot = new uPlot(options(el, lang), data(), el); };
    draw();
    new ResizeObserver(() => plot.setSize({ width: el.clientWidth, height: el.clientHeight })).observe(el);
    root.addEventListener("stats", (event) => {
      ({ points } = JSON.parse(event.detail.data));
      plot.setData(data());
    });
    root.addEventListener("themechange", draw);
  }
}
