// The camera paths of mine/output/camera_paths.py as closed curves: the camera at a phase of the loop. The tests compare
// them with Python's.

/** Amplitudes in near depths, as in camera_paths.py. */
const SIDEWAYS = 0.08;
const RADIUS = 0.05;
const FORWARD = 0.25;
const BACKWARD = 0.5;
/** Depth that stays in place, in near depths: near and far things move equally far, in opposite directions. */
export const PIVOT = 2;
/** Focal length in longer sides of the photo up to which cameras move by their amplitudes, as in camera_paths.py. */
const LONGEST_FOCAL = 1.4;
/** Paths along the optical axis, whose motion no lens magnifies. */
const ALONG = ["zoom", "dolly-zoom"];

export interface PathPoint {
  /** camera centre (right, down, forward) in near depths */
  centre: [number, number, number];
  /** factor on the focal length */
  focal: number;
  /** whether the camera turns towards the pivot instead of shifting its principal point */
  turns: boolean;
}

type Path = (phase: number, amount: number) => Partial<PathPoint> & Pick<PathPoint, "centre">;

const { sin, cos } = Math;
const thereAndBack = (phase: number) => (1 - cos(phase)) / 2;

const paths: Record<string, Path> = {
  swing: (phase, amount) => ({ centre: [SIDEWAYS * amount * sin(phase), 0, 0] }),
  wiggle: (phase, amount) => ({ centre: [(SIDEWAYS / 2) * amount * sin(phase), 0, 0] }),
  zoom: (phase, amount) => ({ centre: [0, 0, FORWARD * amount * thereAndBack(phase)] }),
  circle: (phase, amount) => ({ centre: [RADIUS * amount * cos(phase), RADIUS * amount * sin(phase), 0] }),
  orbit: (phase, amount) => {
    const angle = (RADIUS * amount) / PIVOT;
    const across = PIVOT * sin(angle);
    return { centre: [across * cos(phase), across * sin(phase), PIVOT * (1 - cos(angle))], turns: true };
  },
  spiral: (phase, amount) => {
    const radius = RADIUS * amount;
    return { centre: [radius * cos(2 * phase), radius * sin(2 * phase), radius * sin(phase)] };
  },
  "dolly-zoom": (phase, amount) => {
    const behind = BACKWARD * amount * thereAndBack(phase);
    return { centre: [0, 0, -behind], focal: 1 + behind };
  },
  // A line does not loop: played again and again, it goes there and back.
  line: (phase, amount) => ({ centre: [SIDEWAYS * amount * (2 * (Math.acos(cos(phase)) / Math.PI) - 1), 0, 0] }),
};

/**
 * The camera on a path at a phase in [0, 2π), or null for an unknown name. `focalLength` is the photo's, in its longer
 * sides: long lenses magnify motion sideways, which is made smaller by as much.
 */
export function pathPoint(name: string, phase: number, amount: number, focalLength: number): PathPoint | null {
  const path = Object.hasOwn(paths, name) ? paths[name] : undefined;
  if (!path) return null;
  const sideways = ALONG.includes(name) ? 1 : Math.min(1, LONGEST_FOCAL / focalLength);
  return { focal: 1, turns: false, ...path(phase, amount * sideways) };
}
