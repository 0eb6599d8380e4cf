// Everything that report.html shows, as JSON for other programs: `attnlab report DIR --format json`. The page embeds
// the same text, so the two cannot differ.
#pragma once

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

#include "report/summary/results.h"

namespace attnlab::report {

/// Keys of the object, in this order. Arms are known by their names, cases by workload and case; what has no value has
/// no key; NaN and infinities are the strings "nan", "inf", "-inf"; all other figures are in full.
///   format       1; raised when a reader of today could not make sense of it any more
///   study        name, question, baseline, measured_against (the arm that KL is to), compare_with, rounds, seeds,
///                least_rounds, most_rounds, until, stopped, warnings
///   model        path, weights ("checkpoint", "seed", "code", "training"), architecture, shape, parameters,
///                config_sha256, weights_sha256, tokenizer_sha256, files; null where the folder does not say it
///   banner       what must stand above everything ("Random weights: ..."), or an empty text
///   inputs       sentences: the model, and for each case its text with hash and the tokens that were scored
///   verdict      sentences
///   method       paragraphs: how it was measured, what the intervals mean
///   arms         name, attention, position, cache, label, series, point, varied, colour, line (how charts tell it
///                from the others: arm_series.h), notes, tags, numbers, refused, resolved
///   cases        workload, case, title, numbers, data (text, text_sha256, text_bytes, seed ...)
///   metrics      name, heading, unit, better, headline ("everywhere", "report", "none"), in the order of the tables
///   summary      arm, workload, case, metric, n, median, low, high, coverage, ratio, ratio_low, ratio_high,
///                ratio_coverage, quotient (of the medians), marked, unstable, evicted_nothing, no_verdict (why),
///                seeds_low, seeds_high; difference, difference_low, difference_high, difference_coverage of a
///                training's figure that has no ratio; where it did not end well: status instead of a metric
///   comparisons  with the arms of compare_with: arm, workload, case, metric, compared_with, n, ratio, ratio_low,
///                ratio_high, ratio_coverage, marked, unstable
///   families     workload, case, metric, arms, rounds, rounds_needed; of_text where rounds are windows of text,
///                of_examples where they are examples of recall, of_seeds where they are seeds
///   tradeoffs    quality and cost (workload, case, metric, unit, better), points: arm, cost, quality, cost_low,
///                cost_high, quality_low, quality_high, quality_seeds_low, quality_seeds_high, front; curves over
///                bytes: series, points (indices, by cost)
///   axes         axis, workload, case (none where the cases vary), lines: label, points: x, arm, case
///   maps         workload, across, down (names of numbers of its cases), others (what else the cases have in common),
///                xs, ys, cases: names, row by row; an empty one where no case has these numbers
///   series       arm, workload, case, metric, rounds, seeds (where there are several), values: one entry per trial
///   latency      probabilities, and rows of arm, workload, case, samples, quantiles (seconds), over all rounds
///   predictions  arm, workload, case, metric, unit, predicted, measured, low, high, in_cache
///   trainings    null without any; else progress (a sentence, empty where all have ended), steps_a_point (points of
///                curves are means of so many steps), runs: id, arms, seed, learning_rate, searched, parameters,
///                planned_steps, status ("waiting", "running", "ok", "diverged", "failed", "timed_out"), reason,
///                stopped_early, kept, steps, seconds, curve (steps, loss), held_out (steps, loss, accuracy);
///                medians: arms, learning_rate, kept, steps, loss, as far as all seeds go; search: arms, rates:
///                learning_rate, validation_loss (mean over seeds), seeds, ended_well, diverged, failed, kept
///   failures     arm, workload, case, status, reason, rounds; of trainings seeds in place of rounds
///   missing      arm, workload, case: planned, and not run yet
///   generated    arms, workload, case, prompt, text: each text once
///   notes        arm, workload, case, notes
///   environment  environment.json without its study
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json report_json(const Results& results);

}  // namespace attnlab::report
