#include "workloads/measured.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attnlab::experiment {

void Measured::add(std::string metric, std::string unit, std::string better, double value, bool deterministic) {
  samples.push_back({std::move(metric), std::move(unit), std::move(better), value, deterministic});
}

void Measured::look_at(std::span<const float> logits) {
  for (const float logit : logits) has_nonfinite_logits = has_nonfinite_logits || !std::isfinite(logit);
}

void CacheUse::count_step(const model::Session& session) {
  after_steps.push_back(static_cast<double>(session.kv_bytes()));
}

void CacheUse::count_end(const model::Session& session) {
  at_an_end = std::max(at_an_end, static_cast<double>(session.kv_bytes()));
  nominal = std::max(nominal, static_cast<double>(session.kv_bytes_nominal()));
  evicted += session.appended_rows() - session.live_rows();
}

void Measured::add_cache(const CacheUse& use) {
  const double sum = std::accumulate(use.after_steps.begin(), use.after_steps.end(), 0.0);
  add("kv_bytes_mean", "bytes", "lower", sum / static_cast<double>(use.after_steps.size()), true);
  add("kv_bytes_peak", "bytes", "lower", *std::max_element(use.after_steps.begin(), use.after_steps.end()), true);
  add("kv_bytes_allocated", "bytes", "lower", use.at_an_end, true);
  add("kv_bytes_nominal", "bytes", "lower", use.nominal, true);
  add("rows_evicted", "", "none", static_cast<double>(use.evicted), true);
}

void Measured::add_scored(std::int64_t tokens, std::int64_t read, const CacheUse& use,
                          const std::optional<Compression>& compression) {
  add(std::string(report::kTokensScored), "", "none", static_cast<double>(tokens), true);
  if (!compression && use.evicted == 0) details["keeps_every_row"] = true;
  if (compression && compression->drops_rows && use.evicted == 0) {
    details["evicted_nothing"] = true;
    details["notes"].push_back("evicted nothing");
  }
  if (read > 0 || (!compression && use.evicted == 0)) return;
  const std::string reason = compression.value_or(Compression{"the cache", "dropped rows"}).unread();
  details["no_verdict"] = reason;
  details["notes"].push_back("no verdict: " + reason);
}

}  // namespace attnlab::experiment
