// The viewer: decodes the scene, renders frames while something moves, and offers `window.mineViewer` to scripts.
import "./style.css";
import { ViewerCamera, type View } from "./camera";
import { Controls } from "./controls";
import { decodeScene } from "./decode_planes";
import type { Matrix3, Pose } from "./matrix";
import { createRenderer, SceneRenderer } from "./renderer";
import { buttons, element, fail, hideHint, paintBackdrop, showProgress } from "./ui";

/** The interface for scripts and tests. */
export interface MineViewer {
  /** settles when the scene is on the screen; rejects when it cannot be shown */
  ready: Promise<void>;
  /**
   * Shows the view of a target-from-source pose (16 numbers, row-major) until the next input by the user.
   * K: target intrinsics (9 numbers, row-major) in canvas pixels; by default those of the view at rest.
   */
  setPose(T: Pose, K?: Matrix3): void;
  /** the pose and intrinsics on the screen, and the canvas size in pixels that they are for */
  view(): View & { width: number; height: number };
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

/** Rate (1/s) of the fade between colours and depth. */
const DEPTH_FADE = 4;

async function start(api: Partial<MineViewer>) {
  const canvas = element("view") as HTMLCanvasElement;
  const renderer = createRenderer(canvas);
  const scene = await decodeScene(renderer, showProgress);
  paintBackdrop(scene.photo);
  const camera = new ViewerCamera(scene);
  const sceneRenderer = new SceneRenderer(renderer, scene);

  let fixed: { T: Pose; K?: Matrix3 } | null = null;
  let idleSince: number | null = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : performance.now();
  let depth = false;
  let last = 0;
  let pending = 0;
  let settled = true;

  const currentView = (state: "moving" | "resting" | "exact") => {
    const frame = camera.frame(innerWidth, innerHeight);
    const { width, height } = sceneRenderer.fit(frame, state);
    const own = camera.view(frame, width, height);
    return { T: fixed?.T ?? own.T, K: fixed?.K ?? own.K, width, height };
  };
  const wake = () => (pending ||= requestAnimationFrame(tick));
  const touched = () => {
    fixed = null;
    idleSince = null;
    hideHint();
    wake();
  };
  const controls = new Controls(canvas, camera, touched);

  function tick(now: number) {
    pending = 0;
    // A frame's time stamp may lie before the call that rendered the first one.
    const seconds = Math.min(Math.max(now - last, 0) / 1000, 0.1);
    if (!settled) sceneRenderer.adaptResolution(now - last);
    last = now;
    const opacity = sceneRenderer.depthOpacity;
    const fade = DEPTH_FADE * seconds;
    sceneRenderer.depthOpacity = depth ? Math.min(1, opacity + fade) : Math.max(0, opacity - fade);
    if (idleSince !== null) camera.set(sway((now - idleSince) / 1000));
    const held = controls.step(seconds);
    const moving = [held, camera.follow(seconds), opacity !== sceneRenderer.depthOpacity, idleSince !== null].includes(true);
    sceneRenderer.render(currentView(moving ? "moving" : "resting"));
    settled = !moving;
    if (moving) wake();
  }

  buttons({
    reset: () => {
      touched();
      camera.reset();
    },
    depth: () => {
      depth = !depth;
      wake();
      return depth;
    },
    tilt: Controls.canTilt ? () => controls.toggleTilt() : null,
    save: () => {
      sceneRenderer.render(currentView("exact"));
      canvas.toBlob((blob) => blob && download(blob), "image/png");
    },
  });
  addEventListener("resize", wake);
  canvas.addEventListener("webglcontextrestored", () => location.reload());

  api.setPose = (T, K) => {
    touched();
    fixed = { T, K };
    camera.reset();
    camera.follow(Infinity);
    sceneRenderer.render(currentView("exact"));
  };
  api.view = () => currentView("exact");
  api.readPixels = () => {
    sceneRenderer.render(currentView("exact"));
    return sceneRenderer.read();
  };
  api.showDepth = (on) => {
    depth = on;
    sceneRenderer.depthOpacity = on ? 1 : 0;
    wake();
  };
  tick(performance.now());
  document.body.classList.add("ready");
}

/** The idle motion before the first input: position on a slow ellipse, `seconds` after its start. */
function sway(seconds: number) {
  const angle = (2 * Math.PI * seconds) / 8;
  const grown = Math.min(1, seconds / 2);
  return { x: 0.6 * grown * Math.sin(angle), y: 0.2 * grown * Math.cos(angle), z: 0.15 * grown * Math.sin(angle / 2) };
}

function download(blob: Blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${document.title}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const api: Partial<MineViewer> = {};
api.ready = start(api);
api.ready.catch(fail);
window.mineViewer = api as MineViewer;
