// What the photo holds beyond the planes' own resolution: the photo minus its copy as the planes have it.
import { Vector2, type Texture, type WebGLRenderer, type WebGLRenderTarget } from "three";
import { Pass, target, texture } from "./pass";
import { downsample, photoDetail, photoDetailFine } from "./shaders";

const downsamplePass = new Pass(downsample), detailPass = new Pass(photoDetail), finePass = new Pass(photoDetailFine);

export class PhotoDetail {
  private readonly source: Texture;
  private readonly atPlanes: WebGLRenderTarget;
  private detail: WebGLRenderTarget;
  private fine = false;

  /** At first at the photo's own resolution; `width` x `height` is that of its copy. */
  constructor(private readonly renderer: WebGLRenderer, private readonly photo: ImageBitmap, width: number, height: number) {
    this.source = texture(photo);
    this.atPlanes = target(width, height);
    downsamplePass.draw(renderer, { photo: this.source, size: new Vector2(width, height) }, this.atPlanes);
    this.detail = this.drawn(detailPass, 1);
  }

  /** The photo as the planes have it. */
  get photoAtPlanes(): Texture {
    return this.atPlanes.texture;
  }

  /** The detail, with mipmaps. */
  get texture(): Texture {
    return this.detail.texture;
  }

  /** Texels a photo pixel, along a side. */
  get texels(): number {
    return this.fine ? 2 : 1;
  }

  get width(): number {
    return this.photo.width;
  }

  /** Computes the detail at twice the photo's resolution, once: in software rendering that takes a second and more. */
  refine() {
    if (this.fine) return;
    const coarse = this.detail;
    this.detail = this.drawn(finePass, 2);
    this.fine = true;
    for (const spent of [coarse, this.source, this.atPlanes]) spent.dispose();
  }

  /** Frees the memory of the graphics card. */
  dispose() {
    for (const spent of [this.detail, this.source, this.atPlanes]) spent.dispose();
    this.photo.close();
  }

  private drawn(pass: Pass, texels: number): WebGLRenderTarget {
    const drawn = target(texels * this.photo.width, texels * this.photo.height, true);
    pass.draw(this.renderer, { photo: this.source, photoAtPlanes: this.atPlanes.texture }, drawn);
    return drawn;
  }
}
