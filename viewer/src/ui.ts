// The page around the canvas: buttons, hint, progress bar, messages.
import { tell } from "./embedding";
import { isShortcut, keyName } from "./keys";

type Action = () => void | boolean | Promise<boolean>;
/** What each button does; a returned boolean says whether it is now on. null hides the button. */
type Actions = Record<"reset" | "depth" | "save", Action> & { tilt: Action | null; xr: Action | null };

const keys: Record<string, string> = { r: "reset", Home: "reset", z: "depth", p: "save", f: "full" };

export function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

export function buttons(actions: Actions) {
  const all: Record<string, Action | null> = { ...actions, full: document.fullscreenEnabled ? toggleFullScreen : null };
  for (const [id, action] of Object.entries(all)) {
    const button = element(id);
    button.hidden = action === null;
    button.addEventListener("click", async () => {
      const on = await action?.();
      if (typeof on === "boolean") button.setAttribute("aria-pressed", String(on));
    });
  }
  addEventListener("keydown", (event) => {
    const id = keys[keyName(event)];
    if (id && !event.repeat && !isShortcut(event)) element(id).click();
  });
  document.addEventListener("fullscreenchange", () => {
    element("full").setAttribute("aria-pressed", String(document.fullscreenElement !== null));
  });
}

async function toggleFullScreen(): Promise<boolean> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen();
  return document.fullscreenElement !== null;
}

/** Fills the window behind the canvas with what it shows, blurred: by few pixels, for a filter is computed in every frame. */
export function paintBackdrop(photo: HTMLCanvasElement) {
  const canvas = element("backdrop") as HTMLCanvasElement;
  const few = Object.assign(document.createElement("canvas"), { width: 12, height: 8 });
  for (const [from, to] of [[photo, few], [few, canvas]] as const) {
    const context = to.getContext("2d")!;
    context.imageSmoothingQuality = "high";
    context.drawImage(from, 0, 0, to.width, to.height);
  }
}

/** Shows the fraction done, 0 to 1. */
export function showProgress(fraction: number) {
  element("progress").style.transform = `scaleX(${fraction})`;
}

/** Seconds that the hint is shown, unless the user moves the scene earlier. */
const HINT = 6;
/** Seconds without input after which the toolbar hides. */
const IDLE = 3;
/** Seconds that a tap takes at most. */
const TAP = 0.6;

export function showHint() {
  setTimeout(hideHint, 1000 * HINT);
}

export function hideHint() {
  element("hint").classList.add("gone");
}

/** Hides the toolbar while nothing points at the page; whatever moves, touches or takes the focus shows it again. */
export function hideWhenIdle() {
  let timer = 0;
  const show = () => {
    document.body.classList.remove("idle");
    clearTimeout(timer);
    timer = setTimeout(() => document.body.classList.add("idle"), 1000 * IDLE);
  };
  // The click of a tap goes to what is there when the finger leaves: the toolbar is to show by it, and not to take it.
  addEventListener("pointerdown", ({ pointerType }) => {
    if (pointerType === "mouse" || !document.body.classList.contains("idle")) return;
    document.body.classList.add("waking");
    setTimeout(() => document.body.classList.remove("waking"), 1000 * TAP);
  });
  for (const type of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(type, show);
  show();
}

/** Shows which colours are near and far, as far as depth is shown: `opacity` from 0 to 1. */
export function showRange(opacity: number) {
  element("range").style.opacity = String(opacity);
}

/** Takes away what `fail` told. */
export function clearMessage() {
  document.body.classList.remove("failed");
  element("message").textContent = "";
}

export function fail(error: unknown) {
  const webgl = document.createElement("canvas").getContext("webgl2");
  const message = webgl ? String(error instanceof Error ? error.message : error) : "This browser offers no WebGL 2, which the scene needs.";
  element("message").textContent = message;
  document.body.classList.add("failed");
  tell({ mine: "failed", message });
}
