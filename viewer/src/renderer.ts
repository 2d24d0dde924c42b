// Renders views of the scene to the canvas, at the resolution that the machine keeps up with.
import { LinearSRGBColorSpace, Vector2, Vector3, Vector4, WebGLRenderer, type WebGLRenderTarget } from "three";
import type { Frame, View } from "./camera";
import type { Scene } from "./decode_planes";
import { inverse, toThree, transposedRotation } from "./matrix";
import { Pass, texture } from "./pass";
import { renderView } from "./shaders";

/** A frame that takes longer (ms) lowers the resolution of the next ones, a shorter one raises it. */
const MAX_FRAME_TIME = 22;
/** Lowest resolution in motion, in canvas pixels per screen pixel. */
const MIN_RESOLUTION = 0.3;
/** Factors by which a frame in time raises the resolution: until the first one that is late, and after that. */
const FIRST_RISE = 1.3, RISE = 1.03;
/** Longest time (ms) for the frame at rest, which is rendered at a higher resolution than those in motion. */
const MAX_REST_TIME = 1000;
/** The same (ms) for the frame that follows when nothing moves for a while. */
const MAX_SHARP_TIME = 4000;
/** Longest side of the canvas in pixels: more show nothing new. */
const MAX_SIDE = 2048;

/** What a frame is for: how much time it may take. */
export type State = "moving" | "resting" | "sharp" | "exact";

export function createRenderer(canvas: HTMLCanvasElement): WebGLRenderer {
  const renderer = new WebGLRenderer({ canvas, antialias: false, alpha: false, depth: false, powerPreference: "high-performance" });
  renderer.outputColorSpace = LinearSRGBColorSpace; // the shader's colours are the photo's: nothing to convert
  renderer.autoClear = false;
  return renderer;
}

export class SceneRenderer {
  /** 0: colours, 1: depth, between: a blend of both */
  depthOpacity = 0;
  /** canvas pixels per screen pixel in motion; begins low so that slow machines start without a stall */
  private resolution = MIN_RESOLUTION;
  private rise = FIRST_RISE;
  private millisecondsPerPixel = 0;
  private readonly passes = new Map<number, Pass>();
  private readonly none = texture(null);

  constructor(private readonly renderer: WebGLRenderer) {}

  /** Adapts the resolution to the time (ms) that the last frame in motion took. */
  adaptResolution(milliseconds: number) {
    const { width, height } = this.renderer.domElement;
    this.millisecondsPerPixel = milliseconds / (width * height);
    const late = milliseconds > MAX_FRAME_TIME;
    if (late) this.rise = RISE;
    const change = late ? Math.max(0.5, Math.sqrt(MAX_FRAME_TIME / milliseconds)) : this.rise;
    this.resolution = Math.min(1, Math.max(MIN_RESOLUTION, this.resolution * change));
  }

  /** Canvas size in pixels: in motion by the frame rate, at rest by the time that a frame may take, or the screen's. */
  size(frame: Frame, state: State): { width: number; height: number } {
    let ratio = Math.min(devicePixelRatio, MAX_SIDE / Math.max(frame.width, frame.height));
    const wait = this.millisecondsPerPixel * frame.width * frame.height * ratio ** 2;
    if (state === "moving") ratio *= this.resolution;
    const limit = { resting: MAX_REST_TIME, sharp: MAX_SHARP_TIME, moving: 0, exact: 0 }[state];
    if (limit) ratio *= Math.max(this.resolution, Math.min(1, Math.sqrt(limit / wait)));
    return { width: Math.max(1, Math.round(frame.width * ratio)), height: Math.max(1, Math.round(frame.height * ratio)) };
  }

  /** Gives the canvas a size in pixels, which clears it if it is another one, and shows it at the size of `frame`. */
  fit(frame: Frame, width: number, height: number) {
    const canvas = this.renderer.domElement;
    if (canvas.width !== width || canvas.height !== height) this.renderer.setSize(width, height, false);
    canvas.style.width = `${frame.width}px`;
    canvas.style.height = `${frame.height}px`;
  }

  /** Whether frames are late at the lowest resolution: this machine is slow. */
  get slow(): boolean {
    return this.resolution <= MIN_RESOLUTION && this.rise === RISE;
  }

  /** Renders one view to the canvas, or into a target; `exact` with all the photo's detail, whatever that takes. */
  render(scene: Scene, { T, K }: View, target: WebGLRenderTarget | null = null, exact = false) {
    const rotation = transposedRotation(T);
    const [tx, ty, tz] = [T[3]!, T[7]!, T[11]!];
    this.passFor(scene.disparity.length).draw(this.renderer, {
      density: scene.density.texture,
      colour: scene.colour.texture,
      detailLevel: this.detailLevel(scene, K[0], exact),
      detail: scene.detail?.texture ?? this.none,
      disparity: scene.disparity,
      K: toThree(scene.K),
      inverseK: inverse(scene.K),
      toSource: rotation.clone().multiply(inverse(K)),
      centre: new Vector3(tx, ty, tz).applyMatrix3(rotation).negate(),
      depthRow: new Vector4(T[8], T[9], T[10], tz),
      height: target?.height ?? this.renderer.domElement.height,
      range: new Vector2(1 / scene.far, 1 / scene.near),
      depthOpacity: this.depthOpacity,
    }, target);
  }

  /** The pass that renders views of scenes with so many planes. It is compiled once. */
  private passFor(planes: number): Pass {
    const pass = this.passes.get(planes) ?? new Pass(renderView, { defines: { PLANES: planes } });
    this.passes.set(planes, pass);
    return pass;
  }

  /**
   * The mipmap of the detail for a view of this focal length. Two texels a pixel are sharp, and from four on, smaller
   * mipmaps are needed: between, the level rises faster. Machines that keep up have the finest level at once.
   */
  private detailLevel({ detail, K, width }: Scene, focal: number, exact: boolean): number {
    if (!detail) return 0;
    const octaves = Math.log2(((2 * detail.width) / width) * (K[0] / focal));
    const level = Math.max(0, Math.min(octaves, 2 * octaves - 2));
    if (level < 1 && (exact || this.resolution === 1)) detail.refine();
    return Math.max(0, level - (detail.texels === 1 ? 1 : 0));
  }

  /** The canvas right after `render`: RGBA bytes, top row first. */
  read(): { width: number; height: number; data: Uint8Array } {
    const gl = this.renderer.getContext();
    const { drawingBufferWidth: width, drawingBufferHeight: height } = gl;
    const upward = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, upward);
    const data = new Uint8Array(upward.length);
    for (let row = 0; row < height; row++) {
      data.set(upward.subarray(row * width * 4, (row + 1) * width * 4), (height - 1 - row) * width * 4);
    }
    return { width, height, data };
  }
}
