// Builds the whole viewer into one HTML file, ../mine/output/web/viewer.html, that Python fills with a scene.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

// tests/output/web/test_pack.py computes the same hash, so a bundle older than its source fails without Node at hand.
function sourceHash() {
  const hash = createHash("sha256");
  const sources = readdirSync("src").map((name) => `src/${name}`);
  for (const name of ["index.html", "package-lock.json", "tsconfig.json", "vite.config.js", ...sources].sort()) {
    hash.update(`${name}\0`).update(readFileSync(name)).update("\0");
  }
  return hash.digest("hex");
}

function inline() {
  return {
    name: "inline",
    enforce: "post",
    transformIndexHtml: (html) =>
      html
        .replace("%SOURCE_HASH%", sourceHash())
        .replace("%LICENSE%", `three.js: ${readFileSync("node_modules/three/LICENSE", "utf8").trim()}`),
    generateBundle(_options, bundle) {
      const page = bundle["index.html"];
      for (const [name, part] of Object.entries(bundle)) {
        if (part === page) continue;
        const reference = new RegExp(`<(script|link)[^>]*${part.fileName}[^>]*>(</script>)?\\s*`);
        const content = name.endsWith(".js")
          ? `<script type="module">${part.code.trim().replaceAll("</script", "<\\/script")}</script>\n`
          : `<style>${String(part.source).trim()}</style>\n`;
        page.source = page.source.replace(reference, () => content);
        delete bundle[name];
      }
      page.fileName = "viewer.html";
    },
  };
}

export default defineConfig({
  plugins: [inline()],
  build: { outDir: "../mine/output/web", emptyOutDir: false, assetsInlineLimit: 0, target: "es2022", modulePreload: false },
});
