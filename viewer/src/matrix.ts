// 3x3 intrinsics and 4x4 poses, row-major as in Python, and their conversion to three.js's column-major matrices.
import { Matrix3 as ThreeMatrix3 } from "three";

export type Matrix3 = [number, number, number, number, number, number, number, number, number];
/** Target-from-source pose, row-major. */
export type Pose = number[];

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

/** Rᵀ of a pose, as a shader uniform. */
export function transposedRotation(T: Pose): ThreeMatrix3 {
  const [a, b, c, , d, e, f, , g, h, i] = T as [number, number, number, number, number, number, number, number, number, number, number];
  return new ThreeMatrix3(a, d, g, b, e, h, c, f, i);
}
