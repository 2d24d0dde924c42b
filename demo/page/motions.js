// The camera motions: moving thumbnails of the photo, strength and speed, all at once in the 3D view.

const motions = {
  playing: !reduced,

  get path() {
    return document.querySelector('#motions input:checked').value;
  },

  /** Plays the chosen motion in the 3D view. */
  play() {
    this.playing = true;
    stage.look();
    stage.reveal();
    this.send();
    this.mark();
  },

  send() {
    const seconds = 3 / Number($("speed").value);
    stage.tell({ mine: "play", path: this.path, amount: Number($("amount").value), seconds });
  },

  /** A new scene is there: what played goes on. */
  restart() {
    if (this.playing && (!stage.slow || stage.revealed)) this.send();
    this.mark();
  },

  /** Somebody took hold of the scene. */
  paused() {
    this.playing = false;
    this.mark();
  },

  mark() {
    $("play").textContent = this.playing ? "Pause" : "Play";
  },

  /** Thumbnails of another scene. */
  picture(url) {
    $("motions").style.setProperty("--sheet", url ? `url("${url}")` : "none");
    $("motions").classList.toggle("still", !url);
  },

  start() {
    $("motions").addEventListener("change", () => this.play());
    // A click on the motion that is chosen already plays it again.
    $("motions").addEventListener("click", (event) => event.target.value === this.path && this.play());
    for (const id of ["amount", "speed"]) $(id).addEventListener("input", () => this.play());
    $("play").addEventListener("click", () => {
      if (!this.playing) return this.play();
      stage.tell({ mine: "stop" });
      this.paused();
    });
    this.mark();
  },
};
