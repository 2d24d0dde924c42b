// Shows a file in three.js (.glb) or in the Spark splat viewer (.ply, .spz) from a camera that the test sets.
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { SparkRenderer, SplatMesh } from "@sparkjsdev/spark";

// The camera of a view: OpenCV's pose (row-major 4x4, target from source), intrinsics in pixels, size of the picture.
window.show = async ({ url, pose, K, width, height }) => {
  const renderer = new THREE.WebGLRenderer({ antialias: url.endsWith(".glb"), preserveDrawingBuffer: true });
  renderer.setSize(width, height, false);
  document.body.append(renderer.domElement);
  const scene = new THREE.Scene();
  const flip = new THREE.Matrix4().makeScale(1, -1, -1);
  const camera = new THREE.PerspectiveCamera();
  const [near, far] = [0.01, 1000];
  const [fx, fy, cx, cy] = [K[0], K[4], K[2] + 0.5, K[5] + 0.5];
  camera.projectionMatrix.makePerspective(
    (-cx * near) / fx, ((width - cx) * near) / fx, (cy * near) / fy, ((cy - height) * near) / fy, near, far,
  );
  camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
  const toSource = new THREE.Matrix4().set(...pose).invert();
  camera.matrixAutoUpdate = false;
  camera.matrix.copy(flip.clone().multiply(toSource).multiply(flip));
  camera.updateMatrixWorld(true);
  if (url.endsWith(".glb")) {
    scene.add((await new GLTFLoader().loadAsync(url)).scene);
    renderer.render(scene, camera);
  } else {
    const spark = new SparkRenderer({ renderer });
    scene.add(spark);
    const splats = new SplatMesh({ url });
    await splats.initialized;
    if (url.endsWith(".ply")) splats.rotation.set(Math.PI, 0, 0); // OpenCV's axes
    scene.add(splats);
    renderer.render(scene, camera); // starts the first sorting
    while (spark.sorting || spark.sortDirty || spark.activeSplats === 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    renderer.render(scene, camera);
  }
  return renderer.domElement.toDataURL("image/png");
};
