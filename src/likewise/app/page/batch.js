// Jobs over many pictures: a bar that shows how far they are, and a button that stops them.

import * as api from "./api.js";
import { $ } from "./dom.js";
import { complain, say } from "./notices.js";

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Batch {
  constructor() {
    this.job = null;
    $("#batch-cancel").addEventListener("click", () => this.job && api.cancelJob(this.job).catch(complain));
  }

  /** Follow a job to its end; take(record) is told of every picture. Gives the job, or null where it did not begin. */
  async run(label, start, take) {
    if (this.job) {
      say("Something is being worked on already; wait for it, or cancel it.");
      return null;
    }
    let job = null;
    try {
      job = await start();
      this.job = job.id;
      $("#batch").hidden = false;
      job = await this.follow(label, job, take);
    } catch (error) {
      complain(error);
    } finally {
      this.job = null;
      $("#batch").hidden = true;
    }
    return job;
  }

  async follow(label, started, take) {
    let seen = 0;
    let wait = 80;
    for (;;) {
      const job = await api.followJob(started.id, seen);
      seen += job.records.length;
      for (const record of job.records) take(record);
      $("#batch-bar").max = job.total;
      $("#batch-bar").value = job.done;
      $("#batch-label").textContent = `${label}: ${job.done} of ${job.total}`;
      if (job.state !== "running") return this.report(job);
      await pause(wait);
      wait = Math.min(wait * 1.4, 700);
    }
  }

  report(job) {
    if (job.state === "cancelled") say(`Stopped after ${job.done} of ${job.total}; what is done stays.`);
    if (job.error) say(job.error, { bad: true });
    if (job.failed) say(`${job.failed} of ${job.total} pictures could not be worked on; the table says which.`, { bad: true });
    return job;
  }
}
