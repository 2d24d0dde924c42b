// GLSL of the viewer. The mathematics is that of mine/render/reference.py, with the names used there.

/** A triangle that covers the whole target. */
export const fullScreen = `
in vec3 position;
void main() { gl_Position = vec4(position, 1.0); }
`;

const precision = `
precision highp float;
precision highp sampler2D;
precision highp sampler2DArray;
`;

/** Code of a plane, 8 bits -> q = σ Δz, the optical depth of the plane's interval along its normal. */
export const decodeDensity = `${precision}
uniform sampler2D codes;
out vec4 density;
void main() {
  float u = texelFetch(codes, ivec2(gl_FragCoord.xy), 0).r * (255.0 / 256.0);
  density = vec4(u * u / (1.0 - u * u));
}
`;

/** What one plane lets through of the source camera's rays; targets multiply: T_k = Π_{j<k} (exp(-σ_j δ_j) + 1e-6). */
export const passThrough = `${precision}
uniform sampler2DArray density;
uniform mat3 inverseK;
uniform int plane;
out vec4 passed;
void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy);
  float slant = length(inverseK * vec3(texel, 1.0));
  passed = vec4(exp(-texelFetch(density, ivec3(texel, plane), 0).r * slant) + 1e-6);
}
`;

/** Colour of one plane, and in alpha how much of it the source camera sees. */
export const decodeColour = `${precision}
uniform sampler2D hidden;
uniform sampler2D low;
uniform sampler2D transmittance;
uniform bool blended;
out vec4 colour;
void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy);
  float seen = texelFetch(transmittance, texel, 0).r;
  vec3 own = texelFetch(hidden, texel, 0).rgb;
  colour = vec4(blended ? mix(own, texelFetch(low, texel, 0).rgb, seen) : own, seen);
}
`;

/**
 * The photo at the planes' size, by the antialiased bilinear filter of mine.scene.mpi.resize: a triangle as wide as the
 * step from one texel to the next, and at least one photo pixel.
 */
export const shrink = `${precision}
uniform sampler2D photo;
uniform vec2 size;
out vec4 low;
void main() {
  ivec2 last = textureSize(photo, 0) - 1;
  vec2 step = vec2(textureSize(photo, 0)) / size;
  vec2 reach = max(step, 1.0), middle = gl_FragCoord.xy * step - 0.5;
  ivec2 from = max(ivec2(ceil(middle - reach)), 0), to = min(ivec2(floor(middle + reach)), last);
  vec4 sum = vec4(0.0);
  float total = 0.0;
  for (int y = from.y; y <= to.y; y++) {
    for (int x = from.x; x <= to.x; x++) {
      vec2 share = max(1.0 - abs(vec2(x, y) - middle) / reach, 0.0);
      sum += share.x * share.y * texelFetch(photo, ivec2(x, y), 0);
      total += share.x * share.y;
    }
  }
  low = sum / total;
}
`;

/** What the photo holds beyond the planes' resolution. */
export const findDetail = `${precision}
uniform sampler2D photo;
uniform sampler2D low;
out vec4 detail;
void main() {
  vec2 at = gl_FragCoord.xy / vec2(textureSize(photo, 0));
  detail = texture(photo, at) - texture(low, at);
}
`;

/**
 * The view: each pixel walks the planes front to back.
 *
 * The ray from the camera centre o along d = Rᵀ K_t⁻¹ p meets plane k (z = 1/disparity) at o + d (z - o_z) / d_z, which
 * the source camera sees at along + disparity · (K o - o_z · along), along = K d / d_z: linear in disparity, so no
 * homographies travel. A plane costs one read of density; colour and detail are read only where it shows.
 */
export const view = `${precision}
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
uniform vec2 range;      // disparities shown as far and near
uniform float depthShare;
out vec4 pixel;

const float SPENT = 2e-3;      // transmittance below which nothing behind is worth reading
const float INVISIBLE = 2e-4;  // weight below which a plane's colour is not worth reading

vec3 ramp(float t) {
  const vec3 far = vec3(0.055, 0.06, 0.17), low = vec3(0.27, 0.2, 0.52), high = vec3(0.89, 0.42, 0.42), near = vec3(1.0, 0.93, 0.72);
  return t < 0.33 ? mix(far, low, t / 0.33) : t < 0.7 ? mix(low, high, (t - 0.33) / 0.37) : mix(high, near, (t - 0.7) / 0.3);
}

void main() {
  vec2 size = vec2(textureSize(density, 0).xy);
  vec3 direction = toSource * vec3(gl_FragCoord.x - 0.5, height - gl_FragCoord.y - 0.5, 1.0);
  vec2 along = (K * direction).xy / direction.z;
  vec2 across = (K * centre).xy - centre.z * along;

  vec3 rgb = vec3(0.0);
  float transmittance = 1.0, total = 0.0, depth = 0.0;
  vec2 at = along + disparity[0] * across;
  vec3 point = inverseK * vec3(clamp(at, vec2(0.0), size - 1.0), 1.0) / disparity[0];
  for (int k = 0; k < PLANES; k++) {
    vec2 texel = (at + 0.5) / size;
    vec3 here = point;
    float ratio = 1.0;  // δ along this ray over Δz; the last interval is the same 1e3 on every ray
    if (k + 1 < PLANES) {
      at = along + disparity[k + 1] * across;
      point = inverseK * vec3(clamp(at, vec2(0.0), size - 1.0), 1.0) / disparity[k + 1];
      ratio = distance(point, here) / (point.z - here.z);
    }
    float z = dot(depthRow, vec4(here, 1.0));
    float passed = z > 0.0 ? exp(-textureLod(density, vec3(texel, k), 0.0).r * ratio) : 1.0;
    float weight = transmittance * (1.0 - passed);
    if (weight > INVISIBLE) {
      vec4 own = textureLod(colour, vec3(texel, k), 0.0);
      rgb += weight * (own.rgb + own.a * textureLod(detail, texel, 0.0).rgb);
    }
    total += weight;
    depth += weight * z;
    transmittance *= passed + 1e-6;
    if (transmittance < SPENT) break;
  }
  float t = clamp(((total + 1e-5) / max(depth, 1e-9) - range.x) / (range.y - range.x), 0.0, 1.0);
  pixel = vec4(mix(rgb, ramp(t), depthShare), 1.0);
}
`;
