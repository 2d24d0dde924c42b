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
  missing: null, // why it does not show this one: its data did not come, or the graphics were lost
  problem: null, // what went wrong with what was asked for last
  waiting: false, // whether something is being done
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
    this.compare(scene);
    this.open("3d");
    if (this.broken) this.settle();
    return settled;
  },

  /** Clears the stage for a photo that is to come. */
  leave() {
    this.forget();
    this.hero(null);
    this.film(null);
    this.compare({});
    this.open("3d");
  },

  /** Takes the scene out of the viewer. */
  forget() {
    this.settle();
    this.scene = this.packed = this.missing = null;
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
      const told = await reason(answer && !answer.ok ? "This scene is no longer here: bring the photo again." : LOST);
      if (number !== this.number) return;
      this.missing = told;
      return this.draw();
    }
    this.packed = { mine: "scene", text, name, number };
    this.post(this.packed);
  },

  /** Opens a tab. What went wrong makes way for the scene that is there. */
  open(tab) {
    this.tab = tab;
    if (this.scene) this.problem = null;
    for (const name of TABS) {
      const button = $(`tab-${name}`), chosen = name === tab;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    $("stage").setAttribute("aria-labelledby", `tab-${tab}`);
    $("stage").dataset.tab = tab;
    this.draw();
    this.roll();
    if (tab === "depth") this.reveal();
    this.place();
    this.tell({ mine: "depth", on: tab === "depth" });
  },

  /** Opens the scene in 3D, unless it is there in depth. */
  look() {
    this.open(this.tab === "depth" ? "depth" : "3d");
  },

  /** Shows and hides what belongs to the tab, to what is waited for, and to what went wrong. */
  draw() {
    const { tab, waiting } = this, live = tab === "3d" || tab === "depth", film = Boolean($("video").firstElementChild.src);
    const told = this.problem ?? (live ? this.broken ?? this.missing : null); // the other tabs need no viewer
    $("viewer").hidden = !live;
    $("video").hidden = tab !== "video" || !film;
    $("compare").hidden = tab !== "compare" || !this.scene;
    $("no-video").hidden = tab !== "video" || film || waiting || told !== null;
    $("waiting").hidden = !waiting;
    $("stage").classList.toggle("busy", waiting);
    $("problem").hidden = told === null;
    if (told !== null) $("problem").querySelector("p").textContent = told;
    $("back").hidden = !this.scene || this.problem === null;
  },

  /** Plays the video where it is to be seen. */
  roll() {
    const film = $("video").firstElementChild;
    if (this.tab === "video" && film.src && !this.waiting) film.play().catch(() => {});
    else film.pause();
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

  /** The photo and its depth, side by side; without them nothing is left of those before. */
  compare({ photo, depth }) {
    for (const [id, picture] of [["compare-photo", photo], ["compare-depth", depth]]) {
      if (picture) $(id).src = picture;
      else $(id).removeAttribute("src");
    }
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
      this.draw();
    }
    if (data.number !== this.number) return; // of a scene that was here before
    // Fast and slow tell how long the first frames took: until then, work for anything else would delay them.
    if (["fast", "slow", "failed"].includes(data.mine)) this.settle();
    if (data.mine === "ready") {
      this.ready = true;
      this.missing = null; // the graphics may have been interrupted
      this.draw();
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
    if (data.mine === "depth" && data.byHand) this.open(data.on ? "depth" : "3d"); // the viewer has a button for it
    if (data.mine === "failed") {
      this.missing = data.message;
      this.draw();
    }
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
    const box = $("waiting"), before = this.waiting;
    this.waiting = progress !== null;
    this.draw();
    if (this.waiting !== before) this.roll();
    if (progress === null) return;
    const [, step, left] = /^(.*?)(?: \((.*)\))?$/.exec(progress.text ?? "");
    box.querySelector(".step").textContent = step;
    box.querySelector(".left").textContent = left ?? "";
    box.querySelector(".bar i").style.transform = `scaleX(${progress.fraction ?? 0})`;
  },

  /** Says what went wrong: until the next photo or job, or until somebody turns to the scene that is there; null: nothing did. */
  fail(text) {
    this.problem = text;
    this.draw();
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
    $("back").addEventListener("click", () => {
      this.look();
      $(`tab-${this.tab}`).focus(); // the button is gone
    });
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
