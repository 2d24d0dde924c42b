// Drag, touch, wheel, keys and the phone's tilt, turned into camera moves.
import type { ViewerCamera } from "./camera";

/** A drag over this share of the shorter window side goes to the limit. */
const DRAG = 0.4;
const WHEEL = 0.0015;
/** Limits per second while a key is held. */
const KEY_SPEED = 1.6;
/** Degrees of tilt that go to the limit. */
const TILT = 18;
/** The resting tilt follows the hand slowly. */
const REST = 0.01;

const moves: Record<string, [axis: "x" | "y" | "z" | "zoom", sign: number]> = {
  ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1],
  KeyA: ["x", -1], KeyD: ["x", 1], KeyW: ["z", 1], KeyS: ["z", -1],
  Equal: ["zoom", 1], NumpadAdd: ["zoom", 1], Minus: ["zoom", -1], NumpadSubtract: ["zoom", -1],
};

export class Controls {
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private readonly held = new Set<string>();
  private rest: { side: number; front: number } | null = null;
  private tilting = false;

  /** `touched` is called whenever the user asks for a move. */
  constructor(surface: HTMLElement, private readonly camera: ViewerCamera, private readonly touched: () => void) {
    surface.addEventListener("pointerdown", (event) => {
      surface.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      touched();
    });
    surface.addEventListener("pointermove", (event) => this.drag(event));
    for (const type of ["pointerup", "pointercancel"] as const) {
      surface.addEventListener(type, (event) => this.pointers.delete(event.pointerId));
    }
    surface.addEventListener("wheel", (event) => {
      event.preventDefault();
      camera.move({ zoom: -event.deltaY * (event.deltaMode === 1 ? 20 : 1) * WHEEL });
      touched();
    }, { passive: false });
    addEventListener("keydown", (event) => {
      if (!(event.code in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.held.add(event.code);
      touched();
    });
    addEventListener("keyup", (event) => this.held.delete(event.code));
    addEventListener("blur", () => this.held.clear());
  }

  /** Moves by what is held down for `seconds`. Returns whether anything is. */
  step(seconds: number): boolean {
    for (const code of this.held) {
      const [axis, sign] = moves[code]!;
      this.camera.move({ [axis]: sign * KEY_SPEED * seconds });
    }
    return this.held.size > 0;
  }

  private drag(event: PointerEvent) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const spread = this.spread();
    const count = this.pointers.size;
    const dx = event.clientX - before.x, dy = event.clientY - before.y;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    // What is near follows the finger, so the camera goes the other way.
    const way = DRAG * Math.min(innerWidth, innerHeight) * count;
    const zoom = spread && count === 2 ? Math.log(this.spread() / spread) : 0;
    this.camera.move({ x: -dx / way, y: -dy / way, zoom });
    this.touched();
  }

  private spread(): number {
    const [a, b] = [...this.pointers.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  /** Whether this device may tell how it is tilted. */
  static get canTilt(): boolean {
    return "DeviceOrientationEvent" in window && matchMedia("(pointer: coarse)").matches;
  }

  /** Starts or stops following the phone's tilt, asking for leave where the system wants that. Returns whether it runs. */
  async toggleTilt(): Promise<boolean> {
    const request = (DeviceOrientationEvent as { requestPermission?: () => Promise<string> }).requestPermission;
    if (!this.tilting && request && (await request()) !== "granted") return false;
    this.tilting = !this.tilting;
    this.rest = null;
    if (this.tilting) addEventListener("deviceorientation", this.tilt);
    else removeEventListener("deviceorientation", this.tilt);
    return this.tilting;
  }

  private readonly tilt = ({ beta, gamma }: DeviceOrientationEvent) => {
    if (beta === null || gamma === null) return;
    const turn = (screen.orientation?.angle ?? 0) * (Math.PI / 180);
    const side = gamma * Math.cos(turn) + beta * Math.sin(turn);
    const front = beta * Math.cos(turn) - gamma * Math.sin(turn);
    this.rest ??= { side, front };
    this.rest.side += (side - this.rest.side) * REST;
    this.rest.front += (front - this.rest.front) * REST;
    // A phone turned to the right is looked at from its left.
    this.camera.set({ x: (this.rest.side - side) / TILT, y: (this.rest.front - front) / TILT });
    this.touched();
  };
}
