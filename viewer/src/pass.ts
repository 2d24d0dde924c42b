// A render pass: one fragment shader, run for every pixel of a target, or of the parts that a geometry covers.
import {
  BufferAttribute, BufferGeometry, Camera, CustomBlending, DataTexture, DoubleSide, GLSL3, HalfFloatType, LinearFilter,
  LinearMipmapLinearFilter, Mesh, NearestFilter, NoBlending, RawShaderMaterial, RGBAFormat, SrcColorFactor, Texture,
  WebGLRenderTarget, ZeroFactor, type IUniform, type ShaderMaterialParameters, type WebGLRenderer,
} from "three";
import { fullScreen } from "./shaders";

/** Blend mode that multiplies the target by the shader's output instead of replacing it. */
export const multiplying: ShaderMaterialParameters = {
  blending: CustomBlending, blendSrc: ZeroFactor, blendDst: SrcColorFactor,
};

export class Pass {
  private readonly material: RawShaderMaterial;
  private readonly mesh: Mesh;
  private readonly camera = new Camera();

  constructor(fragmentShader: string, options: ShaderMaterialParameters = {}) {
    this.material = new RawShaderMaterial({
      glslVersion: GLSL3, vertexShader: fullScreen, fragmentShader, depthTest: false, depthWrite: false,
      blending: NoBlending, side: DoubleSide, ...options,
    });
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]), 3));
    this.mesh = new Mesh(geometry, this.material);
    this.mesh.frustumCulled = false;
  }

  /** Runs the shader with the uniforms `values`, into `target` (into one layer, when it has layers) or the canvas. */
  draw(renderer: WebGLRenderer, values: Record<string, unknown>, target: WebGLRenderTarget | null = null, layer = 0) {
    for (const [name, value] of Object.entries(values)) {
      const uniform: IUniform = (this.material.uniforms[name] ??= { value: null });
      uniform.value = value;
    }
    this.material.uniformsNeedUpdate = true;
    renderer.setRenderTarget(target, layer);
    renderer.render(this.mesh, this.camera);
    renderer.setRenderTarget(null);
  }

  /** The same, only where `geometry` is. */
  drawOver(geometry: BufferGeometry, ...how: Parameters<Pass["draw"]>) {
    this.mesh.geometry = geometry;
    this.draw(...how);
  }
}

/** A target in half floats. */
export function target(width: number, height: number, mipmaps = false): WebGLRenderTarget {
  return new WebGLRenderTarget(width, height, {
    type: HalfFloatType, format: RGBAFormat, magFilter: LinearFilter, depthBuffer: false,
    generateMipmaps: mipmaps, minFilter: mipmaps ? LinearMipmapLinearFilter : LinearFilter,
  });
}

/** A texture of an image, its first row at the bottom; of zeros without one. */
export function texture(image: ImageBitmap | null): Texture {
  const result = image ? new Texture(image) : new DataTexture(new Uint8Array(4), 1, 1);
  result.flipY = false;
  result.generateMipmaps = false;
  result.minFilter = image ? LinearFilter : NearestFilter;
  result.magFilter = result.minFilter;
  result.needsUpdate = true;
  return result;
}
