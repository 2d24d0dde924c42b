// Calls of this server's endpoints, by Gradio's own protocol: join the queue, then read one stream of events.

const root = (window.gradio_config?.root ?? location.origin).replace(/\/$/, "");
const api = `${root}/gradio_api`;
const session = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

/** Where the browser gets a file of the server. */
const fileUrl = (path) => `${api}/file=${path.split("/").map(encodeURIComponent).join("/")}`;

const endpoint = (name) => window.gradio_config.dependencies.find((one) => one.api_name === name).id;

/**
 * The session lives as long as this connection, or comes back within minutes. A browser does so by itself when it breaks,
 * but not after an answer other than 200, as a proxy gives one while the server is away.
 */
function heartbeat() {
  const source = new EventSource(`${api}/heartbeat/${session}?farewell`);
  source.onerror = () => source.readyState === EventSource.CLOSED && setTimeout(heartbeat, 3000);
}

/** Ends the session when the page closes: the server removes its files at once. A page that the browser keeps may return. */
function endWithPage() {
  addEventListener("pagehide", ({ persisted }) => persisted || navigator.sendBeacon(`${api}/heartbeat/${session}`));
}

/** Uploads a file; `progress` is called with the fraction sent. Returns Gradio's description of the file. */
function upload(file, progress, signal) {
  return new Promise((resolve, reject) => {
    const body = new FormData();
    body.append("files", file, file.name || "photo");
    const request = new XMLHttpRequest();
    request.open("POST", `${api}/upload?session=${session}`);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      if (request.status !== 200) return reject(new Error(uploadProblem(request)));
      const path = JSON.parse(request.responseText)[0];
      resolve({ path, orig_name: file.name || "photo", size: file.size, meta: { _type: "gradio.FileData" } });
    };
    request.onerror = () => reject(new Error(GONE));
    signal?.addEventListener("abort", () => (request.abort(), reject(new Error("stopped"))));
    request.send(body);
  });
}

function uploadProblem({ status, responseText }) {
  if (status === 413) return `This file is too large: photos may have ${config.largest}. Choose a smaller one.`;
  if (status === 401) return refusal(status);
  return responseText && responseText.length < 200 && !responseText.startsWith("<") ? responseText : `The upload failed (${status}). Try again.`;
}

const GONE = "The server does not answer. Is it still running?";
const LOST = "The connection was lost. Try again.";
const ANEW = "The server was started anew: reload the page.";

/** Why something failed: a server that was started since this page came knows none of the page's files. */
async function reason(text) {
  const answer = await fetch(`${api}/app_id`, { signal: AbortSignal.timeout(3000) }).catch(() => null);
  const { app_id } = (answer?.ok && (await answer.json().catch(() => null))) || {};
  return app_id === undefined || app_id === window.gradio_config.app_id ? text : ANEW;
}

/** Sends an object to one of Gradio's routes. Returns what it answers, or throws what to tell the visitor. */
async function post(route, content) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${api}/${route}`, { method: "POST", headers, body: JSON.stringify(content) }).catch(() => null);
  if (!response) throw new Error(GONE);
  const answer = await response.json().catch(() => null); // what lies in front of Gradio answers in words, a proxy in HTML
  if (response.ok && answer) return answer;
  throw new Error(refusal(response.status, answer?.detail));
}

function refusal(status, detail) {
  if (status === 401) return "Log in again: reload the page.";
  if (typeof detail === "string") return detail;
  return [429, 503].includes(status) ? "The server is busy. Try again soon." : `The server could not do this (${status}). Try again soon.`;
}

/** Calls an endpoint; `progress` is called with { fraction, text } or { waiting }. Resolves to its results. */
async function call(name, data, progress = () => {}, signal = undefined) {
  if (signal?.aborted) throw new Error("stopped");
  const event = await requests.add(join(endpoint(name), data, signal));
  return events.wait(event, progress);
}

/** Joins the queue. The signal takes the call out of it again, also while the server has not answered yet. */
async function join(fn_index, data, signal) {
  const { event_id } = await post("queue/join", { data, fn_index, session_hash: session, event_data: null, trigger_id: null });
  const leave = () => {
    events.drop(event_id);
    return post("cancel", { session_hash: session, fn_index, event_id }).catch(() => {});
  };
  if (signal?.aborted) {
    await leave();
    throw new Error("stopped");
  }
  signal?.addEventListener("abort", () => requests.add(leave()));
  return event_id;
}

/** What tells the server of calls, and of calls that are given up: a "stop" must come after it to reach them all. */
const requests = {
  open: new Set(),
  add(request) {
    this.open.add(request);
    const done = () => this.open.delete(request);
    request.then(done, done);
    return request;
  },
  async settled() {
    while (this.open.size) await Promise.allSettled(this.open);
  },
};

/**
 * The stream of events of all calls that run. The server closes it after the last one. Were it closed here, the server
 * would forget whatever this page asked for since then, a "stop" for example.
 */
const events = {
  calls: new Map(),
  dropped: new Set(),
  early: [],
  source: null,
  wait(id, progress) {
    return new Promise((resolve, reject) => {
      this.calls.set(id, { progress, resolve, reject });
      this.early.splice(0).forEach((message) => this.hear(message));
      this.open();
    });
  },
  drop(id) {
    this.calls.get(id)?.reject(new Error("stopped"));
    this.calls.delete(id);
    this.dropped.add(id);
  },
  open() {
    if (this.source || !this.calls.size) return;
    this.source = new EventSource(`${api}/queue/data?session_hash=${session}`);
    this.source.onmessage = ({ data }) => this.hear(JSON.parse(data));
    this.source.onerror = () => this.lost(LOST);
  },
  shut() {
    this.source?.close();
    this.source = null;
  },
  lost(text) {
    this.shut();
    for (const { reject } of this.calls.values()) reject(new Error(text));
    this.calls.clear();
  },
  hear(message) {
    if (message.msg === "close_stream") return this.shut(), this.open();
    if (message.msg === "server_stopped") return this.lost("The server has stopped.");
    const one = this.calls.get(message.event_id);
    if (!one) return message.event_id && !this.dropped.has(message.event_id) && this.early.push(message);
    if (message.msg === "estimation") one.progress({ waiting: message.rank });
    if (message.msg === "progress") {
      const last = message.progress_data?.at(-1);
      if (last) one.progress({ fraction: last.progress ?? last.index / last.length, text: last.desc });
    }
    if (message.msg === "log") say(plain(message.log), 12000);
    if (message.msg === "process_completed") {
      this.calls.delete(message.event_id);
      if (message.success) one.resolve(message.output.data);
      else one.reject(new Error(plain(message.output?.error ?? "The server could not do this. Try again.")));
    }
  },
};

/** Messages come escaped for HTML; here they are shown as text. */
function plain(text) {
  return new DOMParser().parseFromString(text, "text/html").documentElement.textContent;
}
