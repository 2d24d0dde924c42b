// The page around the canvas: buttons, hint, progress bar, messages.

type Action = () => void | boolean | Promise<boolean>;
/** What each button does; a returned boolean says whether it is now on. null hides the button. */
type Actions = Record<"reset" | "depth" | "save", Action> & { tilt: Action | null };

const keys: Record<string, string> = { KeyR: "reset", Home: "reset", KeyZ: "depth", KeyP: "save", KeyF: "full" };

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
    const id = keys[event.code];
    if (id && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey) element(id).click();
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

/** Fills the window behind the canvas with a copy of the photo, which CSS blurs. */
export function paintBackdrop(photo: ImageBitmap) {
  const canvas = element("backdrop") as HTMLCanvasElement;
  canvas.getContext("2d")!.drawImage(photo, 0, 0, canvas.width, canvas.height);
}

/** Shows the fraction done, 0 to 1. */
export function showProgress(fraction: number) {
  element("progress").style.transform = `scaleX(${fraction})`;
}

export function hideHint() {
  element("hint").classList.add("gone");
}

export function fail(error: unknown) {
  const webgl = document.createElement("canvas").getContext("webgl2");
  const message = webgl ? String(error instanceof Error ? error.message : error) : "This browser offers no WebGL 2, which the scene needs.";
  element("message").textContent = message;
  document.body.classList.add("failed");
}
