// A full-screen render pass: one fragment shader, run for every pixel of a target.
import {
  BufferAttribute, BufferGeometry, Camera, CustomBlending, GLSL3, Mesh, NoBlending, RawShaderMaterial, SrcColorFactor,
  ZeroFactor, type IUniform, type ShaderMaterialParameters, type WebGLRenderer, type WebGLRenderTarget,
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
      blending: NoBlending, ...options,
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
}
