// Messages between the viewer in a frame and the page around it. Both ways they are objects with a `mine` field:
//
//   to the viewer    { mine: "play", path, amount, seconds } | { mine: "stop" } | { mine: "reset" } | { mine: "depth", on }
//   from the viewer  { mine: "ready" } | { mine: "failed", message } | { mine: "touched" } | { mine: "depth", on }
//                    { mine: "fast" } once, when the first frames were not; { mine: "slow" } once, when frames in motion
//                    are coarse on this machine
import type { PlayOptions } from "./playback";

export interface Commands {
  play(path: string, options: PlayOptions): void;
  stop(): void;
  reset(): void;
  showDepth(on: boolean): void;
}

/** Obeys messages of the page around. */
export function listen(commands: Commands) {
  addEventListener("message", ({ source, data }: MessageEvent) => {
    if (source !== parent || parent === window || typeof data !== "object" || data === null) return;
    if (data.mine === "play") commands.play(String(data.path), { amount: Number(data.amount ?? 1), seconds: Number(data.seconds ?? 3) });
    if (data.mine === "stop") commands.stop();
    if (data.mine === "reset") commands.reset();
    if (data.mine === "depth") commands.showDepth(Boolean(data.on));
  });
}

/** Tells the page around, if there is one. */
export function tell(message: { mine: string } & Record<string, unknown>) {
  if (parent !== window) parent.postMessage(message, "*");
}
