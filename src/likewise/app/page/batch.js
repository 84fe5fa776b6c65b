// Jobs over many pictures: a bar that shows how far they are, which goes on without the page, and buttons to stop and go on.

import * as api from "./api.js";
import { $ } from "./dom.js";
import { complain, say } from "./notices.js";
import { spoken } from "./waiting.js";

const WORDS = { count: "Counting", segment: "Looking for it", recognize: "Recognising", overlays: "Drawing", learn: "Learning", teach: "Learning" };
/** Jobs of one long step, which says how far it is. */
const LONG = ["learn", "teach"];

export class Batch {
  /** take(job, records) is told of pictures, in brief; ended(job) of every end. */
  constructor(take, ended) {
    Object.assign(this, { take, ended, job: null, stopped: null, began: null, left: null });
    const doing = (selector, action) => $(selector).addEventListener("click", () => action().catch(complain));
    doing("#batch-cancel", () => api.cancelJob(this.job));
    doing("#batch-resume", async () => {
      await api.resumeJob(this.stopped.id);
      this.show(null, null);
    });
    doing("#batch-forget", async () => {
      this.left = this.stopped.id; // what is told of it late shows it no more
      await api.forgetJob(this.left);
      this.show(null, null);
    });
  }

  /** Begin with a job. */
  async run(start) {
    if (this.job) {
      say("Something is being worked on already; wait for it, or cancel it.");
      return;
    }
    try {
      await start();
    } catch (error) {
      complain(error);
    }
  }

  /** The server says how far a job is: one of this page's, or one that goes on since another had it. */
  heard(job) {
    if (job.records.length) this.take(job, job.records);
    if (job.state === "running") return this.show(job, null);
    if (this.job === job.id) this.job = null;
    this.show(null, job.state === "cancelled" && job.kept && job.id !== this.left && job.done < job.total ? job : null);
    this.report(job);
    this.ended(job);
  }

  /** How far a job of one long step is, in words: what it does, and how long it will take. */
  heardShare({ id, what, share }) {
    if (this.began?.id !== id) this.began = { id, share, at: performance.now() };
    const left = ((performance.now() - this.began.at) / 1000) * ((1 - share) / (share - this.began.share));
    const words = `${Math.round(100 * share)} %: ${what}${Number.isFinite(left) && share < 1 ? `, about ${spoken(left)} to go` : ""}`;
    if (this.job === id) {
      $("#batch-bar").value = share;
      $("#batch-label").textContent = words;
    }
    return words;
  }

  /** What was stopped before the page was opened. */
  async look() {
    const { jobs, stopped } = await api.listJobs();
    if (!jobs.length) this.show(null, stopped[0] ?? null);
  }

  show(job, stopped) {
    Object.assign(this, { job: job?.id ?? null, stopped });
    const shown = job ?? stopped;
    $("#batch").hidden = !shown;
    $("#batch-cancel").hidden = !job;
    $("#batch-resume").hidden = $("#batch-forget").hidden = !stopped;
    if (!shown || (LONG.includes(shown.task) && this.began?.id === shown.id)) return;
    $("#batch-bar").max = shown.total;
    $("#batch-bar").value = shown.done;
    $("#batch-label").textContent = `${WORDS[shown.task]}: ${shown.done} of ${shown.total}${stopped ? ", stopped" : ""}`;
  }

  report(job) {
    if (LONG.includes(job.task)) return job.state === "cancelled" ? say("Stopped; nothing was learnt.") : undefined; // what came of it is told where it was begun
    if (job.state === "cancelled") say(`Stopped after ${job.done} of ${job.total}; what is done stays.`);
    if (job.error) say(job.error, { bad: true });
    if (job.failed) say(`${job.failed} of ${job.total} pictures could not be worked on; the table says which.`, { bad: true });
  }
}
