// A camera path that plays in the viewer, round after round, until the user takes over.
import type { Frame, View, ViewerCamera } from "./camera";
import { pathPoint, type PathPoint } from "./paths";

/** Points of a path at which the zoom that hides the photo's borders is computed. */
const SAMPLES = 16;

export interface PlayOptions {
  /** factor on the size of the motion; 1 is normal */
  amount?: number;
  /** seconds a round */
  seconds?: number;
}

export class Playback {
  private path: { name: string; amount: number; seconds: number; cover: number } | null = null;
  private phase = 0;

  constructor(private readonly camera: ViewerCamera) {}

  /** Plays a path from its beginning, or with other options from where it is. Returns whether there is such a path. */
  play(name: string, { amount = 1, seconds = 3 }: PlayOptions = {}): boolean {
    const points = Array.from({ length: SAMPLES }, (_, i) => this.point(name, (2 * Math.PI * i) / SAMPLES, amount));
    if (points.includes(null) || !Number.isFinite(amount) || !(seconds > 0)) return false;
    if (this.path?.name !== name) this.phase = 0;
    this.path = { name, amount, seconds, cover: this.camera.pathCover(points as PathPoint[]) };
    return true;
  }

  stop() {
    this.path = null;
  }

  get playing(): boolean {
    return this.path !== null;
  }

  /** Moves on by `seconds`. */
  step(seconds: number) {
    if (this.path) this.phase = (this.phase + (2 * Math.PI * seconds) / this.path.seconds) % (2 * Math.PI);
  }

  /** The view on the path now, or null when nothing plays. */
  view(frame: Frame, width: number, height: number): View | null {
    const point = this.path && this.point(this.path.name, this.phase, this.path.amount);
    return point && this.camera.pathView(point, this.path!.cover, frame, width, height);
  }

  private point(name: string, phase: number, amount: number): PathPoint | null {
    return pathPoint(name, phase, amount, this.camera.focalLength);
  }
}
