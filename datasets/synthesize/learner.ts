// One learner: interests, and the courses that follow from them, one after the other.

import type { Random } from '../../common/random.js';
import { type CourseWorld, PERIODS, STAGES } from './course-world.js';

/** Probability of a course that has nothing to do with the learner's interests, by popularity alone. */
const NOISE = 0.06;
/** Probability of going back for a prerequisite that was not taken. */
const PREREQUISITE_FIRST = 0.7;
/** Courses of a topic after which a learner counts as one stage further. */
const STAGE_COURSES = 5;
/** Draws before a learner who has taken nearly all of a topic looks elsewhere. */
const TRIES = 20;

/** First second of the world, 2021-01-01, and its length: four years. */
const WORLD_START = 1_609_459_200;
const WORLD_SECONDS = 4 * 365 * 86_400;

interface Interest {
  topic: number;
  weight: number;
  /** Exponential growth over the learner's time: interests wax and wane. */
  drift: number;
  stage: number;
  taken: number;
}

/** What a learner did, in order of time. */
export interface LearnerHistory {
  /** Course positions, distinct. */
  courses: Int32Array;
  /** Progress, 0.01 to 1, in hundredths. */
  values: Float64Array;
  /** Unix seconds, ascending. */
  times: Float64Array;
}

/** Makes learners one after the other; `taken` is memory shared between them. */
export class LearnerFactory {
  private readonly world: CourseWorld;
  private readonly random: Random;
  /** takenBy[course] = learner + 1 who took it last. */
  private readonly takenBy: Int32Array;

  constructor(world: CourseWorld, random: Random) {
    this.world = world;
    this.random = random;
    this.takenBy = new Int32Array(world.courses.length);
  }

  /**
   * @param learner number of the learner: the row of the random sequence.
   * @param count   courses to take.
   * @param forced  courses to be among them, for the steps at which they come: −1 is a free choice. [count]
   */
  make(learner: number, count: number, forced: Int32Array): LearnerHistory {
    const { random } = this;
    random.seekRow(learner);
    const interests = this.drawInterests();
    const diligence = 0.6 + random.normal();
    // More learners join later; those who join stay for a while, or to the end.
    const joined = random.next() ** 0.7 * 0.95;
    const stay = (1 - joined) * Math.max(random.next(), 0.02);
    const history = {
      courses: new Int32Array(count),
      values: new Float64Array(count),
      times: new Float64Array(count),
    };
    for (let step = 0; step < count; step++) {
      const moment = joined + (stay * (step + random.next())) / count;
      const course = this.nextCourse(learner, interests, moment, step / count, forced[step]!);
      this.takenBy[course] = learner + 1;
      history.courses[step] = course;
      history.times[step] = Math.floor(WORLD_START + WORLD_SECONDS * moment);
      history.values[step] = this.progress(course, interests, diligence);
    }
    return history;
  }

  /** One to three subjects, in each one to three topics, of unequal weight. */
  private drawInterests(): Interest[] {
    const { world, random } = this;
    const interests: Interest[] = [];
    const subjects = 1 + (random.next() < 0.5 ? 1 : 0) + (random.next() < 0.2 ? 1 : 0);
    for (let n = 0; n < subjects; n++) {
      const subject = world.subjectTable.draw(random);
      const strength = Math.exp(random.normal()) / (n + 1);
      const topics = 1 + random.int(Math.min(3, world.subjects[subject]!.length));
      for (let m = 0; m < topics; m++) {
        const topic = world.subjects[subject]![world.topicTables[subject]!.draw(random)]!;
        const start = random.next();
        interests.push({
          topic,
          weight: strength * Math.exp(0.7 * random.normal()),
          drift: 1.2 * random.normal(),
          stage: start < 0.65 ? 0 : start < 0.92 ? 1 : 2,
          taken: 0,
        });
      }
    }
    return interests;
  }

  private nextCourse(
    learner: number,
    interests: Interest[],
    moment: number,
    progress: number,
    forced: number,
  ): number {
    if (forced >= 0 && this.takenBy[forced] !== learner + 1) return forced;
    const period = Math.min(PERIODS - 1, Math.floor(moment * PERIODS));
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const wanted = this.drawCourse(interests, period, progress);
      if (this.takenBy[wanted] === learner + 1) continue;
      return this.prerequisiteOf(wanted, learner);
    }
    return this.anyCourse(learner, period);
  }

  private drawCourse(interests: Interest[], period: number, progress: number): number {
    const { world, random } = this;
    if (random.next() < NOISE) return world.popularTables[period]!.draw(random);
    const interest = chooseInterest(interests, progress, random);
    const stage = Math.min(STAGES - 1, interest.stage + Math.floor(interest.taken / STAGE_COURSES));
    const table = world.courseTables[(interest.topic * STAGES + stage) * PERIODS + period]!;
    interest.taken++;
    return world.topicCourses[interest.topic]![table.draw(random)]!;
  }

  /** The course itself, or mostly the first of its prerequisites (and theirs) that was not taken. */
  private prerequisiteOf(course: number, learner: number): number {
    let wanted = course;
    for (;;) {
      const missing = this.world.courses[wanted]!.prerequisites.find(
        (other) => this.takenBy[other] !== learner + 1,
      );
      if (missing === undefined || this.random.next() >= PREREQUISITE_FIRST) return wanted;
      wanted = missing;
    }
  }

  /** For learners who have taken nearly everything they care for. */
  private anyCourse(learner: number, period: number): number {
    const { world, random } = this;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const course = world.popularTables[period]!.draw(random);
      if (this.takenBy[course] !== learner + 1) return course;
    }
    let course = random.int(world.courses.length);
    while (this.takenBy[course] === learner + 1) course = (course + 1) % world.courses.length;
    return course;
  }

  /** Diligent learners get further; so does everyone in topics of interest and in easier courses. */
  private progress(course: number, interests: Interest[], diligence: number): number {
    const { random, world } = this;
    const isOfInterest = interests.some((interest) => interest.topic === world.topicOf[course]);
    const fit =
      diligence + (isOfInterest ? 0.8 : -0.6) - 0.4 * world.courses[course]!.level + 0.8 * random.normal();
    return Math.max(1, Math.round(100 / (1 + Math.exp(-fit)))) / 100;
  }
}

function chooseInterest(interests: Interest[], progress: number, random: Random): Interest {
  let sum = 0;
  for (const interest of interests) sum += interest.weight * Math.exp(interest.drift * (progress - 0.5));
  let left = random.next() * sum;
  for (const interest of interests) {
    left -= interest.weight * Math.exp(interest.drift * (progress - 0.5));
    if (left < 0) return interest;
  }
  return interests.at(-1)!;
}
