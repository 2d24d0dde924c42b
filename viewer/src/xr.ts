// Stereo on headsets: the photo is a window, and each eye looks through it from its own place. What lies beyond the
// window's edges is never seen, so that the head may move freely.
import { Mesh, MeshBasicMaterial, PerspectiveCamera, PlaneGeometry, Scene as ThreeScene, type WebGLRenderer, WebGLRenderTarget } from "three";
import type { ViewerCamera } from "./camera";
import type { Scene } from "./decode_planes";
import type { SceneRenderer } from "./renderer";

/** Distance of the window in metres; the plane that stays in place lies in it. */
const DISTANCE = 2;
/** What is around the window. */
const SURROUNDINGS = 0x0c0d10;
/** Longest side of each eye's view in pixels, at most `MAGNIFICATION` of the planes': more shows nothing new. */
const SIDE = 1280;
const MAGNIFICATION = 2;

/** Whether this browser shows immersive scenes, on a headset that is there. */
export async function offersXr(): Promise<boolean> {
  try {
    return (await navigator.xr?.isSessionSupported("immersive-vr")) ?? false;
  } catch {
    return false; // a frame without the permission
  }
}

export class XrWindow {
  private session: XRSession | null = null;

  constructor(private readonly renderer: WebGLRenderer, private readonly sceneRenderer: SceneRenderer) {}

  /** Whether a headset shows the scene: nothing else may then draw. */
  get active(): boolean {
    return this.session !== null;
  }

  /**
   * Shows a scene on the headset, or ends what it shows; `ended` is called when that has ended, whoever ends it. Returns
   * whether it has begun.
   */
  async toggle(scene: Scene, camera: ViewerCamera, ended: () => void): Promise<boolean> {
    if (this.session) {
      await this.leave();
      return false;
    }
    const { xr } = this.renderer;
    const session = await navigator.xr!.requestSession("immersive-vr");
    const eyes = new PerspectiveCamera(), window = new Window(scene);
    const end = () => {
      if (this.session !== session) return;
      this.session = null;
      this.renderer.setAnimationLoop(null);
      this.renderer.setPixelRatio(1); // three.js loses it with a session that ends before it has begun
      xr.enabled = false;
      window.dispose();
      ended();
    };
    this.session = session;
    this.renderer.setClearColor(SURROUNDINGS);
    // Before the session begins, so that three.js stops its loop outside of it.
    this.renderer.setAnimationLoop(() => this.draw(window, scene, camera, eyes));
    xr.enabled = true;
    xr.setReferenceSpaceType("local");
    const begun = xr.setSession(session);
    // After three.js's own, which gives the canvas back its size, and before the session may end.
    session.addEventListener("end", end);
    try {
      await begun;
    } catch (error) {
      if (!this.session) return false; // it has ended meanwhile
      await session.end().catch(() => {});
      end();
      throw error;
    }
    return this.session === session;
  }

  /** Ends what the headset shows. */
  async leave() {
    if (!this.session) return;
    this.renderer.setAnimationLoop(null);
    await this.session.end();
  }

  private draw({ views, stage }: Window, scene: Scene, camera: ViewerCamera, eyes: PerspectiveCamera) {
    const { xr } = this.renderer;
    if (!xr.isPresenting) return;
    xr.updateCamera(eyes);
    xr.enabled = false; // each eye's view is an ordinary picture
    for (const [eye, { target }] of views.entries()) {
      const at = xr.getCamera().cameras[eye];
      if (!at) continue;
      const [x, y, z] = at.matrixWorld.elements.slice(12, 15) as [number, number, number];
      this.sceneRenderer.render(scene, camera.windowView([x, y, z], DISTANCE, target.width, target.height), target, true);
    }
    xr.enabled = true;
    this.renderer.clear();
    this.renderer.render(stage, eyes);
  }
}

/** The window on the photo, with a picture for each eye. */
class Window {
  readonly stage = new ThreeScene();
  readonly views: { target: WebGLRenderTarget; mesh: Mesh<PlaneGeometry, MeshBasicMaterial> }[];

  constructor(scene: Scene) {
    const { aspect } = scene;
    const side = Math.min(SIDE, MAGNIFICATION * Math.max(scene.width, scene.height));
    const width = Math.round(Math.min(side, side * aspect)), height = Math.round(Math.min(side, side / aspect));
    // As wide as the photo's camera saw it from this distance.
    const metres = (DISTANCE * scene.width) / scene.K[0];
    this.views = [1, 2].map((layer) => {
      const target = new WebGLRenderTarget(width, height, { depthBuffer: false });
      const mesh = new Mesh(new PlaneGeometry(metres, metres / aspect), new MeshBasicMaterial({ map: target.texture }));
      mesh.position.z = -DISTANCE;
      mesh.layers.set(layer); // three.js shows layer 1 to the left eye and layer 2 to the right one
      this.stage.add(mesh);
      return { target, mesh };
    });
  }

  /** Frees the memory of the graphics card. */
  dispose() {
    for (const { target, mesh } of this.views) {
      target.dispose();
      mesh.geometry.dispose();
      mesh.material.dispose();
    }
  }
}
