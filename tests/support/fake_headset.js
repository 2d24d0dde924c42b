// A headset for tests: WebXR as far as three.js uses it. Its two eyes are the halves of the page's canvas, and the head
// stands at `headset.head` (metres right, up, backward).
// Its eyes stand far apart, so that few pixels tell them apart.
window.headset = { head: [0, 0, 0], eyes: 0.2, frames: 0 };

class FakeSession extends EventTarget {
  enabledFeatures = [];
  inputSources = [];
  renderState = {};
  updateRenderState(state) {
    Object.assign(this.renderState, state);
  }
  async requestReferenceSpace() {
    return new EventTarget();
  }
  requestAnimationFrame(callback) {
    return window.requestAnimationFrame((time) => {
      if (this.ended) return;
      headset.frames++;
      callback(time, { session: this, getViewerPose: () => ({ views: [-1, 1].map(view) }) });
    });
  }
  cancelAnimationFrame(id) {
    window.cancelAnimationFrame(id);
  }
  async end() {
    this.ended = true;
    this.dispatchEvent(Object.assign(new Event("end"), { session: this }));
  }
}

/** An eye's camera: it sees 90 degrees. */
function view(side) {
  const [x, y, z] = headset.head;
  const matrix = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x + (side * headset.eyes) / 2, y, z, 1];
  const near = 0.1, far = 100;
  const projectionMatrix = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -(far + near) / (far - near), -1, 0, 0, (-2 * far * near) / (far - near), 0];
  return { eye: side < 0 ? "left" : "right", transform: { matrix }, projectionMatrix };
}

window.XRWebGLLayer = class {
  framebuffer = null; // the canvas
  framebufferWidth = 160;
  framebufferHeight = 80;
  getViewport({ eye }) {
    return { x: eye === "left" ? 0 : 80, y: 0, width: 80, height: 80 };
  }
};
delete window.XRWebGLBinding;
WebGL2RenderingContext.prototype.makeXRCompatible = async () => {};
Object.defineProperty(navigator, "xr", {
  value: {
    isSessionSupported: async (mode) => mode === "immersive-vr",
    requestSession: async () => (headset.session = new FakeSession()),
  },
});
