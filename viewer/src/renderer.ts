// Draws views of the scene onto the canvas, at a resolution the machine keeps up with.
import { LinearSRGBColorSpace, Vector2, Vector3, Vector4, WebGLRenderer } from "three";
import type { Frame, View } from "./camera";
import { inverse, rotationBack, three } from "./matrix";
import { Pass } from "./pass";
import type { Scene } from "./scene";
import { view as viewShader } from "./shaders";

/** A frame later than this (ms) makes the next ones coarser, an earlier one finer again. */
const LATE = 22;
const COARSEST = 0.3;
/** Longest wait (ms) for the fine picture when motion ends. */
const PATIENCE = 1000;
/** More pixels than this along the longer side show nothing new. */
const MAX_SIDE = 2048;

export function createRenderer(canvas: HTMLCanvasElement): WebGLRenderer {
  const renderer = new WebGLRenderer({ canvas, antialias: false, alpha: false, depth: false, powerPreference: "high-performance" });
  renderer.outputColorSpace = LinearSRGBColorSpace; // the shader's colours are the picture's: nothing to convert
  renderer.autoClear = false;
  return renderer;
}

export class SceneRenderer {
  /** 0: colours, 1: depth, between: a blend of both */
  depthShare = 0;
  /** canvas pixels per screen pixel in motion; begins low so that slow machines start without a stall */
  private sharpness = 0.5;
  private millisecondsPerPixel = 0;
  private readonly pass: Pass;

  constructor(private readonly renderer: WebGLRenderer, private readonly scene: Scene) {
    this.pass = new Pass(viewShader, { defines: { PLANES: scene.disparity.length } });
  }

  /** Tells how long the last frame of a motion took (ms). */
  pace(milliseconds: number) {
    const { width, height } = this.renderer.domElement;
    this.millisecondsPerPixel = milliseconds / (width * height);
    const change = milliseconds > LATE ? Math.max(0.5, Math.sqrt(LATE / milliseconds)) : 1.03;
    this.sharpness = Math.min(1, Math.max(COARSEST, this.sharpness * change));
  }

  /** Fits the canvas to the frame: in motion as fine as frames come in time, at rest as fine as the screen. */
  fit(frame: Frame, state: "moving" | "resting" | "exact"): { width: number; height: number } {
    let ratio = Math.min(devicePixelRatio, MAX_SIDE / Math.max(frame.width, frame.height));
    const wait = this.millisecondsPerPixel * frame.width * frame.height * ratio ** 2;
    if (state === "moving") ratio *= this.sharpness;
    if (state === "resting") ratio *= Math.max(this.sharpness, Math.min(1, Math.sqrt(PATIENCE / wait)));
    const width = Math.max(1, Math.round(frame.width * ratio)), height = Math.max(1, Math.round(frame.height * ratio));
    const canvas = this.renderer.domElement;
    if (canvas.width !== width || canvas.height !== height) this.renderer.setSize(width, height, false);
    canvas.style.width = `${frame.width}px`;
    canvas.style.height = `${frame.height}px`;
    return { width, height };
  }

  draw({ T, K }: View) {
    const { scene } = this;
    const back = rotationBack(T);
    const [tx, ty, tz] = [T[3]!, T[7]!, T[11]!];
    this.pass.draw(this.renderer, {
      density: scene.density.texture,
      colour: scene.colour.texture,
      detail: scene.detail,
      disparity: scene.disparity,
      K: three(scene.K),
      inverseK: inverse(scene.K),
      toSource: back.clone().multiply(inverse(K)),
      centre: new Vector3(tx, ty, tz).applyMatrix3(back).negate(),
      depthRow: new Vector4(T[8], T[9], T[10], tz),
      height: this.renderer.domElement.height,
      range: new Vector2(1 / scene.far, 1 / scene.near),
      depthShare: this.depthShare,
    });
  }

  /** The canvas right after `draw`: RGBA bytes, top row first. */
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
