// The page: from a photo to its scene, and from its scene to a video. Runs once, when Gradio has put the page in place.

const config = JSON.parse($("studio").dataset.config);
const phone = matchMedia("(pointer: coarse)").matches;

let photo = null; // Gradio's description of the photo of the scene on the stage
let depthMap = null; // the same of the visitor's own depth map
let job = null; // AbortController of what runs

const number = (id) => Number($(id).value);
const chosen = (name) => document.querySelector(`#studio input[name="${name}"]:checked`).value;
const sceneSettings = () => [number("planes"), $("detail").value];
const lens = () => [number("fov"), number("strength"), $("invert").checked, depthMap?.path ?? ""];

/** Shows a sample, whose scene is packed beforehand: at once, without the server's doing. */
function showSample(sample) {
  job?.abort();
  photo = { path: sample.photo, orig_name: `${sample.name}.jpg`, meta: { _type: "gradio.FileData" } };
  motions.playing = !reduced;
  stage.wait(null);
  stage.show({ name: sample.title, photo: fileUrl(sample.photo), packed: fileUrl(sample.scene), depth: fileUrl(sample.depth), video: fileUrl(sample.video) });
  motions.picture(fileUrl(sample.motions));
  mark(sample.name);
  buttons();
}

/** Marks the sample that is on the stage; none for a photo of the visitor's own. */
function mark(name) {
  for (const button of document.querySelectorAll("#samples button")) {
    button.setAttribute("aria-pressed", String(button.dataset.sample === name));
  }
}

/** Makes the scene of a photo that the visitor brings. */
async function bring(file) {
  if (!file) return;
  mark(null);
  scrollToStage();
  stage.fail(null);
  const url = URL.createObjectURL(file);
  photo = depthMap = null; // a map belongs to its photo
  mapName(null);
  await run(async (signal) => {
    stage.leave();
    motions.picture(null);
    stage.still(url);
    const tooLarge = file.size > config.largestBytes;
    if (tooLarge) throw new Error(`This file is too large: photos may have ${config.largest}. Choose a smaller one.`);
    const sent = await upload(file, (part) => stage.wait({ text: "Uploading", fraction: 0.1 * part }), signal);
    // Browsers show neither HEIC nor TIFF: the server has a preview of them.
    if (!$("still").naturalWidth) stage.still(fileUrl(sent.path));
    await makeScene(sent, signal);
  });
}

/** Scrolls to the stage where it is not in sight, as on phones. */
function scrollToStage() {
  const { top, bottom } = $("stage").getBoundingClientRect();
  if (top >= 0 && bottom <= innerHeight) return;
  $("stage").scrollIntoView({ block: "start", behavior: reduced ? "auto" : "smooth" });
}

async function makeScene(sent, signal) {
  const progress = ({ fraction, text, waiting }) => {
    if (waiting > 0) stage.wait({ text: waiting === 1 ? "One visitor is before you" : `${waiting} visitors are before you`, fraction: 0.1 });
    else stage.wait({ text: text ?? "Starting", fraction: 0.1 + 0.9 * (fraction ?? 0) });
  };
  const [, depth, files] = await call("predict", [sent, ...sceneSettings(), ...lens()], progress, signal);
  const page = files.find((file) => file.orig_name?.endsWith(".html") ?? file.path.endsWith(".html"));
  photo = sent;
  motions.playing = !reduced;
  const name = page.orig_name.replace(/\.html$/, "");
  const shown = stage.show({ name, photo: fileUrl(sent.path), packed: fileUrl(page.path.replace(/html$/, "json")), depth: fileUrl(depth.path), video: null });
  results.add(sent.path, files.map(described));
  motions.picture(null);
  shown.then(() => drawMotions(sent)); // the 3D view comes first
  showEstimate();
}

/** Shows the camera motions of the scene on the stage, if it is still that photo's. */
async function drawMotions(sent) {
  if (photo !== sent) return;
  const [sheet] = await call("motions", [sent, ...sceneSettings(), ...lens()]).catch(() => [null]);
  if (sheet && photo === sent) motions.picture(fileUrl(sheet.path)); // without thumbnails the names remain
}

/** Uploads a depth map; it is used when the scene is made again. */
async function bringMap(file) {
  if (!file) return;
  try {
    depthMap = await upload(file, () => {});
    mapName(`${file.name} is used when you make the scene again.`);
  } catch (error) {
    mapName(error.message);
  }
}

function mapName(text) {
  $("map-name").textContent = text ?? "";
  $("map-name").hidden = !text;
  $("no-map").hidden = !depthMap;
}

/** Makes the video of the chosen motion. */
const makeVideo = () =>
  run(async (signal) => {
    stage.film(null);
    stage.open("video");
    scrollToStage();
    const source = photo;
    const progress = ({ fraction, text, waiting }) =>
      stage.wait(waiting > 0 ? { text: `${waiting} before you`, fraction: 0 } : { text: text ?? "Starting", fraction });
    const settings = [motions.path, number("amount"), number("seconds"), true, number("longest"), $("gif").checked];
    const extra = [...lens(), number("speed"), chosen("aspect"), $("webp").checked];
    const [video, files] = await call("video", [source, ...sceneSettings(), ...settings, ...extra], progress, signal);
    results.add(source.path, files.map(described));
    stage.film(fileUrl(videoPath(video)));
    stage.open("video");
    say("The video is ready.");
  });

/** Makes a stereo picture, a 3D model or another file of the scene. */
const makeForm = () =>
  run(async (signal) => {
    const source = photo;
    const [form, layout] = $("form").value.split(":");
    const progress = ({ fraction, text }) => stage.wait({ text: text ?? "Starting", fraction });
    const [name, choice] = layout ? ["stereo", layout] : ["export", form];
    const [file] = await call(name, [source, ...sceneSettings(), choice, ...lens()], progress, signal);
    results.add(source.path, [described(file)]);
    say("The file is in the list.");
  });

/** Runs one job at a time; says what goes wrong where the picture would be. */
async function run(work) {
  job?.abort();
  const own = (job = new AbortController());
  stage.fail(null);
  stage.wait({ text: "Starting", fraction: 0 });
  buttons();
  try {
    await work(own.signal);
  } catch (error) {
    if (job === own && !own.signal.aborted) stage.fail(error.message);
    else if (job === own && !photo) stage.fail("Stopped. Choose a photo, or try one of these.");
  } finally {
    if (job === own) {
      job = null;
      stage.wait(null);
      buttons();
    }
  }
}

function buttons() {
  const idle = photo !== null && job === null;
  for (const id of ["make", "again", "make-form"]) $(id).disabled = !idle;
  $("studio").dataset.own = String(Boolean(photo) && !config.samples.some((sample) => sample.photo === photo.path));
  $("motion").inert = $("motion-settings").inert = photo === null;
  $("studio").dataset.state = photo ? "scene" : job ? "busy" : "none";
}

const pagePath = (path) => `scene/${path.split("/").slice(-3).map(encodeURIComponent).join("/")}`;
const videoPath = (video) => video.video?.path ?? video.path;
function described({ path, orig_name, size }) {
  const name = orig_name ?? path.split("/").pop();
  return { url: fileUrl(path), name, size, page: name.endsWith(".html") ? pagePath(path) : null };
}

/** How long a scene takes on this machine, as it has learnt. */
async function showEstimate() {
  const [words] = await call("estimate", []).catch(() => [null]);
  if (words) $("takes").textContent = `It takes ${words}.`;
}

function listen() {
  const input = (id) => $(id).addEventListener("change", () => (bring($(id).files[0]), ($(id).value = "")));
  input("file");
  input("shot");
  $("map").addEventListener("change", () => (bringMap($("map").files[0]), ($("map").value = "")));
  $("choose-map").addEventListener("click", () => $("map").click());
  $("no-map").addEventListener("click", () => ((depthMap = null), mapName(null)));
  const choose = () => $("file").click();
  const shoot = () => $("shot").click();
  $("choose").addEventListener("click", choose);
  $("problem").querySelector("button").addEventListener("click", choose);
  for (const id of ["camera", "action-camera"]) $(id).addEventListener("click", shoot);
  $("make").addEventListener("click", makeVideo);
  $("make-form").addEventListener("click", makeForm);
  $("again").addEventListener("click", () => run((signal) => makeScene(photo, signal)));
  $("stop").addEventListener("click", () => {
    job?.abort();
    call("stop", []).catch(() => {});
  });
  for (const button of document.querySelectorAll("#samples button")) {
    const sample = config.samples.find(({ name }) => name === button.dataset.sample);
    button.firstElementChild.src = fileUrl(sample.photo);
    button.addEventListener("click", () => showSample(sample));
  }
  for (const slider of document.querySelectorAll("#studio .slider input")) {
    const show = () => {
      const zero = slider.dataset.zero;
      const text = zero && slider.value === "0" ? zero : `${slider.value}${slider.dataset.unit ?? ""}`;
      slider.closest("label").querySelector("output").textContent = text;
    };
    slider.addEventListener("input", show);
    show();
  }
  addEventListener("paste", (event) => bring([...(event.clipboardData?.files ?? [])][0]));
  let inside = 0;
  const marked = (step) => (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    inside = Math.max(0, inside + step);
    $("studio").classList.toggle("dropping", inside > 0);
  };
  addEventListener("dragenter", marked(1));
  addEventListener("dragleave", marked(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    $("studio").classList.remove("dropping");
    bring(event.dataTransfer?.files[0]);
  });
}

$("studio").classList.toggle("phone", phone);
heartbeat();
stage.start();
motions.start();
listen();
buttons();
if (config.samples.length) showSample(config.samples[0]);
showEstimate();
