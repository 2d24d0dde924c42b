// The viewer: loads the scene, runs the frames and offers `window.mineViewer`.
import "./style.css";
import { ViewerCamera, type View } from "./camera";
import { Controls } from "./controls";
import type { Matrix3, Pose } from "./matrix";
import { createRenderer, SceneRenderer } from "./renderer";
import { load } from "./scene";
import { buttons, element, fail, hideHint, paintBackdrop, showProgress } from "./ui";

/** For scripts and tests. */
export interface MineViewer {
  /** settles when the scene is on the screen; rejects when it cannot be shown */
  ready: Promise<void>;
  /**
   * Shows the view from a target-from-source pose (16 numbers, row-major) and holds still until the next touch.
   * K: target intrinsics (9 numbers, row-major) in canvas pixels; by default those of the view at rest.
   */
  setPose(T: Pose, K?: Matrix3): void;
  /** the pose and intrinsics on the screen, and the canvas size they are for */
  view(): View & { width: number; height: number };
  /** draws once more at full resolution and returns RGBA bytes, top row first */
  readPixels(): { width: number; height: number; data: Uint8Array };
  /** switches between colours and depth */
  showDepth(on: boolean): void;
}

declare global {
  interface Window {
    mineViewer: MineViewer;
  }
}

const DEPTH_FADE = 4; // per second

async function start(api: Partial<MineViewer>) {
  const canvas = element("view") as HTMLCanvasElement;
  const renderer = createRenderer(canvas);
  const scene = await load(renderer, showProgress);
  paintBackdrop(scene.picture);
  const camera = new ViewerCamera(scene);
  const painter = new SceneRenderer(renderer, scene);

  let fixed: { T: Pose; K?: Matrix3 } | null = null;
  let idleSince: number | null = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : performance.now();
  let depth = false;
  let last = 0;
  let pending = 0;
  let settled = true;

  const currentView = (state: "moving" | "resting" | "exact") => {
    const frame = camera.frame(innerWidth, innerHeight);
    const { width, height } = painter.fit(frame, state);
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
    // A frame's time stamp may lie before the call that drew the first one.
    const seconds = Math.min(Math.max(now - last, 0) / 1000, 0.1);
    if (!settled) painter.pace(now - last);
    last = now;
    const share = painter.depthShare;
    painter.depthShare = depth ? Math.min(1, share + DEPTH_FADE * seconds) : Math.max(0, share - DEPTH_FADE * seconds);
    if (idleSince !== null) camera.set(sway((now - idleSince) / 1000));
    const held = controls.step(seconds);
    const moving = [held, camera.follow(seconds), share !== painter.depthShare, idleSince !== null].includes(true);
    painter.draw(currentView(moving ? "moving" : "resting"));
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
      painter.draw(currentView("exact"));
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
    painter.draw(currentView("exact"));
  };
  api.view = () => currentView("exact");
  api.readPixels = () => {
    painter.draw(currentView("exact"));
    return painter.read();
  };
  api.showDepth = (on) => {
    depth = on;
    painter.depthShare = on ? 1 : 0;
    wake();
  };
  tick(performance.now());
  document.body.classList.add("ready");
}

/** The gentle motion before the first touch: a slow ellipse, `seconds` after its start. */
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
