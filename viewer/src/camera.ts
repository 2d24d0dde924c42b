// Where the viewer's camera may stand, how it gets there, and what it sees from there.
//
// The camera looks through the picture as through a window: it moves but does not turn, and its principal point follows
// so that everything at PIVOT stays in place. That keeps the borders covered better than turning would.
import { translation, type Matrix3, type Pose } from "./matrix";
import type { Scene } from "./scene";

/** Depth that stays in place, in near depths: near and far things then move equally far, in opposite directions. */
const PIVOT = 2;
/** Farthest that near and far things move, as a share of the picture's width: beyond it, what was hidden shows. */
const SHIFT = 0.05;
/** The view is this much closer than the picture, so that its borders rarely show. */
const MARGIN = 1.07;
/** Ends of the way forward and back, in near depths. */
const FORWARD = 0.3;
const BACK = 0.08;
const MAX_ZOOM = 5;
/** A picture fills the window when that cuts off less than this; otherwise it is shown whole. */
const MAX_CROP = 0.25;
const SMOOTHING = 10;

/** Sideways, down and forward in units of their limits (soft: 1 is never quite reached), zoom as a logarithm. */
export interface Stance {
  x: number;
  y: number;
  z: number;
  zoom: number;
}

export interface View {
  /** target-from-source */
  T: Pose;
  /** target intrinsics in canvas pixels */
  K: Matrix3;
}

/** Size of the picture and of the part of the window it may take, in CSS pixels. */
export interface Frame {
  width: number;
  height: number;
  /** width of the whole picture at zoom 1; the canvas may show less of it */
  pictureWidth: number;
}

const origin: Stance = { x: 0, y: 0, z: 0, zoom: 0 };

export class ViewerCamera {
  /** where the user wants to be, and where the camera is on its way there */
  readonly target: Stance = { ...origin };
  private readonly now: Stance = { ...origin };

  constructor(private readonly scene: Scene) {}

  move(by: Partial<Stance>) {
    for (const [name, value] of Object.entries(by) as [keyof Stance, number][]) this.target[name] += value;
    // Beyond 2 the soft limit is all but reached: going on would only have to be unwound.
    for (const name of ["x", "y", "z"] as const) this.target[name] = clamp(this.target[name], -2, 2);
    this.target.zoom = clamp(this.target.zoom, 0, Math.log(MAX_ZOOM));
  }

  set(to: Partial<Stance>) {
    Object.assign(this.target, to);
  }

  reset() {
    this.set(origin);
  }

  /** Follows the target for `seconds`. Returns whether the camera moved. */
  follow(seconds: number): boolean {
    const share = 1 - Math.exp(-SMOOTHING * seconds);
    let moved = false;
    for (const name of ["x", "y", "z", "zoom"] as const) {
      const way = this.target[name] - this.now[name];
      if (way === 0) continue;
      this.now[name] = Math.abs(way) < 5e-4 ? this.target[name] : this.now[name] + way * share;
      moved = true;
    }
    return moved;
  }

  /** What part of a window the picture takes: all of it where little is cut off, and more of it as the user zooms in. */
  frame(windowWidth: number, windowHeight: number): Frame {
    const { aspect } = this.scene;
    const whole = Math.min(windowWidth, windowHeight * aspect);
    const filling = Math.max(windowWidth, windowHeight * aspect);
    const pictureWidth = whole / filling > 1 - MAX_CROP ? filling : whole;
    const grown = pictureWidth * this.zoom;
    return { width: Math.min(windowWidth, grown), height: Math.min(windowHeight, grown / aspect), pictureWidth };
  }

  /** What the camera sees on a canvas of `width` x `height` pixels that stands for `frame`. */
  view(frame: Frame, width: number, height: number): View {
    const { K, width: planeWidth, height: planeHeight, near, aspect } = this.scene;
    const scale = (frame.pictureWidth / frame.width) * width * MARGIN * this.zoom;
    const [sx, sy] = [scale / planeWidth, scale / aspect / planeHeight];
    const x = this.limitX * Math.tanh(this.now.x);
    const y = this.limitX * Math.tanh(this.now.y);
    // Zooming in also steps in, so that it shows depth.
    const along = Math.tanh(this.now.z + 0.5 * this.now.zoom);
    const z = near * along * (along > 0 ? FORWARD : BACK);
    const fx = K[0] * sx, fy = K[4] * sy;
    const pivot = PIVOT * near - z;
    const cx = (K[2] + 0.5 - planeWidth / 2) * sx + width / 2 - 0.5 + (fx * x) / pivot;
    const cy = (K[5] + 0.5 - planeHeight / 2) * sy + height / 2 - 0.5 + (fy * y) / pivot;
    return { T: translation(-x, -y, -z), K: [fx, K[1] * sx, cx, 0, fy, cy, 0, 0, 1] };
  }

  private get zoom(): number {
    return Math.exp(this.now.zoom);
  }

  private get limitX(): number {
    const { K, width, near } = this.scene;
    return near * Math.min((SHIFT * width) / K[0] / (1 - 1 / PIVOT), 0.25);
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
