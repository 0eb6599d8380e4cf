#include "report/pages/report_json.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include <nlohmann/json.hpp>

#include "report/pages/method_words.h"
#include "report/pages/trainings_json.h"
#include "report/pages/verdict_words.h"
#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/summary/arm_series.h"
#include "report/summary/axes.h"
#include "report/summary/case_maps.h"
#include "report/summary/generated_texts.h"
#include "report/summary/input_words.h"
#include "report/summary/predictions.h"
#include "report/summary/tradeoffs.h"
#include "report/summary/verdict_table.h"

namespace attnlab::report {
namespace {

using Json = nlohmann::ordered_json;

// Raised when a reader of today could not make sense of the JSON any more; new keys do not need it.
constexpr int kFormat = 1;

Json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json place(const std::string& arm, const std::string& workload, const std::string& case_name) {
  return {{"arm", arm}, {"workload", workload}, {"case", case_name}};
}

void add_interval(Json& json, const std::optional<Interval>& interval, const std::string& before = "") {
  if (!interval) return;
  json[before + "low"] = number(interval->low);
  json[before + "high"] = number(interval->high);
}

Json study_json(const StudyLayout& layout) {
  Json json = {{"name", layout.name},
               {"question", layout.question},
               {"baseline", layout.baseline},
               {"measured_against", layout.measured_against},
               {"compare_with", layout.compare_with},
               {"rounds", layout.rounds},
               {"seeds", layout.seeds}};
  if (layout.until > 0) {
    json["least_rounds"] = layout.least_rounds;
    json["most_rounds"] = layout.most_rounds;
    json["until"] = layout.until;
  }
  if (!layout.stopped.empty()) json["stopped"] = layout.stopped;
  json["warnings"] = layout.warnings;
  return json;
}

std::vector<std::string> warnings(const Results& results) {
  std::vector<std::string> all = results.layout.warnings;
  all.insert(all.end(), results.summary.warnings.begin(), results.summary.warnings.end());
  return all;
}

Json arms_json(const StudyLayout& layout) {
  Json arms = Json::array();
  const std::vector<ArmSeries> series = arm_series(layout);
  for (std::size_t i = 0; i < layout.arms.size(); ++i) {
    const ArmLayout& arm = layout.arms[i];
    Json json = {{"name", arm.name}, {"attention", arm.attention}, {"position", arm.position}, {"cache", arm.cache}};
    json["label"] = series[i].label;
    json["series"] = series[i].series;
    if (!series[i].point.empty()) {
      json["point"] = series[i].point;
      json["varied"] = series[i].varied;
    }
    json["colour"] = series[i].colour;
    json["line"] = series[i].line;
    if (!arm.notes.empty()) json["notes"] = arm.notes;
    if (!arm.tags.empty()) json["tags"] = arm.tags;
    if (!arm.numbers.empty()) json["numbers"] = arm.numbers;
    if (!arm.refused.empty()) json["refused"] = arm.refused;
    if (!arm.resolved.is_null()) json["resolved"] = arm.resolved;
    arms.push_back(std::move(json));
  }
  return arms;
}

Json cases_json(const StudyLayout& layout) {
  Json cases = Json::array();
  for (const CaseLayout& entry : layout.cases) {
    Json json = {{"workload", entry.workload}, {"case", entry.case_name}, {"title", case_title(entry)}};
    if (!entry.numbers.empty()) json["numbers"] = entry.numbers;
    if (!entry.data.empty()) json["data"] = entry.data;
    cases.push_back(std::move(json));
  }
  return cases;
}

const char* headline_name(Headline headline) {
  if (headline == Headline::everywhere) return "everywhere";
  return headline == Headline::report ? "report" : "none";
}

Json metrics_json(const Summary& summary) {
  std::vector<const SummaryRow*> firsts;
  for (const SummaryRow& row : summary.rows)
    if (row.is_ok() && std::ranges::find(firsts, row.metric, &SummaryRow::metric) == firsts.end())
      firsts.push_back(&row);
  std::ranges::stable_sort(firsts, {}, [](const SummaryRow* row) { return metric_rank(row->metric); });
  Json metrics = Json::array();
  for (const SummaryRow* row : firsts) {
    const std::size_t rank = metric_rank(row->metric);
    const bool is_standard = rank < standard_metrics().size();
    // A metric that is not standard is all that its workload has to say.
    metrics.push_back({{"name", row->metric},
                       {"heading", metric_heading(row->metric)},
                       {"unit", row->unit},
                       {"better", row->better},
                       {"headline", is_standard ? headline_name(standard_metrics()[rank].headline) : "report"}});
  }
  return metrics;
}

Json row_json(const SummaryRow& row) {
  Json json = place(row.arm, row.workload, row.case_name);
  if (row.is_ok()) json["metric"] = row.metric;
  json["n"] = row.estimate.n;
  if (!row.is_ok()) {
    json["status"] = row.status;
    return json;
  }
  json["median"] = number(row.estimate.median);
  add_interval(json, row.estimate.interval);
  if (row.estimate.interval) json["coverage"] = row.estimate.interval->coverage;  // of a range: what it has
  if (row.ratio) {
    json["ratio"] = number(row.ratio->median);
    add_interval(json, row.ratio->interval, "ratio_");
    if (row.ratio->interval) json["ratio_coverage"] = row.ratio->interval->coverage;
  }
  if (row.difference) {
    json["difference"] = number(row.difference->median);
    add_interval(json, row.difference->interval, "difference_");
    if (row.difference->interval) json["difference_coverage"] = row.difference->interval->coverage;
  }
  if (row.quotient) json["quotient"] = number(*row.quotient);
  if (row.is_marked) json["marked"] = true;
  if (row.is_unstable) json["unstable"] = true;
  if (row.evicted_nothing) json["evicted_nothing"] = true;
  if (!row.no_verdict.empty()) json["no_verdict"] = row.no_verdict;
  add_interval(json, row.over_seeds, "seeds_");
  return json;
}

Json summary_json(const Summary& summary) {
  Json rows = Json::array();
  for (const SummaryRow& row : summary.rows) rows.push_back(row_json(row));
  return rows;
}

Json comparisons_json(const Summary& summary) {
  Json all = Json::array();
  for (const FurtherRatio& further : summary.further) {
    const SummaryRow& row = summary.rows[further.row];
    Json json = place(row.arm, row.workload, row.case_name);
    json["metric"] = row.metric;
    json["compared_with"] = further.reference;
    json["n"] = further.ratio.n;
    json["ratio"] = number(further.ratio.median);
    add_interval(json, further.ratio.interval, "ratio_");
    if (further.ratio.interval) json["ratio_coverage"] = further.ratio.interval->coverage;
    if (further.is_marked) json["marked"] = true;
    if (further.is_unstable) json["unstable"] = true;
    all.push_back(std::move(json));
  }
  return all;
}

Json families_json(const Summary& summary) {
  Json families = Json::array();
  for (const Family& family : summary.families) {
    families.push_back({{"workload", family.workload},
                        {"case", family.case_name},
                        {"metric", family.metric},
                        {"arms", family.arms},
                        {"rounds", family.rounds},
                        {"rounds_needed", family.rounds_needed}});
    if (family.is_of_text) families.back()["of_text"] = true;
    if (family.is_of_examples) families.back()["of_examples"] = true;
    if (family.is_of_seeds) families.back()["of_seeds"] = true;
  }
  return families;
}

Json measure_json(const Measure& measure) {
  return {{"workload", measure.entry.workload},
          {"case", measure.entry.case_name},
          {"metric", measure.metric},
          {"unit", measure.unit},
          {"better", measure.better}};
}

Json tradeoffs_json(const Results& results) {
  Json all = Json::array();
  for (const Tradeoff& tradeoff : tradeoffs(results)) {
    Json points = Json::array();
    for (const TradeoffPoint& point : tradeoff.points) {
      Json json = {{"arm", point.arm}, {"cost", point.cost}, {"quality", point.quality}};
      add_interval(json, point.cost_interval, "cost_");
      add_interval(json, point.quality_interval, "quality_");
      add_interval(json, point.quality_seeds, "quality_seeds_");
      if (point.is_on_front) json["front"] = true;
      points.push_back(std::move(json));
    }
    all.push_back(
        {{"quality", measure_json(tradeoff.quality)}, {"cost", measure_json(tradeoff.cost)}, {"points", points}});
    for (const Curve& curve : tradeoff.curves)
      all.back()["curves"].push_back({{"series", curve.series}, {"points", curve.points}});
  }
  return all;
}

Json axes_json(const StudyLayout& layout) {
  Json all = Json::array();
  for (const Axis& axis : axes(layout)) {
    Json lines = Json::array();
    for (const AxisLine& line : axis.lines) {
      Json points = Json::array();
      for (const AxisPoint& point : line.points)
        points.push_back({{"x", point.x}, {"arm", point.arm}, {"case", point.entry.case_name}});
      lines.push_back({{"label", line.label}, {"points", points}});
    }
    Json json = {{"axis", axis.name}, {"workload", axis.entry.workload}};
    if (!axis.is_of_cases) json["case"] = axis.entry.case_name;
    json["lines"] = lines;
    all.push_back(std::move(json));
  }
  return all;
}

Json maps_json(const StudyLayout& layout) {
  Json all = Json::array();
  for (const CaseMap& map : case_maps(layout))
    all.push_back({{"workload", map.workload},
                   {"across", map.across},
                   {"down", map.down},
                   {"others", map.others},
                   {"xs", map.xs},
                   {"ys", map.ys},
                   {"cases", map.cases}});
  return all;
}

using Key = std::tuple<std::string, std::string, std::string>;  // arm, workload, case

Key key_of(const TrialResult& trial) {
  return {trial.arm, trial.workload, trial.case_name};
}

// Calls `use` for every arm and case with its trials, in the order of the layout.
template <class Use>
void for_every_cell(const Results& results, const Use& use) {
  std::map<Key, std::vector<const TrialResult*>> cells;
  for (const TrialResult& trial : results.trials) cells[key_of(trial)].push_back(&trial);
  std::vector<CaseLayout> entries = {{"", ""}};  // what went wrong before any case
  entries.insert(entries.end(), results.layout.cases.begin(), results.layout.cases.end());
  for (const ArmLayout& arm : results.layout.arms)
    for (const CaseLayout& entry : entries) use(arm, entry, cells[{arm.name, entry.workload, entry.case_name}]);
}

using Trials = std::vector<const TrialResult*>;

void add_series(Json& all, const ArmLayout& arm, const CaseLayout& entry, const Trials& trials, bool has_seeds) {
  if (entry.workload == kTrain) return;  // has no rounds
  std::vector<std::string> order;
  std::map<std::string, Json> of_metric;
  for (const TrialResult* trial : trials) {
    std::map<std::string, std::vector<double>> values;
    for (const Sample& sample : trial->samples) {
      if (sample.is_deterministic || !trial->is_ok()) continue;
      if (of_metric.try_emplace(sample.metric).second) order.push_back(sample.metric);
      values[sample.metric].push_back(sample.value);
    }
    for (const auto& [metric, of_round] : values) {
      Json& json = of_metric[metric];
      json["rounds"].push_back(trial->round);
      if (has_seeds) json["seeds"].push_back(trial->seed);
      json["values"].push_back(number(median(of_round)));
    }
  }
  for (const std::string& metric : order) {
    Json json = place(arm.name, entry.workload, entry.case_name);
    json["metric"] = metric;
    json.update(of_metric[metric]);
    if (json["values"].size() > 1) all.push_back(std::move(json));
  }
}

std::vector<double> probabilities() {
  std::vector<double> all;
  for (int percent = 0; percent <= 100; percent += 2) all.push_back(percent / 100.0);
  for (const double p : {0.05, 0.25, 0.75, 0.95, 0.99}) all.push_back(p);
  std::ranges::sort(all);
  return all;
}

void add_latency(Json& rows, const ArmLayout& arm, const CaseLayout& entry, const Trials& trials) {
  std::vector<double> all;
  for (const TrialResult* trial : trials) {
    const auto found = trial->details.find("token_latencies_s");
    if (!trial->is_ok() || found == trial->details.end() || !found->is_array()) continue;
    for (const nlohmann::json& seconds : *found)
      if (seconds.is_number()) all.push_back(seconds);
  }
  if (all.empty()) return;
  std::ranges::sort(all);
  Json quantiles = Json::array();
  for (const double p : probabilities()) quantiles.push_back(quantile(all, p));
  Json json = place(arm.name, entry.workload, entry.case_name);
  json["samples"] = all.size();
  json["quantiles"] = std::move(quantiles);
  rows.push_back(std::move(json));
}

void add_failures(Json& all, const ArmLayout& arm, const CaseLayout& entry, const Trials& trials) {
  std::map<std::pair<std::string, std::string>, Json> rounds;
  for (const TrialResult* trial : trials)
    if (!trial->is_ok())
      rounds[{trial->status, trial->reason}].push_back(entry.workload == kTrain ? trial->seed
                                                                                : std::int64_t{trial->round});
  for (auto& [what, of] : rounds) {
    Json json = place(arm.name, entry.workload, entry.case_name);
    json["status"] = what.first;
    json["reason"] = what.second;
    json[entry.workload == kTrain ? "seeds" : "rounds"] = std::move(of);
    all.push_back(std::move(json));
  }
}

void add_notes(Json& all, const ArmLayout& arm, const CaseLayout& entry, const Trials& trials) {
  std::vector<std::string> notes;
  for (const TrialResult* trial : trials)
    for (const std::string& note : detail_strings(*trial, "notes"))
      if (std::ranges::find(notes, note) == notes.end()) notes.push_back(note);
  if (notes.empty()) return;
  Json json = place(arm.name, entry.workload, entry.case_name);
  json["notes"] = notes;
  all.push_back(std::move(json));
}

Json generated_json(const Results& results) {
  Json all = Json::array();
  for (const GeneratedText& one : generated_texts(results))
    all.push_back({{"arms", one.arms},
                   {"workload", one.entry.workload},
                   {"case", one.entry.case_name},
                   {"prompt", one.prompt},
                   {"text", one.text}});
  return all;
}

Json predictions_json(const Results& results) {
  Json all = Json::array();
  for (const Prediction& prediction : predictions(results)) {
    Json json = place(prediction.arm, prediction.entry.workload, prediction.entry.case_name);
    json["metric"] = prediction.metric;
    json["unit"] = prediction.unit;
    json["predicted"] = prediction.predicted;
    json["measured"] = prediction.measured;
    add_interval(json, prediction.interval);
    if (prediction.is_in_cache) json["in_cache"] = true;
    all.push_back(std::move(json));
  }
  return all;
}

}  // namespace

Json report_json(const Results& results) {
  const bool has_seeds = results.layout.seeds.size() > 1;
  Json series = Json::array(), latency = Json::array(), failures = Json::array(), missing = Json::array();
  Json notes = Json::array();
  for_every_cell(results, [&](const ArmLayout& arm, const CaseLayout& entry, const Trials& trials) {
    add_series(series, arm, entry, trials, has_seeds);
    add_latency(latency, arm, entry, trials);
    add_failures(failures, arm, entry, trials);
    add_notes(notes, arm, entry, trials);
  });
  std::set<std::string> broken;  // failed before the first case: owes nothing more
  for (const TrialResult& trial : results.trials)
    if (trial.workload.empty()) broken.insert(trial.arm);
  for_every_cell(results, [&](const ArmLayout& arm, const CaseLayout& entry, const Trials& trials) {
    if (!results.layout.expects(arm, entry)) return;
    if (trials.empty() && !entry.workload.empty() && arm.refused.empty() && !broken.contains(arm.name))
      missing.push_back(place(arm.name, entry.workload, entry.case_name));
  });
  Json study = study_json(results.layout);
  study["warnings"] = warnings(results);
  Json environment = Json(results.environment);
  environment.erase("study");
  return {{"format", kFormat},
          {"study", study},
          {"model", results.layout.model.is_known() ? Json(nlohmann::json(results.layout.model)) : Json()},
          {"banner", banner_words(results)},
          {"inputs", input_words(results)},
          {"verdict", verdict(results)},
          {"method", method(results)},
          {"arms", arms_json(results.layout)},
          {"cases", cases_json(results.layout)},
          {"metrics", metrics_json(results.summary)},
          {"summary", summary_json(results.summary)},
          {"comparisons", comparisons_json(results.summary)},
          {"families", families_json(results.summary)},
          {"tradeoffs", tradeoffs_json(results)},
          {"axes", axes_json(results.layout)},
          {"maps", maps_json(results.layout)},
          {"series", series},
          {"latency", {{"probabilities", probabilities()}, {"rows", latency}}},
          {"predictions", predictions_json(results)},
          {"trainings", trainings_json(results)},
          {"failures", failures},
          {"missing", missing},
          {"generated", generated_json(results)},
          {"notes", notes},
          {"environment", environment}};
}

}  // namespace attnlab::report
