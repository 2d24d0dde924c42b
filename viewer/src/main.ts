// The viewer's page: shows the scene that it holds, or those that the page around sends, and offers `window.mineViewer` to
// scripts.
import "./style.css";
import type { View } from "./camera";
import { Controls } from "./controls";
import { framed, listen, passFilesOn, tell } from "./embedding";
import { LiveView } from "./live_view";
import type { Matrix3, Pose } from "./matrix";
import type { PlayOptions } from "./playback";
import { createRenderer } from "./renderer";
import { buttons, element, fail, hideWhenIdle } from "./ui";
import { offersXr } from "./xr";

/** The interface for scripts and tests. */
export interface MineViewer {
  /** settles when the page's own scene is on the screen, or the first that the page around sends; rejects when its own cannot be shown */
  ready: Promise<void>;
  /**
   * Shows the view of a target-from-source pose (16 numbers, row-major) until the next input by the user.
   * K: target intrinsics (9 numbers, row-major) in canvas pixels; by default those of the view at rest.
   */
  setPose(T: Pose, K?: Matrix3): void;
  /** plays a camera path by its name, until the next input by the user; false when there is no such path */
  play(path: string, options?: PlayOptions): boolean;
  /** stops the path that plays, or the motion before the first input, and goes back to the view at rest */
  stop(): void;
  /** the pose and intrinsics on the screen, and the size in pixels of a full-resolution canvas that they are for */
  view(): View & { width: number; height: number };
  /** the view of an eye at (right, up, backward) metres through the photo as a window `distance` metres ahead */
  windowView(eye: [number, number, number], distance: number, width: number, height: number): View;
  /** renders at full resolution and returns RGBA bytes, top row first */
  readPixels(): { width: number; height: number; data: Uint8Array };
  /** switches between colours and depth */
  showDepth(on: boolean): void;
}

declare global {
  interface Window {
    mineViewer: MineViewer;
  }
}

async function start(api: Partial<MineViewer>) {
  const canvas = element("view") as HTMLCanvasElement;
  const renderer = createRenderer(canvas);
  canvas.addEventListener("webglcontextlost", () => fail("The graphics were interrupted. They come back by themselves, or after a reload."));
  canvas.addEventListener("webglcontextrestored", () => location.reload());
  const view = new LiveView(canvas, renderer);
  offer(api, view);
  hideWhenIdle();
  const own = element("scene").textContent!.trim();
  if (!own && !framed) throw new Error("This page holds no scene: make one with mine export.");
  const sent = new Promise<void>((resolve) => {
    listen({
      open: (text, name) => void view.open(text, name).then(resolve, fail),
      clear: () => view.clear(),
      play: (path, options) => view.play(path, options),
      stop: () => view.reset(),
      reset: () => view.reset(),
      showDepth: (on) => view.showDepth(on),
    });
  });
  if (!own) {
    passFilesOn();
    tell({ mine: "empty" });
  }
  await Promise.all([own ? view.open(own, document.title) : sent, addButtons(view, canvas)]);
}

function offer(api: Partial<MineViewer>, view: LiveView) {
  api.setPose = (T, K) => view.setPose(T, K);
  api.play = (path, options) => view.play(path, options);
  api.stop = () => view.reset();
  api.view = () => {
    const { T, K, width, height } = view.view("exact")!;
    return { T, K, width, height };
  };
  api.windowView = (...how) => view.windowView(...how)!;
  api.readPixels = () => view.readPixels();
  api.showDepth = (on) => void view.showDepth(on, true);
}

async function addButtons(view: LiveView, canvas: HTMLCanvasElement) {
  const headset = await offersXr();
  buttons({
    reset: () => {
      view.touched();
      view.reset();
    },
    depth: () => view.toggleDepth(),
    tilt: Controls.canTilt ? () => view.controls.toggleTilt() : null,
    xr: headset ? () => view.toggleHeadset() : null,
    save: () => {
      view.render("exact");
      canvas.toBlob((blob) => blob && download(blob), "image/png");
    },
  });
}

function download(blob: Blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${document.title}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

if (location.hash === "#bare") document.body.classList.add("bare");
const api: Partial<MineViewer> = {};
api.ready = start(api);
api.ready.catch(fail);
window.mineViewer = api as MineViewer;
