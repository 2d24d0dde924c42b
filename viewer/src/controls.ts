// Input: drag, touch, wheel, keys and the phone's tilt move the camera.
import type { ViewerCamera } from "./camera";
import { isShortcut, keyName } from "./keys";

/** A drag over this fraction of the shorter window side reaches the limit of the motion. */
const DRAG = 0.4;
/** Change of the log zoom per pixel of wheel motion. */
const WHEEL = 0.0015;
/** Speed while a key is held, in limits of the motion per second. */
const KEY_SPEED = 1.6;
/** Degrees of tilt that reach the limit of the motion. */
const TILT = 18;
/** Fraction by which the resting tilt approaches the current one, per event. */
const REST = 0.01;

type Move = [axis: "x" | "y" | "z" | "zoom", sign: number];
const moves: Record<string, Move> = {
  ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1],
  a: ["x", -1], d: ["x", 1], w: ["z", 1], s: ["z", -1],
  "+": ["zoom", 1], "=": ["zoom", 1], "-": ["zoom", -1], // many keyboards have + on the key of =, with Shift
};

export class Controls {
  private readonly pointers = new Map<number, { x: number; y: number }>();
  /** What the keys do that are held, by their places: a letter may be another one when its key is let go. */
  private readonly held = new Map<string, Move>();
  private rest: Tilt | null = null;
  private tilting = false;

  /**
   * Listens to `canvas`, and moves what `camera` returns. `touched` is called at every input but tilt, which goes on all
   * the time: `tilted` is called for that.
   */
  constructor(
    canvas: HTMLElement,
    private readonly camera: () => ViewerCamera | null,
    private readonly touched: () => void,
    private readonly tilted: () => void,
  ) {
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return; // the others have menus and scrolling
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      touched();
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      canvas.addEventListener(type, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      camera()?.move({ zoom: -event.deltaY * (event.deltaMode === 1 ? 20 : 1) * WHEEL });
      touched();
    }, { passive: false });
    addEventListener("keydown", (event) => {
      const move = moves[keyName(event)];
      if (!move || isShortcut(event)) return;
      event.preventDefault();
      this.held.set(event.code, move);
      touched();
    });
    addEventListener("keyup", (event) => this.held.delete(event.code));
    addEventListener("blur", () => this.held.clear());
  }

  /** Moves the camera by the keys held for `seconds`. Returns whether any key is held. */
  step(seconds: number): boolean {
    for (const [axis, sign] of this.held.values()) {
      this.camera()?.move({ [axis]: sign * KEY_SPEED * seconds });
    }
    return this.held.size > 0;
  }

  private drag(event: PointerEvent) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (!(event.buttons & 1)) return void this.pointers.delete(event.pointerId); // let go where nobody told
    const spread = this.spread();
    const count = this.pointers.size;
    const dx = event.clientX - before.x, dy = event.clientY - before.y;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    // Near things follow the finger, so the camera moves the other way.
    const fullDrag = DRAG * Math.min(innerWidth, innerHeight) * count;
    const zoom = spread && count === 2 ? Math.log(this.spread() / spread) : 0;
    this.camera()?.move({ x: -dx / fullDrag, y: -dy / fullDrag, zoom });
    this.touched();
  }

  private spread(): number {
    const [a, b] = [...this.pointers.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  /** Whether this device may report its orientation. */
  static get canTilt(): boolean {
    return "DeviceOrientationEvent" in window && matchMedia("(pointer: coarse)").matches;
  }

  /** Starts or stops moving by tilt, with the user's permission where the system requires it. Returns whether it is on. */
  async toggleTilt(): Promise<boolean> {
    const request = (DeviceOrientationEvent as { requestPermission?: () => Promise<string> }).requestPermission;
    if (!this.tilting && request && (await request()) !== "granted") return false;
    if (this.tilting) this.endTilt();
    else {
      this.tilting = true;
      this.restTilt();
      addEventListener("deviceorientation", this.tilt);
      this.touched();
    }
    return this.tilting;
  }

  /** Stops moving by tilt. */
  endTilt() {
    this.tilting = false;
    removeEventListener("deviceorientation", this.tilt);
  }

  /** Takes the next tilt for the one at rest. */
  restTilt() {
    this.rest = null;
  }

  private readonly tilt = ({ beta, gamma }: DeviceOrientationEvent) => {
    if (beta === null || gamma === null) return;
    const now = tiltOf(beta, gamma, screen.orientation?.angle ?? 0);
    if (this.rest?.angle !== now.angle) this.rest = { ...now };
    this.rest.side += (now.side - this.rest.side) * REST;
    this.rest.front += turnBetween(this.rest.front, now.front) * REST;
    // A phone that is turned to the right is looked at from its left.
    this.camera()?.set({ x: (this.rest.side - now.side) / TILT, y: -turnBetween(this.rest.front, now.front) / TILT });
    this.tilted();
  };
}

/** How a phone is held, in degrees: turned to its right, and up from lying flat; and the angle that its screen is turned by. */
interface Tilt {
  side: number;
  front: number;
  angle: number;
}

/**
 * The tilt from the angles of an orientation event. These angles are not used as they are, for at a beta of 90 degrees, of
 * a phone held upright, gamma and the compass turn about the same axis and may both jump. The direction of gravity does not.
 */
function tiltOf(beta: number, gamma: number, angle: number): Tilt {
  const [b, c, turn] = [beta, gamma, angle].map((degrees) => (degrees * Math.PI) / 180) as [number, number, number];
  const [x, y, z] = [Math.cos(b) * Math.sin(c), -Math.sin(b), -Math.cos(b) * Math.cos(c)];
  const right = x * Math.cos(turn) - y * Math.sin(turn);
  const up = x * Math.sin(turn) + y * Math.cos(turn);
  const degrees = 180 / Math.PI;
  return { side: degrees * Math.asin(Math.min(1, Math.max(-1, right))), front: degrees * Math.atan2(-up, -z), angle };
}

/** Degrees from one direction to another, the short way round. */
function turnBetween(from: number, to: number): number {
  return ((((to - from + 180) % 360) + 360) % 360) - 180;
}
