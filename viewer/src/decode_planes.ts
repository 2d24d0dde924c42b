// Decodes the planes: turns a scene, in the format that mine/output/web/pack.py documents, into textures. The arithmetic for each pixel is in shaders.ts.
import {
  HalfFloatType, LinearFilter, RedFormat, RGBAFormat, UnsignedByteType, Vector2, WebGLArrayRenderTarget, type WebGLRenderTarget,
  type WebGLRenderer,
} from "three";
import { multiplying, Pass, target, texture } from "./pass";
import { inverse, type Matrix3 } from "./matrix";
import { PhotoDetail } from "./photo_detail";
import { decodeColour, decodeDensity, planeTransmittance } from "./shaders";
import { bytesOf, overTiles, tileGeometries, type Strip } from "./tiles";

/** The JSON object of a scene. Images are base64; see pack.py for each field and its unit. */
interface Packed {
  size: [height: number, width: number];
  aspect: number;
  disparity: number[];
  K: Matrix3;
  near: number;
  far: number;
  nearDepth: number;
  blended: boolean;
  photo: string | null;
  detailShare: string | null;
  strips: Strip[];
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
  /** the photo minus its copy as the planes have it; null without a photo */
  detail: PhotoDetail | null;
}

const options = { vertexShader: overTiles };
const densityPass = new Pass(decodeDensity, options), colourPass = new Pass(decodeColour, options);
const transmittancePass = new Pass(planeTransmittance, { ...options, ...multiplying });

/**
 * Decodes a scene from its JSON text. `progress` is called with the fraction done, 0 to 1. Rejects when `signal` aborts;
 * a scene that is not returned leaves nothing behind.
 */
export async function decodeScene(
  renderer: WebGLRenderer, text: string, progress: (fraction: number) => void, signal: AbortSignal,
): Promise<Scene> {
  const packed = JSON.parse(text) as Packed;
  const strips = packed.strips.map((strip) => [bitmap(strip.colour, "image/webp"), bitmap(strip.density, "image/png")] as const);
  const photo = packed.photo ? bitmap(packed.photo, "image/webp") : null;
  const share = packed.detailShare ? bitmap(packed.detailShare, "image/png") : null;
  const passing = [...strips.flat(), share];
  void Promise.allSettled([...passing, photo]); // one may fail while another is waited for
  try {
    return await drawPlanes(renderer, packed, { strips, photo, share }, progress, signal);
  } catch (error) {
    close(photo); // a scene that is returned keeps it
    throw error;
  } finally {
    for (const image of passing) close(image);
  }
}

/** The images of a scene, while they are decoded. */
interface Images {
  strips: (readonly [colour: Promise<ImageBitmap>, density: Promise<ImageBitmap>])[];
  photo: Promise<ImageBitmap> | null;
  share: Promise<ImageBitmap> | null;
}

async function drawPlanes(
  renderer: WebGLRenderer, packed: Packed, images: Images, progress: (fraction: number) => void, signal: AbortSignal,
): Promise<Scene> {
  const [height, width] = packed.size;
  const layers = packed.disparity.length;
  const [photo, shareImage] = await Promise.all([images.photo, images.share]);
  signal.throwIfAborted();
  const smoother = packed.detailShare ? 2 : 1; // such planes have the photo at half their own resolution
  const scene = {
    width, height, aspect: packed.aspect, disparity: packed.disparity, K: packed.K, near: packed.near, far: packed.far,
    nearDepth: packed.nearDepth,
    density: array(width, height, layers, true), colour: array(width, height, layers, false),
    detail: photo && new PhotoDetail(renderer, photo, Math.floor(width / smoother), Math.floor(height / smoother)),
  };
  const none = texture(null), share = texture(shareImage), transmittance = target(width, height);
  const passing = [none, share, transmittance];
  try {
    clearToOne(renderer, transmittance);
    const planeSize = new Vector2(width, height);
    const rays = { density: scene.density.texture, inverseK: inverse(packed.K), planeSize };
    const blend = {
      photoAtPlanes: scene.detail?.photoAtPlanes ?? none, transmittance: transmittance.texture, blended: packed.blended, share,
      limited: !!packed.detailShare, planeSize,
    };
    let plane = 0;
    for (const [number, strip] of packed.strips.entries()) {
      const [colourImage, codeImage] = await Promise.all(images.strips[number]!);
      signal.throwIfAborted();
      const disoccluded = texture(colourImage), codes = texture(codeImage);
      for (const tiles of tileGeometries(strip, colourImage.width, width)) {
        densityPass.drawOver(tiles, renderer, { codes, planeSize }, scene.density, plane);
        colourPass.drawOver(tiles, renderer, { ...blend, disoccluded }, scene.colour, plane);
        transmittancePass.drawOver(tiles, renderer, { ...rays, plane }, transmittance);
        tiles.dispose();
        plane++;
      }
      for (const spent of [disoccluded, codes]) spent.dispose();
      for (const image of [colourImage, codeImage]) image.close();
      progress(plane / layers);
    }
  } catch (error) {
    dispose(scene);
    throw error;
  } finally {
    for (const spent of passing) spent.dispose();
  }
  return scene;
}

/** Frees the memory that a scene takes on the graphics card. */
export function dispose({ density, colour, detail }: Scene) {
  density.dispose();
  colour.dispose();
  detail?.dispose();
}

function clearToOne(renderer: WebGLRenderer, target: WebGLRenderTarget) {
  renderer.setRenderTarget(target);
  renderer.setClearColor(0xffffff, 1);
  renderer.clear(true, false, false);
}

/** A texture array with a layer per plane: density in half floats, which WebGL 2 can filter, or colour in 8 bits. */
function array(width: number, height: number, layers: number, density: boolean): WebGLArrayRenderTarget {
  return new WebGLArrayRenderTarget(width, height, layers, {
    type: density ? HalfFloatType : UnsignedByteType, format: density ? RedFormat : RGBAFormat,
    minFilter: LinearFilter, magFilter: LinearFilter, depthBuffer: false,
  });
}

/** The bytes are values, not an image to show: no colour management, no premultiplied alpha. */
async function bitmap(base64: string, type: string): Promise<ImageBitmap> {
  return createImageBitmap(new Blob([bytesOf(base64)], { type }), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

/** Frees the memory of an image, once it is decoded. */
function close(image: Promise<ImageBitmap> | null) {
  image?.then((decoded) => decoded.close(), () => {});
}
