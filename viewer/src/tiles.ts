// Tiles: a plane comes as the parts of it that show, in an image that several planes share. See mine/output/web/tiles.py.
import { BufferAttribute, BufferGeometry } from "three";

/** Pixels a side of a tile's own part of the plane, and of the tile in the image, with its rim. */
const CORE = 14;
const RIM = 1;
const TILE = CORE + 2 * RIM;
/** The two triangles of a tile: bit 0 of a corner is its place across, bit 1 that down. */
const CORNERS = [0, 1, 2, 2, 1, 3];

/** A run of planes and the image of their tiles, as in the page. */
export interface Strip {
  tiles: string[];
  colour: string;
  density: string;
}

/** The bytes of a base64 string. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * For each plane of a strip, a geometry that covers its tiles. The attribute `place` of a tile has its corner in the
 * plane, and the way from there to the tile's own part of the image, in pixels. All tiles are one draw: instances would
 * each be a draw of their own in software rendering, and took three times as long.
 */
export function tileGeometries({ tiles }: Strip, imageWidth: number, planeWidth: number): BufferGeometry[] {
  const inImage = imageWidth / TILE, inPlane = Math.ceil(planeWidth / CORE);
  let slot = 0;
  return tiles.map((base64) => {
    const bits = bytesOf(base64), places: number[] = [];
    for (let tile = 0; tile < 8 * bits.length; tile++) {
      if (!((bits[tile >> 3]! >> (7 - (tile & 7))) & 1)) continue;
      const x = CORE * (tile % inPlane), y = CORE * Math.floor(tile / inPlane);
      const place = [x, y, TILE * (slot % inImage) + RIM - x, TILE * Math.floor(slot / inImage) + RIM - y];
      places.push(...place, ...place, ...place, ...place);
      slot++;
    }
    const tileCount = places.length / 16;
    const indices = Uint32Array.from({ length: 6 * tileCount }, (_, i) => 4 * Math.floor(i / 6) + CORNERS[i % 6]!);
    const geometry = new BufferGeometry();
    geometry.setAttribute("place", new BufferAttribute(new Float32Array(places), 4));
    geometry.setIndex(new BufferAttribute(indices, 1));
    return geometry;
  });
}

/** Vertex shader of such a geometry: `offset` leads from a pixel of the plane to its texel in the image. */
export const overTiles = `
in vec4 place;
uniform vec2 planeSize;
flat out ivec2 offset;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1);
  offset = ivec2(place.zw);
  gl_Position = vec4(2.0 * (place.xy + ${CORE.toFixed(1)} * corner) / planeSize - 1.0, 0.0, 1.0);
}
`;
