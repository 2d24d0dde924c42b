// What visitors take with them: each file with a word of what it is for. Earlier results stay in the list.

const PURPOSES = {
  mp4: ["Video", "for phones, social media and slides"],
  gif: ["GIF", "for chats and mails that play no video"],
  webp: ["WebP", "loops like a GIF, smaller and sharper"],
  html: ["3D page", "one file, opens without internet"],
  png: ["Depth picture", "near is bright, far is dark"],
  mpi: ["Scene", "to render again with the mine command"],
  jpg: ["Stereo picture", "for red-cyan glasses or a headset"],
  glb: ["3D model", "for Blender, game engines and headsets"],
  ply: ["3D splats or points", "for 3D programs and splat viewers"],
  spz: ["3D splats", "the same, ten times smaller"],
  zip: ["Layers", "transparent pictures for video editors"],
  exr: ["Depth", "in floats, for compositing"],
};
const MAX_PHOTOS = 6;

const results = {
  groups: [], // { name, files: [{ url, name, size, page }] }, latest first

  /** Adds files of a photo to the top of the list; files already there keep their place. */
  add(photo, files) {
    let group = this.groups.find((one) => one.photo === photo);
    if (!group) {
      group = { photo, files: [] };
      this.groups.unshift(group);
      this.groups.length = Math.min(this.groups.length, MAX_PHOTOS);
    }
    const known = new Set(group.files.map((file) => file.url));
    group.files.unshift(...files.filter((file) => !known.has(file.url)));
    this.draw();
    // The server keeps a few files of each kind: what is new may have taken the place of an old one.
    const here = new Set(files.map((file) => file.url));
    this.check(this.groups.flatMap((one) => one.files).filter((file) => !here.has(file.url)));
  },

  /** Takes files out of the list that the server has no more. Returns whether there are such. */
  async check(files) {
    const gone = new Set();
    const look = async (file) => {
      const answer = await fetch(file.url, { method: "HEAD" }).catch(() => null);
      if ([403, 404].includes(answer?.status)) gone.add(file);
    };
    await Promise.all(files.map(look));
    if (gone.size) {
      for (const group of this.groups) group.files = group.files.filter((file) => !gone.has(file));
      this.groups = this.groups.filter((group) => group.files.length);
      this.draw();
    }
    return gone.size > 0;
  },

  /** Says so, and takes the file out of the list, if the server has it no more. */
  async missing(file) {
    const gone = await this.check([file]);
    if (gone) say(await reason("This file is no longer here: make it again."));
    return gone;
  },

  draw() {
    $("results").hidden = !this.groups.length;
    $("files").replaceChildren(...this.groups.flatMap((group) => group.files.map((file) => this.row(file))));
  },

  row(file) {
    const ending = file.name.split(".").pop().toLowerCase();
    const [kind, purpose] = PURPOSES[ending] ?? ["File", ""];
    const row = make("li", {}, [
      make("span", { className: `kind ${ending}`, textContent: ending.toUpperCase(), ariaHidden: "true" }),
      make("span", { className: "what" }, [
        make("b", { textContent: kind }),
        make("span", { className: "for", textContent: purpose }),
        make("span", { className: "name", textContent: file.size ? `${file.name}, ${inBytes(file.size)}` : file.name }),
      ]),
    ]);
    const actions = make("span", { className: "actions" });
    if (file.page) {
      actions.append(this.button("Copy link", `Copy the link of ${file.name}`, () => copy(`${root}/${file.page}`, "Link copied. It works while this page is open.")));
      actions.append(this.button("Copy embed code", `Copy the embed code of ${file.name}`, () => copy(embedCode(file.name), "Code copied. Put it beside the file on your site.")));
    }
    if (navigator.canShare && ["mp4", "gif", "webp", "jpg", "png"].includes(ending)) {
      actions.append(this.button("Share", `Share ${file.name}`, () => share(file)));
    }
    const link = make("a", { href: file.url, download: file.name, className: "button", textContent: "Download", ariaLabel: `Download ${file.name}` });
    link.addEventListener("click", () => this.missing(file)); // beside the download, of which a page learns nothing
    actions.append(link);
    row.append(actions);
    return row;
  },

  button(text, label, action) {
    const button = make("button", { type: "button", textContent: text, ariaLabel: label });
    button.addEventListener("click", action);
    return button;
  },
};

function make(tag, properties, children = []) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function inBytes(size) {
  return size < 1e6 ? `${Math.max(1, Math.round(size / 1e3))} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

function embedCode(name) {
  const src = encodeURIComponent(name);
  return `<iframe src="${src}" title="A photo in 3D" width="720" height="480" style="border: 0" allow="fullscreen; accelerometer; gyroscope; xr-spatial-tracking"></iframe>`;
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    prompt("Copy this:", text); // pages without https may not write to the clipboard
  }
}

/** Shares a file. Fetching it may take longer than a browser remembers the tap; the second tap then has the file at hand. */
async function share(file) {
  if (!file.blob) {
    const answer = await fetch(file.url).catch(() => null);
    const blob = answer?.ok ? await answer.blob().catch(() => null) : null;
    if (!blob) return (await results.missing(file)) || say(LOST);
    file.blob = blob;
  }
  const files = [new File([file.blob], file.name, { type: file.blob.type })];
  if (!navigator.canShare({ files })) return say("This browser cannot share such files: download it instead.");
  await navigator.share({ files, title: file.name }).catch((error) => {
    if (error.name === "NotAllowedError") say("The file is ready: tap Share once more.");
  });
}

/** Says something for some milliseconds, to eyes and to screen readers. */
function say(text, duration = 4000) {
  $("said").textContent = text;
  $("said").classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => $("said").classList.remove("shown"), duration);
}
