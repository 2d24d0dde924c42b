// The stage: one large area that shows the scene in 3D, its video, its depth, or photo beside depth; and what it waits
// for, or what went wrong, in the same place.

const $ = (id) => document.getElementById(id);
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
const TABS = ["3d", "video", "depth", "compare"];

/** Fills the stage beside the photo with the photo, blurred: by few pixels, for a filter is computed in every frame. */
function paintBackdrop(photo) {
  const few = Object.assign(document.createElement("canvas"), { width: 12, height: 8 });
  for (const [from, to] of [[photo, few], [few, $("backdrop")]]) {
    const context = to.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(from, 0, 0, to.width, to.height);
  }
}

const stage = {
  tab: "3d",
  scene: null, // { name, photo, packed, depth, video }
  frame: null, // the viewer: it is loaded once, and sent one scene after another
  listening: false, // whether it is there
  packed: null, // the message that it shows the scene by
  number: 0,
  ready: false,
  slow: false,
  revealed: false,
  broken: null, // why the viewer shows no scene at all
  settle: () => {},

  /** Shows another scene. Resolves when its 3D view has drawn its first frames, or has failed. */
  show(scene) {
    this.forget();
    const settled = new Promise((resolve) => (this.settle = resolve));
    this.scene = scene;
    this.fail(null);
    this.still(scene.photo);
    this.hero(scene.video);
    this.frame.title = `${scene.name} in 3D: drag it to look around`;
    this.send(scene);
    this.film(scene.video);
    if (scene.depth) $("compare-depth").src = scene.depth;
    $("compare-photo").src = scene.photo;
    this.open("3d");
    if (this.broken) this.settle();
    return settled;
  },

  /** Clears the stage for a photo that is to come. */
  leave() {
    this.forget();
    this.hero(null);
    this.film(null);
    this.open("3d");
  },

  /** Takes the scene out of the viewer. */
  forget() {
    this.settle();
    this.scene = this.packed = null;
    this.ready = this.slow = this.revealed = false;
    this.number++;
    delete $("viewer").dataset.ready;
    this.post({ mine: "clear" });
  },

  /** Sends a scene to the viewer, which may reach no server itself. */
  async send({ name, packed }) {
    const number = this.number;
    const answer = await fetch(packed).catch(() => null);
    const text = answer?.ok ? await answer.text().catch(() => null) : null; // the connection may be lost half-way
    if (number !== this.number) return;
    if (text === null) {
      this.settle();
      return this.fail(answer && !answer.ok ? "This scene is no longer here: bring the photo again." : "The connection was lost. Try again.");
    }
    this.packed = { mine: "scene", text, name, number };
    this.post(this.packed);
  },

  /** Opens a tab. */
  open(tab) {
    this.tab = tab;
    for (const name of TABS) {
      const button = $(`tab-${name}`), chosen = name === tab;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    $("stage").setAttribute("aria-labelledby", `tab-${tab}`);
    $("stage").dataset.tab = tab;
    const film = $("video").firstElementChild, has = Boolean(film.src);
    $("video").hidden = tab !== "video" || !has;
    $("no-video").hidden = tab !== "video" || has;
    if (this.broken) this.fail(null); // the other tabs need no viewer
    $("compare").hidden = tab !== "compare";
    $("viewer").hidden = tab !== "3d" && tab !== "depth";
    if (tab === "video" && has) film.play().catch(() => {});
    else film.pause();
    if (tab === "depth") this.reveal();
    this.place();
    this.tell({ mine: "depth", on: tab === "depth" });
  },

  /** The photo, until the scene is there. The stage takes its shape, within limits, so that the whole photo fills it. */
  still(photo) {
    const still = $("still"), { style } = $("stage");
    still.onload = () => {
      style.setProperty("--aspect", String(still.naturalWidth / still.naturalHeight));
      paintBackdrop(still);
    };
    still.onerror = () => (still.hidden = true); // no photo, or one that browsers do not show
    still.hidden = false;
    still.src = photo;
  },

  /** A moving picture of the scene, until the scene itself is there: from the first moment, and on slow machines. */
  hero(video) {
    const hero = $("hero");
    hero.hidden = !video || reduced;
    if (hero.hidden) return hero.removeAttribute("src");
    hero.src = video;
    hero.play().catch(() => (hero.hidden = true));
  },

  film(video) {
    const film = $("video").firstElementChild;
    if (video) film.src = video;
    else film.removeAttribute("src");
    film.load();
  },

  post(message) {
    if (this.listening) this.frame.contentWindow.postMessage(message, "*");
  },

  tell(message) {
    if (this.ready) this.post(message);
  },

  /** What the viewer tells. */
  hear({ source, data }) {
    if (source !== this.frame.contentWindow) return;
    if (data.mine === "empty") {
      this.listening = true;
      this.broken = null;
      if (this.packed) this.post(this.packed); // it came before the viewer, or the viewer was loaded anew
    }
    if (data.mine === "files" && data.files?.[0] instanceof File) bring(data.files[0]); // dropped or pasted on the viewer
    if (data.mine === "failed" && data.number === undefined) {
      this.broken = data.message; // before any scene, as browsers without WebGL 2 do: no later one will be shown either
      this.settle();
      this.fail(null);
    }
    if (data.number !== this.number) return; // of a scene that was here before
    // Fast and slow tell how long the first frames took: until then, work for anything else would delay them.
    if (["fast", "slow", "failed"].includes(data.mine)) this.settle();
    if (data.mine === "ready") {
      this.ready = true;
      this.fail(null); // the graphics may have been interrupted
      this.tell({ mine: "depth", on: this.tab === "depth" });
      $("viewer").dataset.ready = this.scene.name;
      motions.restart();
      // A slow machine keeps the moving picture, where there is one, until somebody takes hold of the scene.
      if ($("hero").hidden) this.reveal();
    }
    if (data.mine === "fast") this.reveal();
    if (data.mine === "slow") {
      this.slow = true;
      if (!$("hero").hidden && !this.revealed) this.tell({ mine: "stop" });
    }
    if (data.mine === "touched") {
      this.reveal();
      motions.paused();
    }
    if (data.mine === "failed") this.fail(data.message);
  },

  /** Shows the 3D view in place of the pictures that stood for it. */
  reveal() {
    this.revealed = true;
    this.place();
  },

  place() {
    const shown = this.revealed && this.ready;
    $("viewer").classList.toggle("shown", shown);
    const covered = shown || this.tab === "compare" || (this.tab === "video" && !$("video").hidden);
    if (covered) $("hero").pause();
    else if (!$("hero").hidden) $("hero").play().catch(() => {});
  },

  /** Says what is being done: { fraction, text }, or null when nothing is. */
  wait(progress) {
    const box = $("waiting");
    box.hidden = progress === null;
    $("stage").classList.toggle("busy", progress !== null);
    const told = progress !== null || !$("problem").hidden;
    $("no-video").hidden = told || this.tab !== "video" || Boolean($("video").firstElementChild.src);
    if (progress === null) return;
    const [, step, left] = /^(.*?)(?: \((.*)\))?$/.exec(progress.text ?? "");
    box.querySelector(".step").textContent = step;
    box.querySelector(".left").textContent = left ?? "";
    box.querySelector(".bar i").style.transform = `scaleX(${progress.fraction ?? 0})`;
  },

  /** Says what went wrong, until the next photo or scene; null: nothing did, but for a viewer that shows no scene at all. */
  fail(text) {
    const told = text ?? (this.tab === "3d" || this.tab === "depth" ? this.broken : null);
    $("problem").hidden = told === null;
    if (told !== null) $("problem").querySelector("p").textContent = told;
  },

  start() {
    addEventListener("message", (event) => event.data && this.hear(event));
    this.frame = Object.assign(document.createElement("iframe"), {
      title: "3D view",
      sandbox: "allow-scripts allow-downloads",
      allow: "fullscreen; accelerometer; gyroscope; xr-spatial-tracking",
      src: `${root}/scene/viewer.html`,
    });
    $("viewer").append(this.frame);
    for (const name of TABS) $(`tab-${name}`).addEventListener("click", () => this.open(name));
    document.querySelector("#studio .tabs").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = TABS[(TABS.indexOf(this.tab) + step + TABS.length) % TABS.length];
      this.open(next);
      $(`tab-${next}`).focus();
    });
    const slider = $("compare").querySelector("input");
    slider.addEventListener("input", () => $("compare").style.setProperty("--at", `${slider.value}%`));
  },
};
