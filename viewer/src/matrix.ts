// 3x3 intrinsics and 4x4 poses, row-major as in Python, and their conversion to three.js's column-major matrices.
import { Matrix3 as ThreeMatrix3 } from "three";

export type Matrix3 = [number, number, number, number, number, number, number, number, number];
/** Target-from-source pose, row-major. */
export type Pose = number[];

/** Whether a value from outside is that many finite numbers, in an array of any type. */
export function areNumbers(values: ArrayLike<number> | null, count: number): boolean {
  return values?.length === count && Array.from(values).every(Number.isFinite);
}

export function toThree(m: Matrix3): ThreeMatrix3 {
  return new ThreeMatrix3(...m);
}

/** Inverse, as a shader uniform. */
export function inverse(m: Matrix3): ThreeMatrix3 {
  return toThree(m).invert();
}

export function translation(x: number, y: number, z: number): Pose {
  return [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z, 0, 0, 0, 1];
}

/** Pose of a camera at `centre` that looks at (0, 0, pivot) without roll. */
export function lookingAt([x, y, z]: [number, number, number], pivot: number): Pose {
  const length = Math.hypot(x, y, pivot - z);
  const forward = [-x / length, -y / length, (pivot - z) / length] as const;
  const level = Math.hypot(forward[0], forward[2]);
  const right = [forward[2] / level, 0, -forward[0] / level] as const;
  const down = [
    forward[1] * right[2] - forward[2] * right[1],
    forward[2] * right[0] - forward[0] * right[2],
    forward[0] * right[1] - forward[1] * right[0],
  ] as const;
  const row = (axis: readonly [number, number, number]) => [...axis, -(axis[0] * x + axis[1] * y + axis[2] * z)];
  return [...row(right), ...row(down), ...row(forward), 0, 0, 0, 1];
}

/** Rᵀ of a pose, as a shader uniform. */
export function transposedRotation(T: Pose): ThreeMatrix3 {
  const [a, b, c, , d, e, f, , g, h, i] = T as [number, number, number, number, number, number, number, number, number, number, number];
  return new ThreeMatrix3(a, d, g, b, e, h, c, f, i);
}
