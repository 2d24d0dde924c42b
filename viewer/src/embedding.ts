// Messages between the viewer in a frame and the page around it. Both ways they are objects with a `mine` field:
//
//   to the viewer    { mine: "scene", text, name, number }: shows a scene, in place of the one before; text is its JSON
//                    { mine: "clear" }: shows nothing, and frees the scene's memory
//                    { mine: "play", path, amount, seconds } | { mine: "stop" } | { mine: "reset" } | { mine: "depth", on }
//   from the viewer  { mine: "empty" } when its page holds no scene: it waits for one
//                    { mine: "ready" } | { mine: "failed", message } | { mine: "touched" }
//                    { mine: "depth", on, byHand }; byHand: by the viewer's button or key, not by a message
//                    { mine: "fast" } once a scene, when its first frames were not late; { mine: "slow" } once a scene,
//                    when frames in motion are coarse on this machine
//                    { mine: "files", files } when somebody drops or pastes files on the viewer that waits for scenes
//                    each with the `number` that came with the scene
import type { PlayOptions } from "./playback";

export interface Commands {
  open(text: string, name: string): void;
  clear(): void;
  play(path: string, options: PlayOptions): void;
  stop(): void;
  reset(): void;
  showDepth(on: boolean): void;
}

let number: unknown;

/** Obeys messages of the page around. */
export function listen(commands: Commands) {
  addEventListener("message", ({ source, data }: MessageEvent) => {
    if (source !== parent || parent === window || typeof data !== "object" || data === null) return;
    if (data.mine === "scene") {
      number = data.number;
      commands.open(String(data.text), String(data.name));
    }
    if (data.mine === "clear") commands.clear();
    if (data.mine === "play") commands.play(String(data.path), { amount: Number(data.amount ?? 1), seconds: Number(data.seconds ?? 3) });
    if (data.mine === "stop") commands.stop();
    if (data.mine === "reset") commands.reset();
    if (data.mine === "depth") commands.showDepth(Boolean(data.on));
  });
}

/** Whether there is a page around. */
export const framed = parent !== window;

/** Tells the page around, if there is one. */
export function tell(message: { mine: string } & Record<string, unknown>) {
  if (framed) parent.postMessage({ ...message, number }, "*");
}

/** Passes on files that are dropped or pasted here, where the page around cannot see them. */
export function passFilesOn() {
  const pass = (data: DataTransfer | null) => {
    const files = [...(data?.files ?? [])];
    if (files.length) tell({ mine: "files", files });
  };
  // Without this, the browser shows the file in place of the viewer.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    pass(event.dataTransfer);
  });
  addEventListener("paste", (event) => pass(event.clipboardData));
}
