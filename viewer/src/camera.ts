// The interactive camera: the limits of its motion, smooth motion towards a target, and its pose and intrinsics.
//
// The camera moves but does not rotate; its principal point shifts so that points at the depth PIVOT stay in place (an
// off-axis projection). That shows less of what lies outside the photo than rotating would.
import { lookingAt, translation, type Matrix3, type Pose } from "./matrix";
import type { Scene } from "./decode_planes";
import { PIVOT, type PathPoint } from "./paths";

/** Largest motion of near and far things, as a fraction of the photo's width: more shows too much disoccluded background. */
const MAX_PARALLAX = 0.05;
/** Largest zoom that keeps a moving view inside the photo: a larger one would cut off too much. */
const MAX_COVER = 1.2;
/** Largest motion forward and backward, in near depths. */
const FORWARD = 0.3;
const BACKWARD = 0.08;
/** Largest zoom by the user, as a factor. */
const MAX_ZOOM = 5;
/** Rate (1/s) at which the camera approaches its target. */
const SMOOTHING = 10;

/** Position right, down and forward as x in limit · tanh(x), and the logarithm of the zoom factor. */
export interface Position {
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

/** Size of the canvas and of the photo in the window, in CSS pixels. */
export interface Frame {
  width: number;
  height: number;
  /** width of the whole photo at zoom 1; the canvas may show less of it */
  photoWidth: number;
}

const origin: Position = { x: 0, y: 0, z: 0, zoom: 0 };

export class ViewerCamera {
  /** where the user moved the camera to; the camera follows smoothly */
  readonly target: Position = { ...origin };
  private readonly now: Position = { ...origin };

  constructor(private readonly scene: Scene) {}

  /** The photo's focal length in its longer sides. */
  get focalLength(): number {
    const { K, width, aspect } = this.scene;
    return (K[0] / width) * Math.min(1, aspect);
  }

  /** Moves the target. */
  move(by: Partial<Position>) {
    for (const [name, value] of Object.entries(by) as [keyof Position, number][]) this.target[name] += value;
    // At 2, tanh is all but 1: further input would change nothing but has to be undone on the way back.
    for (const name of ["x", "y", "z"] as const) this.target[name] = clamp(this.target[name], -2, 2);
    this.target.zoom = clamp(this.target.zoom, 0, Math.log(MAX_ZOOM));
  }

  /** Sets the target. */
  set(to: Partial<Position>) {
    Object.assign(this.target, to);
  }

  reset() {
    this.set(origin);
  }

  /** Follows the target for `seconds`. Returns whether the camera moved. */
  follow(seconds: number): boolean {
    const fraction = 1 - Math.exp(-SMOOTHING * seconds);
    let moved = false;
    for (const name of ["x", "y", "z", "zoom"] as const) {
      const remaining = this.target[name] - this.now[name];
      if (remaining === 0) continue;
      this.now[name] = Math.abs(remaining) < 5e-4 ? this.target[name] : this.now[name] + remaining * fraction;
      moved = true;
    }
    return moved;
  }

  /** The canvas in a window: the whole photo at rest; it grows with the zoom until it fills the window. */
  frame(windowWidth: number, windowHeight: number): Frame {
    const { aspect } = this.scene;
    const photoWidth = Math.min(windowWidth, windowHeight * aspect);
    const grown = photoWidth * this.zoom;
    return { width: Math.min(windowWidth, grown), height: Math.min(windowHeight, grown / aspect), photoWidth };
  }

  /** Pose and intrinsics of the view on a canvas of `width` x `height` pixels, shown at the size of `frame`. */
  view(frame: Frame, width: number, height: number): View {
    const { near } = this.scene;
    const x = this.limitX * Math.tanh(this.now.x);
    const y = this.limitX * Math.tanh(this.now.y);
    // Zooming in also moves forward, which shows parallax.
    const along = Math.tanh(this.now.z + 0.5 * this.now.zoom);
    const z = near * along * (along > 0 ? FORWARD : BACKWARD);
    const scale = (frame.photoWidth / frame.width) * width * this.zoom;
    return this.offAxis([x, y, z], PIVOT * near, scale * this.cover([x, y, z], PIVOT * near), width, height);
  }

  /** The view from a point on a camera path; `cover` is the zoom that hides the photo's borders all along the path. */
  pathView({ centre, focal, turns }: PathPoint, cover: number, frame: Frame, width: number, height: number): View {
    const near = this.scene.nearDepth;
    const scaled: [number, number, number] = [centre[0] * near, centre[1] * near, centre[2] * near];
    const scale = (frame.photoWidth / frame.width) * width * focal * cover;
    if (!turns) return this.offAxis(scaled, PIVOT * near, scale, width, height);
    const { K } = this.offAxis([0, 0, 0], PIVOT * near, scale, width, height);
    return { T: lookingAt(scaled, PIVOT * near), K };
  }

  /** The zoom that hides the photo's borders all along a path, given some of its points. */
  pathCover(points: PathPoint[]): number {
    const near = this.scene.nearDepth;
    const covers = points.map(({ centre: [x, y, z], focal }) => this.cover([x * near, y * near, z * near], PIVOT * near) / focal);
    return Math.max(1, ...covers);
  }

  /**
   * The view of an eye through a window as large as the photo, which lies where the pivot does. The eye is at `eye` in
   * metres (right, up, backward) from the place of the photo's camera, `distance` metres before the window.
   */
  windowView(eye: [number, number, number], distance: number, width: number, height: number): View {
    const { K, width: planeWidth, height: planeHeight, aspect } = this.scene;
    const pivot = PIVOT * this.scene.nearDepth;
    const [x, y, z] = [eye[0], -eye[1], -eye[2]].map((metres) => (metres * pivot) / distance) as [number, number, number];
    const ahead = Math.min(z, 0.9 * pivot); // an eye does not go through the window
    const [sx, sy] = [width / planeWidth, width / aspect / planeHeight];
    // The nearer the window, the wider it is seen: its edges stay those of the picture.
    const nearer = (pivot - ahead) / pivot;
    const cx = (K[2] + 0.5 - planeWidth / 2) * sx + width / 2 - 0.5 + (K[0] * sx * x) / pivot;
    const cy = (K[5] + 0.5 - planeHeight / 2) * sy + height / 2 - 0.5 + (K[4] * sy * y) / pivot;
    const target: Matrix3 = [K[0] * sx * nearer, K[1] * sx * nearer, cx, 0, K[4] * sy * nearer, cy, 0, 0, 1];
    return { T: translation(-x, -y, -ahead), K: target };
  }

  /** A camera at `centre` that faces ahead and keeps the plane at depth `pivot` still; the photo is `scale` pixels wide. */
  private offAxis([x, y, z]: [number, number, number], pivot: number, scale: number, width: number, height: number): View {
    const { K, width: planeWidth, height: planeHeight, aspect } = this.scene;
    const [sx, sy] = [scale / planeWidth, scale / aspect / planeHeight];
    const fx = K[0] * sx, fy = K[4] * sy;
    const distance = Math.max(pivot - z, pivot / 100);
    const cx = (K[2] + 0.5 - planeWidth / 2) * sx + width / 2 - 0.5 + (fx * x) / distance;
    const cy = (K[5] + 0.5 - planeHeight / 2) * sy + height / 2 - 0.5 + (fy * y) / distance;
    return { T: translation(-x, -y, -z), K: [fx, K[1] * sx, cx, 0, fy, cy, 0, 0, 1] };
  }

  /**
   * The zoom at which a camera at `centre` sees little beyond the photo's borders. The farthest things at a border move
   * by f c / pivot; so do the nearest, the other way. At rest it is 1: the whole photo.
   */
  private cover([x, y, z]: [number, number, number], pivot: number): number {
    const { K, width, height } = this.scene;
    const beyond = Math.hypot((2 * K[0] * x) / pivot / width, (2 * K[4] * y) / pivot / height);
    const back = Math.max(0, -z) / pivot;
    return Math.min(MAX_COVER, 1 + beyond ** 2 / (beyond + 0.005) + back);
  }

  private get zoom(): number {
    return Math.exp(this.now.zoom);
  }

  private get limitX(): number {
    const { K, width, near } = this.scene;
    return near * Math.min((MAX_PARALLAX * width) / K[0] / (1 - 1 / PIVOT), 0.25);
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
