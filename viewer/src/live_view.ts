// The view on the screen: one scene at a time, and frames while something moves.
import type { WebGLRenderer } from "three";
import { ViewerCamera, type View } from "./camera";
import { Controls } from "./controls";
import { decodeScene, dispose, type Scene } from "./decode_planes";
import { tell } from "./embedding";
import { areNumbers, type Matrix3, type Pose } from "./matrix";
import { Playback, type PlayOptions } from "./playback";
import { SceneRenderer, type State } from "./renderer";
import { clearMessage, element, hideHint, paintBackdrop, showHint, showProgress, showRange } from "./ui";
import { XrWindow } from "./xr";

/** Rate (1/s) of the fade between colours and depth. */
const DEPTH_FADE = 4;
/** Milliseconds at rest after which the picture is drawn once more, as sharp as the screen. */
const SHARPEN = 600;
/** Frames at the start that are as coarse as in motion: they are there soon, and tell how long a frame takes. */
const EARLY = 3;
/** Seconds of motion before the first input on a machine too slow for it: then the picture rests, and is sharp. */
const SLOW_SWAY = 8;

/** A scene on the screen. */
interface Shown {
  scene: Scene;
  camera: ViewerCamera;
  playback: Playback;
}

export class LiveView {
  readonly controls: Controls;
  private readonly sceneRenderer: SceneRenderer;
  private readonly xr: XrWindow;
  private shown: Shown | null = null;
  private opening = new AbortController();
  private fixed: { T: Pose; K?: Matrix3 } | null = null;
  /** seconds since the motion before the first input began; null when it is over */
  private swaying: number | null = null;
  private depth = false;
  private last = 0;
  private pending = 0;
  private settled = true;
  private early = EARLY;
  private toldSlow = false;
  private sharpening = 0;

  constructor(private readonly canvas: HTMLCanvasElement, private readonly renderer: WebGLRenderer) {
    this.sceneRenderer = new SceneRenderer(renderer);
    this.xr = new XrWindow(renderer, this.sceneRenderer);
    this.controls = new Controls(canvas, () => this.shown?.camera ?? null, () => this.touched(), () => this.takeOver());
    addEventListener("resize", () => this.wake());
  }

  /** Shows a scene, given as JSON text, in place of the one before. Resolves when it is on the screen, or another is asked for. */
  async open(text: string, name: string) {
    this.clear();
    const { signal } = (this.opening = new AbortController());
    let scene: Scene;
    try {
      scene = await decodeScene(this.renderer, text, showProgress, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    document.title = name;
    const camera = new ViewerCamera(scene);
    this.shown = { scene, camera, playback: new Playback(camera) };
    this.swaying = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : 0;
    this.settled = true;
    this.early = EARLY;
    this.toldSlow = false;
    this.tick(performance.now());
    paintBackdrop(this.canvas);
    document.body.classList.add("ready");
    showHint();
    tell({ mine: "ready" });
  }

  /** Shows nothing, and frees what the scene took. */
  clear() {
    this.opening.abort();
    cancelAnimationFrame(this.pending);
    clearTimeout(this.sharpening);
    this.pending = 0;
    void this.xr.leave();
    if (this.shown) dispose(this.shown.scene);
    this.shown = this.fixed = null;
    this.depth = false;
    this.sceneRenderer.depthOpacity = 0;
    showRange(0);
    element("depth").setAttribute("aria-pressed", "false");
    document.body.classList.remove("ready");
    clearMessage();
    showProgress(0);
  }

  /** Somebody took hold of the scene. */
  touched() {
    this.takeOver();
    hideHint();
    tell({ mine: "touched" });
  }

  /** Goes back to the view at rest. */
  reset() {
    this.takeOver();
    this.controls.restTilt();
    this.shown?.camera.reset();
  }

  play(path: string, options: PlayOptions = {}): boolean {
    const known = this.shown?.playback.play(path, options) ?? false;
    if (known) {
      this.controls.endTilt(); // it would stop the path at once
      element("tilt").setAttribute("aria-pressed", "false");
      this.fixed = null;
      this.swaying = null;
      hideHint();
      this.wake();
    }
    return known;
  }

  /** Switches between colours and depth by the viewer's own button. Returns whether depth is now on. */
  toggleDepth(): boolean {
    return this.showDepth(!this.depth, false, true);
  }

  /** Shows colours or depth, whose fade `atOnce` leaves out; says whether it was the button that did. Returns `on`. */
  showDepth(on: boolean, atOnce = false, byHand = false): boolean {
    this.depth = on;
    element("depth").setAttribute("aria-pressed", String(on));
    tell({ mine: "depth", on, byHand });
    if (atOnce) this.sceneRenderer.depthOpacity = on ? 1 : 0;
    showRange(this.sceneRenderer.depthOpacity);
    this.wake();
    return on;
  }

  /** Shows one pose until the next input. Throws a TypeError for anything but 16 finite numbers, and 9 for K. */
  setPose(T: Pose, K?: Matrix3) {
    if (!areNumbers(T, 16) || (K && !areNumbers(K, 9)))
      throw new TypeError("setPose takes a pose of 16 finite numbers, and optionally intrinsics of 9");
    this.touched();
    if (!this.shown) return;
    this.fixed = { T, K };
    this.shown.camera.reset();
    this.shown.camera.follow(Infinity);
    this.render("exact");
  }

  /** The view on the screen and the size of the canvas that it is for; null without a scene. */
  view(state: State) {
    if (!this.shown) return null;
    const { camera, playback } = this.shown;
    const frame = camera.frame(innerWidth, innerHeight);
    const { width, height } = this.sceneRenderer.size(frame, state);
    const own = playback.view(frame, width, height) ?? camera.view(frame, width, height);
    return { T: this.fixed?.T ?? own.T, K: this.fixed?.K ?? own.K, width, height, frame };
  }

  /** See `ViewerCamera.windowView`. */
  windowView(...how: Parameters<ViewerCamera["windowView"]>): View | null {
    return this.shown?.camera.windowView(...how) ?? null;
  }

  render(state: State) {
    const view = this.view(state);
    if (!view) return;
    this.sceneRenderer.fit(view.frame, view.width, view.height);
    this.sceneRenderer.render(this.shown!.scene, view, null, state === "sharp" || state === "exact");
  }

  /** The canvas at full resolution: RGBA bytes, top row first. */
  readPixels() {
    this.render("exact");
    return this.sceneRenderer.read();
  }

  /** Shows the scene on the headset, or ends that. Returns whether it is on. */
  async toggleHeadset(): Promise<boolean> {
    if (!this.shown) return false;
    return this.xr.toggle(this.shown.scene, this.shown.camera, () => {
      element("xr").setAttribute("aria-pressed", "false");
      this.wake();
    });
  }

  private takeOver() {
    this.fixed = null;
    this.swaying = null;
    this.shown?.playback.stop();
    this.wake();
  }

  private wake() {
    if (this.shown) this.pending ||= requestAnimationFrame((now) => this.tick(now));
  }

  private tick(now: number) {
    this.pending = 0;
    if (this.xr.active || !this.shown) return;
    // A frame's time stamp may lie before the call that rendered the first one.
    const elapsed = Math.max(now - this.last, 0);
    this.last = now;
    // The first frame compiles shaders: it does not tell how long the next ones take.
    if (!this.settled && this.early < EARLY - 1) this.sceneRenderer.adaptResolution(elapsed);
    const { slow } = this.sceneRenderer;
    if (slow && !this.toldSlow && this.early < EARLY) {
      this.toldSlow = true;
      tell({ mine: "slow" });
    }
    const moving = this.move(this.shown, elapsed) || this.early > 0;
    if (--this.early === 0 && !slow) tell({ mine: "fast" });
    this.render(moving ? "moving" : "resting");
    this.settled = !moving;
    clearTimeout(this.sharpening);
    if (moving) this.wake();
    else this.sharpening = setTimeout(() => this.pending || this.fixed || this.xr.active || this.render("sharp"), SHARPEN);
  }

  /** Moves on by `elapsed` milliseconds. Returns whether anything moved. */
  private move({ camera, playback }: Shown, elapsed: number): boolean {
    const seconds = Math.min(elapsed / 1000, 0.1);
    const opacity = this.sceneRenderer.depthOpacity;
    const fade = DEPTH_FADE * seconds;
    this.sceneRenderer.depthOpacity = this.depth ? Math.min(1, opacity + fade) : Math.max(0, opacity - fade);
    showRange(this.sceneRenderer.depthOpacity);
    if (this.swaying !== null) {
      this.swaying += seconds;
      camera.set(sway(this.swaying));
      if (this.sceneRenderer.slow && this.swaying > SLOW_SWAY) {
        this.swaying = null;
        camera.reset();
      }
    }
    // A path keeps its time on slow machines too.
    playback.step(Math.min(elapsed / 1000, 0.5));
    const held = this.controls.step(seconds);
    const changes = [held, camera.follow(seconds), opacity !== this.sceneRenderer.depthOpacity, this.swaying !== null, playback.playing];
    return changes.includes(true);
  }
}

/** The idle motion before the first input: position on a slow ellipse, `seconds` after its start. */
function sway(seconds: number) {
  const angle = (2 * Math.PI * seconds) / 8;
  const grown = Math.min(1, seconds / 2);
  return { x: 0.6 * grown * Math.sin(angle), y: 0.2 * grown * Math.cos(angle), z: 0.15 * grown * Math.sin(angle / 2) };
}
