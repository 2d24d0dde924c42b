// The scene as it travels inside the page (see mine/output/web/pack.py) and its decoding into textures.
import {
  DataTexture, HalfFloatType, LinearFilter, NearestFilter, RedFormat, RGBAFormat, Texture, UnsignedByteType, Vector2,
  WebGLArrayRenderTarget, WebGLRenderTarget, type WebGLRenderer,
} from "three";
import { multiplying, Pass } from "./pass";
import { inverse, type Matrix3 } from "./matrix";
import { decodeColour, decodeDensity, findDetail, passThrough, shrink } from "./shaders";

/** What Python wrote. Pictures are base64 WebP; K is row-major, in pixels of the planes; `near` is a depth. */
interface Packed {
  size: [height: number, width: number];
  aspect: number;
  disparity: number[];
  K: Matrix3;
  near: number;
  far: number;
  blended: boolean;
  photo: string | null;
  planes: { colour: string; density: string }[];
}

export interface Scene {
  width: number;
  height: number;
  /** width / height of the picture the scene was made from */
  aspect: number;
  disparity: number[];
  K: Matrix3;
  near: number;
  far: number;
  density: WebGLArrayRenderTarget;
  colour: WebGLArrayRenderTarget;
  detail: Texture;
  /** the picture itself, for the backdrop */
  picture: ImageBitmap;
}

/** Reads the scene out of the page. `progress` is told the share that is done. */
export async function load(renderer: WebGLRenderer, progress: (share: number) => void): Promise<Scene> {
  const text = document.getElementById("scene")?.textContent ?? "";
  if (!text.trim()) throw new Error("This page holds no scene: make one with mine export.");
  const packed = JSON.parse(text) as Packed;
  const [height, width] = packed.size;
  const layers = packed.disparity.length;
  const density = array(width, height, layers, true);
  const colour = array(width, height, layers, false);
  const photo = packed.photo ? await bitmap(packed.photo) : null;
  const { low, detail } = photo ? split(renderer, photo, width, height) : { low: texture(null), detail: texture(null) };
  let picture = photo;

  const transmittance = target(width, height);
  clearToOne(renderer, transmittance);
  const densityPass = new Pass(decodeDensity), colourPass = new Pass(decodeColour);
  const throughPass = new Pass(passThrough, multiplying);
  const seenThrough = { density: density.texture, inverseK: inverse(packed.K) };
  const blend = { low, transmittance: transmittance.texture, blended: packed.blended };
  for (const [plane, { colour: own, density: code }] of packed.planes.entries()) {
    const [image, codeImage] = await Promise.all([bitmap(own), bitmap(code)]);
    const hidden = texture(image), codes = texture(codeImage);
    densityPass.draw(renderer, { codes }, density, plane);
    colourPass.draw(renderer, { ...blend, hidden }, colour, plane);
    throughPass.draw(renderer, { ...seenThrough, plane }, transmittance);
    hidden.dispose();
    codes.dispose();
    picture ??= image;
    progress((plane + 1) / layers);
  }
  low.dispose();
  transmittance.dispose();
  return {
    width, height, aspect: packed.aspect, disparity: packed.disparity, K: packed.K, near: packed.near, far: packed.far,
    density, colour, detail, picture: picture!,
  };
}

/** The photo at the planes' size, and what it holds beyond that. */
function split(renderer: WebGLRenderer, photo: ImageBitmap, width: number, height: number) {
  const source = texture(photo);
  const low = target(width, height);
  const detail = target(photo.width, photo.height);
  new Pass(shrink).draw(renderer, { photo: source, size: new Vector2(width, height) }, low);
  new Pass(findDetail).draw(renderer, { photo: source, low: low.texture }, detail);
  source.dispose();
  return { low: low.texture, detail: detail.texture };
}

function clearToOne(renderer: WebGLRenderer, target: WebGLRenderTarget) {
  renderer.setRenderTarget(target);
  renderer.setClearColor(0xffffff, 1);
  renderer.clear(true, false, false);
}

function target(width: number, height: number): WebGLRenderTarget {
  return new WebGLRenderTarget(width, height, {
    type: HalfFloatType, format: RGBAFormat, minFilter: LinearFilter, magFilter: LinearFilter, depthBuffer: false,
  });
}

/** Layers of density (half floats, which WebGL2 can filter) or of colour (8 bits). */
function array(width: number, height: number, layers: number, density: boolean): WebGLArrayRenderTarget {
  return new WebGLArrayRenderTarget(width, height, layers, {
    type: density ? HalfFloatType : UnsignedByteType, format: density ? RedFormat : RGBAFormat,
    minFilter: LinearFilter, magFilter: LinearFilter, depthBuffer: false,
  });
}

function texture(image: ImageBitmap | null): Texture {
  const result = image ? new Texture(image) : new DataTexture(new Uint8Array(4), 1, 1);
  result.flipY = false;
  result.generateMipmaps = false;
  result.minFilter = image ? LinearFilter : NearestFilter;
  result.magFilter = result.minFilter;
  result.needsUpdate = true;
  return result;
}

// The bytes are values, not a picture to show: no colour management, no premultiplication.
function bitmap(base64: string): Promise<ImageBitmap> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/webp" }), {
    colorSpaceConversion: "none", premultiplyAlpha: "none",
  });
}
