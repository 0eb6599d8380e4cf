// The cost of quality: every measure of quality against the bytes of the cache and against decode speed, with the
// Pareto front. report.html, report.md and the JSON show the same points.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// One metric in one case: an axis of a chart.
struct Measure {
  CaseLayout entry;
  std::string metric, unit, better;
};

struct TradeoffPoint {
  std::string arm;
  double cost = 0, quality = 0;  // medians
  std::optional<Interval> cost_interval, quality_interval;
  std::optional<Interval> quality_seeds;  // the least and the greatest of the seeds' medians, from two seeds on
  bool is_on_front = false;  // no other arm is at least as good in both and better in one, and its cache evicted rows
                             // if it is one that does
};

/// Arms that differ in numbers only (see arm_series.h): what one policy makes of more or fewer bytes.
struct Curve {
  std::string series;
  std::vector<std::size_t> points;  // indices, by cost; at least two
};

struct Tradeoff {
  Measure quality, cost;
  std::vector<TradeoffPoint> points;  // in the order of the arms
  std::vector<Curve> curves;          // over bytes; of another cost, which may fall and rise, there are none
};

/// One for every pair that at least two arms have; rows without a verdict have no point. Bytes are those of the
/// quality's own case where it has them, else of every case that knows its cache; speeds are those of every case that
/// decodes. A training uses no cache, so of the arms that share one only the arm with the most bytes is a point of its
/// quality: the others would seem to have smaller caches for nothing.
[[nodiscard]] ATTNLAB_API std::vector<Tradeoff> tradeoffs(const Results& results);

}  // namespace attnlab::report
