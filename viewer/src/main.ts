// The viewer: decodes the scene, renders frames while something moves, and offers `window.mineViewer` to scripts.
import "./style.css";
import { ViewerCamera, type View } from "./camera";
import { Controls } from "./controls";
import { decodeScene } from "./decode_planes";
import { listen, tell } from "./embedding";
import type { Matrix3, Pose } from "./matrix";
import { Playback, type PlayOptions } from "./playback";
import { createRenderer, SceneRenderer, type State } from "./renderer";
import { offersXr, XrWindow } from "./xr";
import { buttons, element, fail, hideHint, hideWhenIdle, paintBackdrop, showHint, showProgress, showRange } from "./ui";

/** The interface for scripts and tests. */
export interface MineViewer {
  /** settles when the scene is on the screen; rejects when it cannot be shown */
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

/** Rate (1/s) of the fade between colours and depth. */
const DEPTH_FADE = 4;
/** Milliseconds at rest after which the picture is drawn once more, as sharp as the screen. */
const SHARPEN = 600;
/** Frames at the start that are as coarse as in motion: they are there soon, and tell how long a frame takes. */
const EARLY = 3;
/** Seconds of motion before the first input on a machine too slow for it: then the picture rests, and is sharp. */
const SLOW_SWAY = 8;

async function start(api: Partial<MineViewer>) {
  const canvas = element("view") as HTMLCanvasElement;
  const renderer = createRenderer(canvas);
  canvas.addEventListener("webglcontextlost", () => fail("The graphics were interrupted. They come back by themselves, or after a reload."));
  canvas.addEventListener("webglcontextrestored", () => location.reload());
  const headset = offersXr();
  const scene = await decodeScene(renderer, showProgress);
  const camera = new ViewerCamera(scene);
  const playback = new Playback(camera);
  const sceneRenderer = new SceneRenderer(renderer, scene);

  let fixed: { T: Pose; K?: Matrix3 } | null = null;
  let swaying: number | null = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : 0;
  let depth = false;
  let last = 0;
  let pending = 0;
  let settled = true;
  let early = EARLY;
  let toldSlow = false;
  let sharpening = 0;

  const currentView = (state: State) => {
    const frame = camera.frame(innerWidth, innerHeight);
    const { width, height } = sceneRenderer.size(frame, state);
    const own = playback.view(frame, width, height) ?? camera.view(frame, width, height);
    return { T: fixed?.T ?? own.T, K: fixed?.K ?? own.K, width, height, frame };
  };
  const render = (state: State) => {
    const view = currentView(state);
    sceneRenderer.fit(view.frame, view.width, view.height);
    sceneRenderer.render(view, null, state === "sharp" || state === "exact");
  };
  const wake = () => (pending ||= requestAnimationFrame(tick));
  const takeOver = () => {
    fixed = null;
    swaying = null;
    playback.stop();
    wake();
  };
  const touched = () => {
    takeOver();
    hideHint();
    tell({ mine: "touched" });
  };
  const controls = new Controls(canvas, camera, touched);

  function tick(now: number) {
    pending = 0;
    if (xrWindow.active) return;
    // A frame's time stamp may lie before the call that rendered the first one.
    const elapsed = Math.max(now - last, 0);
    const seconds = Math.min(elapsed / 1000, 0.1);
    // The first frame compiles shaders: it does not tell how long the next ones take.
    if (!settled && early < EARLY - 1) sceneRenderer.adaptResolution(elapsed);
    if (sceneRenderer.slow && !toldSlow) {
      toldSlow = true;
      tell({ mine: "slow" });
    }
    last = now;
    const opacity = sceneRenderer.depthOpacity;
    const fade = DEPTH_FADE * seconds;
    sceneRenderer.depthOpacity = depth ? Math.min(1, opacity + fade) : Math.max(0, opacity - fade);
    showRange(sceneRenderer.depthOpacity);
    if (swaying !== null) {
      swaying += seconds;
      camera.set(sway(swaying));
      if (sceneRenderer.slow && swaying > SLOW_SWAY) {
        swaying = null;
        camera.reset();
      }
    }
    // A path keeps its time on slow machines too.
    playback.step(Math.min(elapsed / 1000, 0.5));
    const held = controls.step(seconds);
    const changes = [early > 0, held, camera.follow(seconds), opacity !== sceneRenderer.depthOpacity, swaying !== null, playback.playing];
    const moving = changes.includes(true);
    if (--early === 0 && !sceneRenderer.slow) tell({ mine: "fast" });
    render(moving ? "moving" : "resting");
    settled = !moving;
    clearTimeout(sharpening);
    if (moving) wake();
    else sharpening = setTimeout(() => pending || fixed || xrWindow.active || render("sharp"), SHARPEN);
  }

  const xrWindow = new XrWindow(renderer, camera, scene, sceneRenderer);
  const leaveHeadset = () => {
    element("xr").setAttribute("aria-pressed", "false");
    wake();
  };
  const reset = () => {
    takeOver();
    camera.reset();
  };
  const showDepth = (on: boolean) => {
    depth = on;
    element("depth").setAttribute("aria-pressed", String(on));
    tell({ mine: "depth", on });
    wake();
  };
  const play = (path: string, options: PlayOptions = {}) => {
    const known = playback.play(path, options);
    if (known) {
      fixed = null;
      swaying = null;
      hideHint();
      wake();
    }
    return known;
  };
  buttons({
    reset: () => {
      touched();
      camera.reset();
    },
    depth: () => {
      showDepth(!depth);
      return depth;
    },
    tilt: Controls.canTilt ? () => controls.toggleTilt() : null,
    xr: (await headset) ? () => xrWindow.toggle(leaveHeadset) : null,
    save: () => {
      render("exact");
      canvas.toBlob((blob) => blob && download(blob), "image/png");
    },
  });
  hideWhenIdle();
  listen({ play, stop: reset, reset, showDepth });
  addEventListener("resize", wake);

  api.setPose = (T, K) => {
    touched();
    fixed = { T, K };
    camera.reset();
    camera.follow(Infinity);
    render("exact");
  };
  api.play = play;
  api.stop = reset;
  api.view = () => {
    const { T, K, width, height } = currentView("exact");
    return { T, K, width, height };
  };
  api.windowView = (eye, distance, width, height) => camera.windowView(eye, distance, width, height);
  api.readPixels = () => {
    render("exact");
    return sceneRenderer.read();
  };
  api.showDepth = (on) => {
    showDepth(on);
    sceneRenderer.depthOpacity = on ? 1 : 0;
    showRange(sceneRenderer.depthOpacity);
  };
  tick(performance.now());
  paintBackdrop(canvas);
  document.body.classList.add("ready");
  showHint();
  tell({ mine: "ready" });
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

if (location.hash === "#bare") document.body.classList.add("bare");
const api: Partial<MineViewer> = {};
api.ready = start(api);
api.ready.catch(fail);
window.mineViewer = api as MineViewer;
