// The shaders: decoding of the planes (used by decode_planes.ts) and the rendering of a view (used by renderer.ts). The
// equations are those of mine/render/reference.py; the encoding is that of mine/output/web/pack.py.

/** Vertex shader of a triangle that covers the whole target. */
export const fullScreen = `
in vec3 position;
void main() { gl_Position = vec4(position, 1.0); }
`;

const precision = `
precision highp float;
precision highp sampler2D;
precision highp sampler2DArray;
`;

/** Density of one plane, where it has tiles (tiles.ts): byte b -> optical depth q = σ Δz along the plane's normal, q = u² / (1 - u²) with u = b / 256. */
export const decodeDensity = `${precision}
uniform sampler2D codes;
flat in ivec2 offset;
out vec4 density;
void main() {
  float u = texelFetch(codes, ivec2(gl_FragCoord.xy) + offset, 0).r * (255.0 / 256.0);
  density = vec4(u * u / (1.0 - u * u));
}
`;

/**
 * Transmittance of one plane's interval along the source camera's rays. Blending multiplies it into the target, which
 * then holds T_k = Π_{j<k} (exp(-σ_j δ_j) + 1e-6).
 */
export const planeTransmittance = `${precision}
uniform sampler2DArray density;
uniform mat3 inverseK;
uniform int plane;
out vec4 transmittance;
void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy);
  float slant = length(inverseK * vec3(texel, 1.0));  // δ over Δz
  transmittance = vec4(exp(-texelFetch(density, ivec3(texel, plane), 0).r * slant) + 1e-6);
}
`;

/**
 * Colour of one plane, c_k = T_k I + (1 - T_k) h_k for a source-blended scene. In alpha, the share of the photo's detail:
 * T_k, or where the scene tells it, that wherever the source camera sees the plane.
 */
export const decodeColour = `${precision}
uniform sampler2D disoccluded;
uniform sampler2D photoAtPlanes;
uniform sampler2D transmittance;
uniform sampler2D share;
uniform bool blended;
uniform bool limited;
flat in ivec2 offset;
out vec4 colour;
void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy);
  float T = texelFetch(transmittance, texel, 0).r;
  vec3 own = texelFetch(disoccluded, texel + offset, 0).rgb;
  colour = vec4(blended ? mix(own, texelFetch(photoAtPlanes, texel, 0).rgb, T) : own, T);
  if (limited) colour.a = T > 0.01 ? texelFetch(share, texel, 0).r : 0.0;
}
`;

/**
 * The photo at the planes' resolution, by the antialiased bilinear filter of mine.scene.images.resize: a triangle whose
 * radius is the distance between two texels, at least one photo pixel.
 */
export const downsample = `${precision}
uniform sampler2D photo;
uniform vec2 size;
out vec4 photoAtPlanes;
void main() {
  ivec2 last = textureSize(photo, 0) - 1;
  vec2 step = vec2(textureSize(photo, 0)) / size;
  vec2 radius = max(step, 1.0), middle = gl_FragCoord.xy * step - 0.5;
  ivec2 from = max(ivec2(ceil(middle - radius)), 0), to = min(ivec2(floor(middle + radius)), last);
  vec4 sum = vec4(0.0);
  float total = 0.0;
  for (int y = from.y; y <= to.y; y++) {
    for (int x = from.x; x <= to.x; x++) {
      vec2 weight = max(1.0 - abs(vec2(x, y) - middle) / radius, 0.0);
      sum += weight.x * weight.y * texelFetch(photo, ivec2(x, y), 0);
      total += weight.x * weight.y;
    }
  }
  photoAtPlanes = sum / total;
}
`;

/** The photo minus its copy at the planes' resolution. */
export const photoDetail = `${precision}
uniform sampler2D photo;
uniform sampler2D photoAtPlanes;
out vec4 detail;
void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy);
  detail = texelFetch(photo, texel, 0) - texture(photoAtPlanes, gl_FragCoord.xy / vec2(textureSize(photo, 0)));
}
`;

/**
 * The photo at twice its resolution, minus its copy at the planes' resolution: photo_detail of mine/scene/detail.py.
 * Bilinear samples of twice the pixels keep the photo's fine detail, and the mean of each pixel's four is exactly the
 * pixel. Texels lie a quarter of a pixel from the photo's: AFTER are the weights of a cubic filter (Keys, a = -3/4) a
 * quarter of a pixel after one of them, MEAN those of both sides' average.
 */
export const photoDetailFine = `${precision}
uniform sampler2D photo;
uniform sampler2D photoAtPlanes;
out vec4 detail;
const float AFTER[5] = float[5](0.0, -0.10546875, 0.87890625, 0.26171875, -0.03515625);
const float MEAN[5] = float[5](-0.017578125, 0.078125, 0.87890625, 0.078125, -0.017578125);
void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy), pixel = texel / 2, side = 2 * (texel % 2) - 1;
  ivec2 last = textureSize(photo, 0) - 1;
  vec4 fine = texelFetch(photo, pixel, 0);
  for (int y = -2; y <= 2; y++) {
    for (int x = -2; x <= 2; x++) {
      float weight = AFTER[2 + side.x * x] * AFTER[2 + side.y * y] - MEAN[2 + x] * MEAN[2 + y];
      fine += weight * texelFetch(photo, clamp(pixel + ivec2(x, y), ivec2(0), last), 0);
    }
  }
  detail = fine - texture(photoAtPlanes, gl_FragCoord.xy / vec2(2 * (last + 1)));
}
`;

/**
 * A view, by volume rendering: each pixel composites the planes front to back.
 *
 * The ray from the camera centre o in direction d = Rᵀ K_t⁻¹ p meets plane k (z = 1 / disparity) at
 * o + d (z - o_z) / d_z. The source camera sees that point at pixel a + disparity · (K o - o_z a) with a = K d / d_z:
 * this is the plane-induced homography, written linear in disparity. Each plane costs one read of density; colour and
 * detail are read only where its weight matters.
 */
export const renderView = `${precision}
uniform sampler2DArray density;
uniform sampler2DArray colour;
uniform sampler2D detail;
uniform float disparity[PLANES];
uniform mat3 K;
uniform mat3 inverseK;
uniform mat3 toSource;   // Rᵀ K_t⁻¹
uniform vec3 centre;     // o = -Rᵀ t
uniform vec4 depthRow;   // third row of T: source coordinates -> depth in this view
uniform float height;
uniform vec2 range;      // disparities that the depth view shows darkest and brightest
uniform float depthOpacity;
uniform float detailLevel;  // mipmap of the detail; see renderer.ts
out vec4 pixel;

const float MIN_TRANSMITTANCE = 2e-3;  // below it, a ray ends
const float MIN_WEIGHT = 2e-4;         // below it, a plane's colour is not read

// The colour map of mine/scene/depth.py, 17 of its colours: 0 is far, 1 is near.
const vec3 INFERNO[17] = vec3[17](
  vec3(0.0, 0.0, 0.016), vec3(0.043, 0.027, 0.141), vec3(0.129, 0.047, 0.29), vec3(0.239, 0.035, 0.396),
  vec3(0.341, 0.063, 0.431), vec3(0.443, 0.098, 0.431), vec3(0.541, 0.133, 0.416), vec3(0.639, 0.173, 0.38),
  vec3(0.737, 0.216, 0.329), vec3(0.816, 0.271, 0.271), vec3(0.89, 0.349, 0.2), vec3(0.945, 0.443, 0.122),
  vec3(0.976, 0.549, 0.039), vec3(0.988, 0.667, 0.059), vec3(0.976, 0.788, 0.196), vec3(0.949, 0.91, 0.396),
  vec3(0.988, 1.0, 0.643)
);

vec3 colourMap(float t) {
  int below = min(int(16.0 * t), 15);
  return mix(INFERNO[below], INFERNO[below + 1], 16.0 * t - float(below));
}

void main() {
  vec2 size = vec2(textureSize(density, 0).xy);
  vec3 direction = toSource * vec3(gl_FragCoord.x - 0.5, height - gl_FragCoord.y - 0.5, 1.0);
  vec2 atInfinity = (K * direction).xy / direction.z;  // source pixel of the ray's point at disparity 0
  vec2 perDisparity = (K * centre).xy - centre.z * atInfinity;

  vec3 rgb = vec3(0.0);
  float transmittance = 1.0, total = 0.0, depth = 0.0;
  vec2 sourcePixel = atInfinity + disparity[0] * perDisparity;
  vec3 point = inverseK * vec3(clamp(sourcePixel, vec2(0.0), size - 1.0), 1.0) / disparity[0];
  for (int k = 0; k < PLANES; k++) {
    vec2 uv = (sourcePixel + 0.5) / size;
    vec3 here = point;
    float ratio = 1.0;  // δ along this ray over Δz; the last interval is the same 1e3 on every ray
    if (k + 1 < PLANES) {
      sourcePixel = atInfinity + disparity[k + 1] * perDisparity;
      point = inverseK * vec3(clamp(sourcePixel, vec2(0.0), size - 1.0), 1.0) / disparity[k + 1];
      ratio = distance(point, here) / (point.z - here.z);
    }
    float z = dot(depthRow, vec4(here, 1.0));
    float tau = textureLod(density, vec3(uv, k), 0.0).r * ratio;
    float planeTransmittance = z > 0.0 ? exp(-tau) : 1.0;  // planes behind the camera are transparent
    float weight = transmittance * (1.0 - planeTransmittance);
    if (weight > MIN_WEIGHT) {
      vec4 own = textureLod(colour, vec3(uv, k), 0.0);
      rgb += weight * (own.rgb + own.a * textureLod(detail, uv, detailLevel).rgb);
    }
    total += weight;
    depth += weight * z;
    transmittance *= planeTransmittance + 1e-6;
    if (transmittance < MIN_TRANSMITTANCE) break;
  }
  float t = clamp(((total + 1e-5) / max(depth, 1e-9) - range.x) / (range.y - range.x), 0.0, 1.0);
  pixel = vec4(mix(rgb, colourMap(t), depthOpacity), 1.0);
}
`;
