// What learners choose from: topics within subjects, popularity within topics, levels and periods.

import { createRandom, type Random } from '../../common/random.js';
import { AliasTable } from './alias-table.js';
import type { Course } from './course-list.js';

/** Beginner, intermediate, advanced: how far a learner has come in a topic. */
export const STAGES = 3;
/** The years are cut into so many periods, between which popularity drifts. */
export const PERIODS = 6;

/** How well a course of a level suits a stage: `LEVEL_FIT[stage][level]`. */
const LEVEL_FIT = [
  [1, 0.2, 0.03],
  [0.4, 1, 0.25],
  [0.1, 0.6, 1],
];
/** A topic has about so many courses; subjects with more courses have more topics. */
const TOPIC_COURSES = 40;
const TOPICS_PER_SUBJECT_MAX = 12;
/** Exponents of Zipf's law: of courses within a topic, and of topics and subjects among each other. */
const COURSE_SKEW = 0.8;
const TOPIC_SKEW = 0.5;
/** Share of courses that touch a second topic, and how much they weigh there. */
const SECOND_TOPIC_SHARE = 0.25;
const SECOND_TOPIC_WEIGHT = 0.4;
/** Share of courses that start after the first period; popularity lost per period since a course's start. */
const LATE_SHARE = 0.3;
const DECAY_PER_PERIOD = 0.25;

const STREAM = 12;

export interface CourseWorld {
  courses: readonly Course[];
  /** Topic numbers of each subject; subjects are categories in order of first occurrence. */
  subjects: number[][];
  subjectTable: AliasTable;
  /** For each subject, which of its topics. */
  topicTables: AliasTable[];
  /** Courses of each topic. */
  topicCourses: Int32Array[];
  /** Draws a position in `topicCourses[topic]`: at (topic·STAGES + stage)·PERIODS + period. */
  courseTables: AliasTable[];
  /** Draws any course by popularity, for each period. */
  popularTables: AliasTable[];
  /** First topic of each course. */
  topicOf: Int32Array;
}

export function buildWorld(courses: readonly Course[], seed: number): CourseWorld {
  const random = createRandom(seed, STREAM);
  const categories = [...new Set(courses.map((course) => course.category))];
  const bySubject = categories.map((name) =>
    shuffled(
      courses.flatMap((course, at) => (course.category === name ? [at] : [])),
      random,
    ),
  );
  const subjects: number[][] = [];
  const members: { course: number; weight: number }[][] = [];
  for (const inSubject of bySubject) {
    const topics = Math.min(
      TOPICS_PER_SUBJECT_MAX,
      Math.max(1, Math.round(inSubject.length / TOPIC_COURSES)),
    );
    subjects.push(Array.from({ length: topics }, (_, n) => members.length + n));
    for (let topic = 0; topic < topics; topic++) {
      const inTopic = inSubject.filter((_, n) => n % topics === topic);
      members.push(inTopic.map((course, rank) => ({ course, weight: popularity(rank, random) })));
    }
  }
  const topicOf = new Int32Array(courses.length);
  members.forEach((inTopic, topic) => {
    for (const { course } of inTopic) topicOf[course] = topic;
  });
  addSecondTopics(members, random);
  const startOf = Int32Array.from(courses, () =>
    random.next() < LATE_SHARE ? 1 + random.int(PERIODS - 1) : 0,
  );
  return {
    courses,
    subjects,
    subjectTable: zipfTable(subjects.length, random),
    topicTables: subjects.map((topics) => zipfTable(topics.length, random)),
    topicCourses: members.map((inTopic) => Int32Array.from(inTopic, ({ course }) => course)),
    courseTables: buildCourseTables(members, courses, startOf),
    popularTables: buildPopularTables(members, courses.length, startOf),
    topicOf,
  };
}

type Members = { course: number; weight: number }[][];

function popularity(rank: number, random: Random): number {
  return (rank + 1) ** -COURSE_SKEW * Math.exp(0.4 * random.normal());
}

function addSecondTopics(members: Members, random: Random): void {
  const firsts = members.flatMap((inTopic, topic) => inTopic.map((member) => ({ ...member, topic })));
  for (const { course, weight, topic } of firsts) {
    if (random.next() >= SECOND_TOPIC_SHARE) continue;
    const second = random.int(members.length);
    if (second !== topic) members[second]!.push({ course, weight: weight * SECOND_TOPIC_WEIGHT });
  }
}

function buildCourseTables(members: Members, courses: readonly Course[], startOf: Int32Array): AliasTable[] {
  const tables: AliasTable[] = [];
  for (const inTopic of members) {
    for (let stage = 0; stage < STAGES; stage++) {
      for (let period = 0; period < PERIODS; period++) {
        tables.push(
          new AliasTable(
            Float64Array.from(
              inTopic,
              ({ course, weight }) =>
                weight * LEVEL_FIT[stage]![courses[course]!.level]! * freshness(startOf[course]!, period),
            ),
          ),
        );
      }
    }
  }
  return tables;
}

function buildPopularTables(members: Members, count: number, startOf: Int32Array): AliasTable[] {
  return Array.from({ length: PERIODS }, (_, period) => {
    const weights = new Float64Array(count);
    for (const inTopic of members) {
      for (const { course, weight } of inTopic)
        weights[course]! += weight * freshness(startOf[course]!, period);
    }
    return new AliasTable(weights);
  });
}

/** Courses that have not started are hardly taken: a few learners get in early. */
function freshness(start: number, period: number): number {
  return period < start ? 0.01 : Math.exp(-DECAY_PER_PERIOD * (period - start));
}

function zipfTable(count: number, random: Random): AliasTable {
  const ranks = shuffled(
    Array.from({ length: count }, (_, n) => n),
    random,
  );
  return new AliasTable(Float64Array.from(ranks, (rank) => (rank + 1) ** -TOPIC_SKEW));
}

function shuffled(numbers: number[], random: Random): number[] {
  for (let n = numbers.length - 1; n > 0; n--) {
    const other = random.int(n + 1);
    [numbers[n], numbers[other]] = [numbers[other]!, numbers[n]!];
  }
  return numbers;
}
