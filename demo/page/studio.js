// The page: from a photo to its scene, and from its scene to a video. Runs once, when Gradio has put the page in place.

const config = JSON.parse($("studio").dataset.config);
const phone = matchMedia("(pointer: coarse)").matches;

let photo = null; // Gradio's description of the photo of the scene on the stage
let made = null; // the settings that this scene was made with: what is made of it is made with the same
let depthMap = null; // the visitor's own depth map for the next scene of this photo, as `photo`
let maps = 0; // counts what was chosen as depth map: an upload that is done late must not replace a later choice
let job = null; // AbortController of what runs
let drawing = null; // the same of the thumbnails of the camera motions, which the visitor does not wait for
let stopping = Promise.resolve(); // until the server has heard that what ran is to end

const number = (id) => Number($(id).value);
const chosen = (name) => document.querySelector(`#studio input[name="${name}"]:checked`).value;
const settings = () => ({
  scene: [number("planes"), $("detail").value],
  lens: [number("fov"), number("strength"), $("invert").checked, depthMap?.path ?? ""],
});

/** Takes back what was asked for the photo before: its lens, its depth and its depth map. */
function forgetLens() {
  useMap(null);
  const [fov, strength, invert] = config.packedWith.lens;
  $("invert").checked = invert;
  for (const [id, value] of Object.entries({ fov, strength })) {
    $(id).value = value;
    $(id).dispatchEvent(new Event("input"));
  }
}

/** Shows a sample, whose scene is packed beforehand: at once, without the server's doing. */
function showSample(sample) {
  stopAll();
  forgetLens();
  made = config.packedWith;
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
  stage.fail(null);
  const url = URL.createObjectURL(file);
  photo = made = null;
  forgetLens();
  stopAll();
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

/** Makes the scene of the photo on the stage with other settings. */
function again() {
  stopAll();
  run((signal) => makeScene(photo, signal));
}

/** Scrolls to the stage where it is not in sight, as on phones. */
function scrollToStage() {
  const { top, bottom } = $("stage").getBoundingClientRect();
  if (top >= 0 && bottom <= innerHeight) return;
  $("stage").scrollIntoView({ block: "start", behavior: reduced ? "auto" : "smooth" });
}

/** Shows how far a call is, from the fraction that was done before it. */
const shown = (before) => ({ fraction, text, waiting }) => {
  if (waiting > 0) stage.wait({ text: waiting === 1 ? "One visitor is before you" : `${waiting} visitors are before you`, fraction: before });
  else stage.wait({ text: text ?? "Starting", fraction: before + (1 - before) * (fraction ?? 0) });
};

async function makeScene(sent, signal) {
  const asked = settings();
  const [, depth, files] = await ask("predict", [sent, ...asked.scene, ...asked.lens], shown(0.1), signal);
  const page = files.find((file) => file.orig_name?.endsWith(".html") ?? file.path.endsWith(".html"));
  photo = sent;
  made = asked;
  motions.playing = !reduced;
  const name = page.orig_name.replace(/\.html$/, "");
  const drawn = stage.show({ name, photo: fileUrl(sent.path), packed: fileUrl(page.path.replace(/html$/, "json")), depth: fileUrl(depth.path), video: null });
  results.add(sent.path, files.map(described));
  motions.picture(null);
  drawn.then(() => drawMotions(asked)); // the 3D view comes first
  showEstimate();
}

/** Shows the camera motions of the scene on the stage, if it is still the one that was made with these settings. */
async function drawMotions(asked) {
  if (made !== asked) return;
  const own = (drawing = new AbortController());
  const data = [photo, ...asked.scene, ...asked.lens];
  const [sheet] = await ask("motions", data, () => {}, own.signal).catch(() => [null]);
  if (drawing === own) drawing = null;
  if (sheet && made === asked) motions.picture(fileUrl(sheet.path)); // without thumbnails the names remain
}

/** Uploads a depth map; it is used when the scene is made again. */
async function bringMap(file) {
  if (!file) return;
  const own = ++maps;
  const [map, text] = await upload(file, () => {}).then(
    (sent) => [sent, `${file.name} is used when you make the scene again.`],
    (error) => [depthMap, error.message],
  );
  if (own === maps) useMap(map, text);
}

/** Uses a depth map for the next scene, or none; says so. */
function useMap(map, text = "") {
  maps++;
  depthMap = map;
  $("map-name").textContent = text;
  $("map-name").hidden = !text;
  $("no-map").hidden = !map;
}

/** Has the server do a job, once it has heard that what ran before is to end: a "stop" ends all that a visitor has running. */
async function ask(...job) {
  await stopping;
  return call(...job);
}

/** Ends what runs for this visitor, so that what comes next need not wait for it. */
function stopAll() {
  if (!job && !drawing) return;
  job?.abort();
  drawing?.abort();
  const told = Promise.all([stopping, requests.settled()]).then(() => call("stop", []));
  const patience = new Promise((resolve) => setTimeout(resolve, 5000)); // an answer that never comes holds nothing up
  stopping = Promise.race([told.catch(() => {}), patience]);
}

/** Makes the video of the chosen motion. */
const makeVideo = () =>
  run(async (signal) => {
    stage.open("video");
    const source = photo;
    const { scene, lens } = made;
    const film = [motions.path, number("amount"), number("seconds"), true, number("longest"), $("gif").checked];
    const extra = [...lens, number("speed"), chosen("aspect"), $("webp").checked];
    const [video, files] = await ask("video", [source, ...scene, ...film, ...extra], shown(0), signal);
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
    const [name, choice] = layout ? ["stereo", layout] : ["export", form];
    const { scene, lens } = made;
    const [file] = await ask(name, [source, ...scene, choice, ...lens], shown(0), signal);
    results.add(source.path, [described(file)]);
    $("files").firstElementChild.scrollIntoView({ block: "nearest", behavior: reduced ? "auto" : "smooth" });
    say("The file is in the list.");
  });

/** Runs one job at a time; says what it does and what goes wrong where the picture would be, and goes there. */
async function run(work) {
  job?.abort();
  const own = (job = new AbortController());
  stage.fail(null);
  stage.wait({ text: "Starting", fraction: 0 });
  scrollToStage();
  buttons();
  try {
    await work(own.signal);
  } catch (error) {
    const told = own.signal.aborted ? null : await reason(error.message);
    if (job === own && !own.signal.aborted) {
      stage.fail(told);
      scrollToStage();
    } else if (job === own && !photo) stage.fail("Stopped. Choose a photo, or try one of these.");
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
  $("no-map").addEventListener("click", () => useMap(null));
  const choose = () => $("file").click();
  const shoot = () => $("shot").click();
  $("choose").addEventListener("click", choose);
  $("another").addEventListener("click", choose);
  for (const id of ["camera", "action-camera"]) $(id).addEventListener("click", shoot);
  $("make").addEventListener("click", makeVideo);
  $("make-form").addEventListener("click", makeForm);
  $("again").addEventListener("click", again);
  $("stop").addEventListener("click", stopAll);
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
endWithPage();
stage.start();
motions.start();
listen();
buttons();
if (config.samples.length) showSample(config.samples[0]);
showEstimate();
