// Decodes the planes: reads the scene out of the page, in the format that mine/output/web/pack.py documents, and turns it
// into textures. The arithmetic for each pixel is in shaders.ts.
import {
  DataTexture, HalfFloatType, LinearFilter, LinearMipmapLinearFilter, NearestFilter, RedFormat, RGBAFormat, Texture,
  UnsignedByteType, Vector2, WebGLArrayRenderTarget, WebGLRenderTarget, type WebGLRenderer,
} from "three";
import { multiplying, Pass } from "./pass";
import { inverse, type Matrix3 } from "./matrix";
import { decodeColour, decodeDensity, downsample, photoDetail, planeTransmittance } from "./shaders";

/** The JSON object in the page. Images are base64 WebP; see pack.py for each field and its unit. */
interface Packed {
  size: [height: number, width: number];
  aspect: number;
  disparity: number[];
  K: Matrix3;
  near: number;
  far: number;
  nearDepth?: number;
  blended: boolean;
  photo: string | null;
  detailShare: string | null;
  planes: { colour: string; density: string }[];
}

export interface Scene {
  width: number;
  height: number;
  /** width / height of the photo */
  aspect: number;
  /** disparities of the planes, near to far, in 1 / scene units */
  disparity: number[];
  /** intrinsics in pixels of the planes, row-major */
  K: Matrix3;
  /** depths in scene units that the depth view shows brightest and darkest */
  near: number;
  far: number;
  /** depth of the nearest objects in scene units, which camera paths are scaled by */
  nearDepth: number;
  /** a layer per plane: the optical depth q = σ Δz of the plane's interval along its normal */
  density: WebGLArrayRenderTarget;
  /** a layer per plane: colour, and the share of the detail that is added to it in alpha */
  colour: WebGLArrayRenderTarget;
  /** the photo, at twice its size, minus its copy as the planes have it, with mipmaps; 0 without a photo */
  detail: Texture;
  /** the photo, or the nearest plane without one: for the backdrop */
  photo: ImageBitmap;
}

/** Decodes the scene in the page. `progress` is called with the fraction done, 0 to 1. */
export async function decodeScene(renderer: WebGLRenderer, progress: (fraction: number) => void): Promise<Scene> {
  const text = document.getElementById("scene")?.textContent ?? "";
  if (!text.trim()) throw new Error("This page holds no scene: make one with mine export.");
  const packed = JSON.parse(text) as Packed;
  const [height, width] = packed.size;
  const layers = packed.disparity.length;
  const density = array(width, height, layers, true);
  const colour = array(width, height, layers, false);
  const photo = packed.photo ? await bitmap(packed.photo) : null;
  const none = { photoAtPlanes: texture(null), detail: texture(null) };
  const smoother = packed.detailShare ? 2 : 1; // such planes have the photo at half their own resolution
  const { photoAtPlanes, detail } = photo ? splitPhoto(renderer, photo, Math.floor(width / smoother), Math.floor(height / smoother)) : none;
  const share = texture(packed.detailShare ? await bitmap(packed.detailShare) : null);
  let backdrop = photo;

  const transmittance = target(width, height);
  clearToOne(renderer, transmittance);
  const densityPass = new Pass(decodeDensity), colourPass = new Pass(decodeColour);
  const transmittancePass = new Pass(planeTransmittance, multiplying);
  const rays = { density: density.texture, inverseK: inverse(packed.K) };
  const blend = {
    photoAtPlanes, transmittance: transmittance.texture, blended: packed.blended, share, limited: !!packed.detailShare,
  };
  for (const [plane, encoded] of packed.planes.entries()) {
    const [colourImage, codeImage] = await Promise.all([bitmap(encoded.colour), bitmap(encoded.density)]);
    const disoccluded = texture(colourImage), codes = texture(codeImage);
    densityPass.draw(renderer, { codes }, density, plane);
    colourPass.draw(renderer, { ...blend, disoccluded }, colour, plane);
    transmittancePass.draw(renderer, { ...rays, plane }, transmittance);
    disoccluded.dispose();
    codes.dispose();
    backdrop ??= colourImage;
    progress((plane + 1) / layers);
  }
  photoAtPlanes.dispose();
  share.dispose();
  transmittance.dispose();
  return {
    width, height, aspect: packed.aspect, disparity: packed.disparity, K: packed.K, near: packed.near, far: packed.far,
    nearDepth: packed.nearDepth ?? packed.near,
    density, colour, detail, photo: backdrop!,
  };
}

/** The photo at the planes' resolution, and its detail beyond that. */
function splitPhoto(renderer: WebGLRenderer, photo: ImageBitmap, width: number, height: number) {
  const source = texture(photo);
  const photoAtPlanes = target(width, height);
  const detail = target(2 * photo.width, 2 * photo.height, true);
  new Pass(downsample).draw(renderer, { photo: source, size: new Vector2(width, height) }, photoAtPlanes);
  new Pass(photoDetail).draw(renderer, { photo: source, photoAtPlanes: photoAtPlanes.texture }, detail);
  source.dispose();
  return { photoAtPlanes: photoAtPlanes.texture, detail: detail.texture };
}

function clearToOne(renderer: WebGLRenderer, target: WebGLRenderTarget) {
  renderer.setRenderTarget(target);
  renderer.setClearColor(0xffffff, 1);
  renderer.clear(true, false, false);
}

function target(width: number, height: number, mipmaps = false): WebGLRenderTarget {
  return new WebGLRenderTarget(width, height, {
    type: HalfFloatType, format: RGBAFormat, magFilter: LinearFilter, depthBuffer: false,
    generateMipmaps: mipmaps, minFilter: mipmaps ? LinearMipmapLinearFilter : LinearFilter,
  });
}

/** A texture array with a layer per plane: density in half floats, which WebGL 2 can filter, or colour in 8 bits. */
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

/** Decodes base64 WebP. The bytes are values, not an image to show: no colour management, no premultiplied alpha. */
function bitmap(base64: string): Promise<ImageBitmap> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/webp" }), {
    colorSpaceConversion: "none", premultiplyAlpha: "none",
  });
}
