// Bundles the console's own front end with what node_modules brings, into the package: hashed names, a manifest,
// an icon sprite, and precompressed copies. No network, no install scripts.
import { build, context } from "esbuild";
import { PurgeCSS } from "purgecss";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { brotliCompressSync, gzipSync } from "node:zlib";

const home = "src/campana/web/console";
const place = `${home}/static/dist`;
const watching = process.argv.includes("--watch");
const out = watching ? place : `${place}.new`; // takes its place when it is whole: a server reads there meanwhile
const hashed = (text) => createHash("sha256").update(text).digest("hex").slice(0, 8);

// The kit is cut to what the templates name; the console's own styles are never cut.
const cut = {
  name: "cut-kit",
  setup: (b) => b.onLoad({ filter: /tabler\.min\.css$/ }, async ({ path }) => {
    const [{ css }] = await new PurgeCSS().purge({
      content: [`${home}/templates/**/*.html`, "frontend/*.js", "node_modules/bootstrap/js/dist/collapse.js"],
      css: [path],
      safelist: { deep: [/data-bs-theme/] },
    });
    return { contents: css, loader: "css", resolveDir: "." };
  }),
};

const options = {
  entryPoints: ["frontend/console.js", "frontend/console.css", "frontend/theme.js"],
  bundle: true, minify: true, splitting: true, format: "esm", target: ["es2022"], outdir: out,
  entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", assetNames: "[name]-[hash]",
  loader: { ".woff2": "file" }, legalComments: "external", metafile: true, logLevel: "warning", plugins: [cut],
};

async function sprite() {
  const names = (await readFile("frontend/icons.txt", "utf8")).split(/\s+/).filter(Boolean);
  const symbols = await Promise.all(names.map(async (name) => {
    const svg = await readFile(`node_modules/@tabler/icons/icons/outline/${name}.svg`, "utf8");
    const inner = svg.replace(/<!--[\s\S]*?-->|<\/?svg[^>]*>/g, "").replace(/\s+/g, " ").trim();
    return `<symbol id="${name}" viewBox="0 0 24 24">${inner}</symbol>`;
  }));
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>`;
}

async function write(stem, text) {
  const name = `${stem}-${hashed(text)}.svg`;
  await writeFile(`${out}/${name}`, text);
  return name;
}

async function finish(result) {
  const manifest = {
    "icons.svg": await write("icons", await sprite()),
    "bell.svg": await write("bell", await readFile("frontend/bell.svg", "utf8")),
  };
  for (const [path, { entryPoint }] of Object.entries(result.metafile.outputs)) {
    const font = path.match(/inter-latin-wght-normal-\w+\.woff2$/);
    if (font) manifest["inter-latin.woff2"] = font[0];
    if (!entryPoint) continue;
    const own = path.match(/([^/]+)-\w+\.(js|css)$/);
    if (entryPoint.startsWith("frontend/")) manifest[`${own[1]}.${own[2]}`] = path.slice(out.length + 1);
  }
  for (const file of await readdir(out)) {
    if (!/\.(js|css|svg)$/.test(file)) continue;
    const bytes = await readFile(`${out}/${file}`);
    await writeFile(`${out}/${file}.br`, brotliCompressSync(bytes));
    await writeFile(`${out}/${file}.gz`, gzipSync(bytes, { level: 9 }));
  }
  await writeFile(`${out}/manifest.json`, JSON.stringify(manifest, null, 1)); // last: it says that the build is whole
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
if (watching) {
  const watcher = await context({ ...options, plugins: [cut, { name: "finish", setup: (b) => b.onEnd(finish) }] });
  await watcher.watch();
} else {
  await finish(await build(options));
  await rm(`${place}.old`, { recursive: true, force: true });
  await rename(place, `${place}.old`).catch(() => {}); // the first time there is none
  await rename(out, place);
  await rm(`${place}.old`, { recursive: true, force: true });
}
