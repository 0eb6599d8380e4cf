#include "report/pages/markdown.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/charts/svg_chart.h"
#include "report/pages/method_words.h"
#include "report/pages/training_words.h"
#include "report/pages/verdict_words.h"
#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/summary/generated_texts.h"
#include "report/summary/input_words.h"
#include "report/summary/predictions.h"
#include "report/summary/verdict_table.h"

namespace attnlab::report {
namespace {

std::string table_line(const std::vector<std::string>& fields) {
  return fmt::format("| {} |\n", fmt::join(fields, " | "));
}

std::string table_head(const std::vector<std::string>& fields) {
  std::string rule = "|";
  for (std::size_t i = 0; i < fields.size(); ++i) rule += " --- |";
  return table_line(fields) + rule + "\n";
}

std::string joined(const std::vector<std::string>& texts) {
  std::vector<std::string> escaped;
  for (const std::string& text : texts) escaped.push_back(markdown_text(text));
  return fmt::format("{}", fmt::join(escaped, "; "));
}

std::string bullets(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += "- " + markdown_text(text) + "\n";
  return list + "\n";
}

std::string ratio_text(const VerdictCell& cell) {
  return (cell.is_marked ? fmt::format("**{}**", cell.ratio) : cell.ratio) + (cell.is_unstable ? kUnstableMark : "");
}

// "12.3 k [12.1 k, 12.5 k], **1.31 ×** [1.27, 1.36]"
std::string cell_text(const VerdictCell& cell) {
  if (cell.value.empty()) return "–";
  std::string text = cell.value;
  if (!cell.interval.empty()) text += " " + cell.interval;
  if (!cell.ratio.empty()) text += ", " + ratio_text(cell);
  if (!cell.ratio_interval.empty()) text += " " + cell.ratio_interval;
  return text;
}

// One line for each number of rounds (or windows) that is too small.
std::string unmarkable_words(const Results& results) {
  std::map<std::tuple<std::string, int, int>, std::vector<std::string>> families;
  for (const Family& family : results.summary.families)
    if (!family.can_mark())
      families[{family.unit(), family.rounds, family.rounds_needed}].push_back(
          fmt::format("{} ({})", metric_heading(family.metric), case_title({family.workload, family.case_name})));
  std::string text;
  for (const auto& [key, names] : families) {
    const auto& [unit, rounds, needed] = key;
    text += fmt::format("Nothing can be marked with {} {}, {} would do: {}.\n\n", rounds, unit, needed, joined(names));
  }
  return text;
}

std::string results_section(const Results& results) {
  std::string text = "## Results\n\n";
  const std::vector<VerdictTable> tables = verdict_tables(results, Headline::report);
  if (tables.empty()) return text + "No trial has ended yet.\n\n";
  if (!results.layout.baseline.empty())
    text += fmt::format(
        "Ratios (×) are medians of paired ratios to the baseline {}, each round and seed against its own; they are no "
        "quotients of the medians beside them. ",
        markdown_text(results.layout.baseline));
  text += "↑ more is better, ↓ less is better.";
  if (!results.summary.families.empty())
    text +=
        " A ratio in **bold** is more than chance: its interval, which holds for all arms of the table at once with "
        "95 %, excludes 1.";
  const bool has_unstable = std::ranges::any_of(results.summary.rows, &SummaryRow::is_unstable) ||
                            std::ranges::any_of(results.summary.further, &FurtherRatio::is_unstable);
  if (has_unstable) text += fmt::format(" {} {}.", kUnstableMark, kUnstableWords);
  if (std::ranges::any_of(results.summary.rows, [](const SummaryRow& row) { return row.difference.has_value(); }))
    text += " Δ is a difference to the baseline, paired by seed, where a figure of 0 or below has no ratio.";
  text += "\n\n" + unmarkable_words(results);
  for (const VerdictTable& table : tables) {
    text += "### " + markdown_text(case_title(table.entry)) + "\n\n";
    std::vector<std::string> head = {"arm"};
    for (const std::string& heading : table.headings) head.push_back(markdown_text(heading));
    head.push_back("notes");
    text += table_head(head);
    for (const VerdictRow& row : table.rows) {
      std::vector<std::string> fields = {markdown_text(row.arm)};
      for (const VerdictCell& cell : row.cells) fields.push_back(cell_text(cell));
      fields.push_back(joined(row.notes));
      text += table_line(fields);
    }
    text += "\n";
  }
  return text;
}

// Comparisons with other arms than the baseline, a table for each of them.
std::string further_section(const Results& results) {
  std::string text, reference;
  for (const FurtherLine& line : further_lines(results, Headline::report)) {
    if (line.reference != reference) {
      reference = line.reference;
      text += fmt::format("{}### Against {}\n\n", text.empty() ? "" : "\n", markdown_text(reference));
      text += table_head({"arm", "case", "metric", "median of paired ratios", "interval"});
    }
    text += table_line({markdown_text(line.arm), markdown_text(line.title), markdown_text(line.heading),
                        ratio_text(line.cell), line.cell.ratio_interval});
  }
  return text.empty() ? "" : "## Further comparisons\n\n" + text + "\n";
}

std::string table_text(const WordsTable& table) {
  std::string text;
  for (const std::vector<std::string>& line : table) {
    std::vector<std::string> fields;
    for (const std::string& field : line) fields.push_back(markdown_text(field));
    text += text.empty() ? table_head(fields) : table_line(fields);
  }
  return text;
}

std::string trainings_section(const Results& results) {
  const WordsTable table = trainings_table(results);
  if (table.empty()) return {};
  std::string text = "## Trainings\n\n";
  if (const std::string progress = training_progress(results); !progress.empty())
    text += markdown_text(progress) + "\n\n";
  text += table_text(table) + "\n";
  if (const WordsTable search = search_table(results); !search.empty())
    text += fmt::format("### Search for the learning rate\n\n{}\n\n{}\n", kSearchWords, table_text(search));
  return text;
}

std::string warnings_section(const Results& results) {
  std::vector<std::string> warnings = results.layout.warnings;
  warnings.insert(warnings.end(), results.summary.warnings.begin(), results.summary.warnings.end());
  return warnings.empty() ? "" : "## Warnings\n\n" + bullets(warnings);
}

std::string failures_section(const Results& results) {
  std::string text;
  for (const SummaryRow& row : results.summary.rows) {
    if (row.is_ok()) continue;
    const std::string trials = row.estimate.n > 0 ? std::to_string(row.estimate.n) : "–";
    text += table_line({markdown_text(row.arm), markdown_text(case_title({row.workload, row.case_name})), trials,
                        markdown_text(row.status)});
  }
  if (text.empty()) return text;
  return "## Refused, failed and diverged\n\n" + table_head({"arm", "case", "trials", "why"}) + text + "\n";
}

// Arms that were to run and have no trial in a case: what an interrupted run still owes.
std::string missing_section(const Results& results) {
  std::set<std::string> seen;  // an arm that failed before its first case owes nothing more
  for (const TrialResult& trial : results.trials)
    seen.insert(trial.workload.empty() ? trial.arm : trial.arm + "\n" + trial.workload + "\n" + trial.case_name);
  std::vector<std::string> missing;
  for (const ArmLayout& arm : results.layout.arms) {
    if (!arm.refused.empty() || seen.contains(arm.name)) continue;
    for (const CaseLayout& entry : results.layout.cases)
      if (results.layout.expects(arm, entry) &&
          !seen.contains(arm.name + "\n" + entry.workload + "\n" + entry.case_name))
        missing.push_back(arm.name + ", " + case_title(entry));
  }
  return missing.empty() ? "" : "## Not run yet\n\n" + bullets(missing);
}

std::string predictions_section(const Results& results) {
  std::string text;
  for (const Prediction& one : predictions(results)) {
    const double share = one.measured / one.predicted;
    const std::string note = one.metric == kRecallAccuracy ? "what the cache still holds"
                             : one.is_in_cache             ? "cache-resident: memory sets no bound"
                             : one.is_compute_bound        ? "bound by arithmetic"
                                                           : "bound by memory";
    text += table_line({markdown_text(one.arm), markdown_text(case_title(one.entry)),
                        markdown_text(metric_heading(one.metric)), format_value(one.predicted, one.unit),
                        format_value(one.measured, one.unit), format_value(share, "share"), note});
  }
  if (text.empty()) return text;
  return "## Predicted and measured\n\nDecode: tokens of a step over the larger of its bytes / read bandwidth and its "
         "operations / FMA peak.\n\n" +
         table_head({"arm", "case", "figure", "predicted", "measured", "of predicted", "bound"}) + text + "\n";
}

std::string seeds_section(const Results& results) {
  std::string text;
  for (const SummaryRow& row : results.summary.rows) {
    if (!row.over_seeds || row.over_seeds->low == row.over_seeds->high) continue;
    if (const std::size_t rank = metric_rank(row.metric);
        rank < standard_metrics().size() && standard_metrics()[rank].headline == Headline::none)
      continue;
    text += table_line({markdown_text(row.arm), markdown_text(case_title({row.workload, row.case_name})),
                        markdown_text(metric_heading(row.metric)), format_value(row.over_seeds->low, row.unit),
                        format_value(row.estimate.median, row.unit), format_value(row.over_seeds->high, row.unit)});
  }
  if (text.empty()) return text;
  return "## Spread over seeds\n\nEach seed's median over its rounds: the least, the median and the greatest of them. "
         "The intervals above are about rounds, not about seeds; those of trainings, which have no rounds, are about "
         "seeds.\n\n" +
         table_head({"arm", "case", "metric", "least", "median", "greatest"}) + text + "\n";
}

std::string generated_section(const Results& results) {
  std::string text;
  for (const GeneratedText& one : generated_texts(results)) {
    text += fmt::format("{}, {}:\n\n", joined(one.arms), markdown_text(case_title(one.entry)));
    text += markdown_block(one.prompt + one.text) + "\n";
  }
  return text.empty() ? ""
                      : "## Generated text\n\nThe prompt and what was written after it, each text once.\n\n" + text;
}

std::string inputs_section(const Results& results) {
  std::string text;
  if (const std::string banner = banner_words(results); !banner.empty())
    text += "> **" + markdown_text(banner) + "**\n\n";
  const std::vector<std::string> words = input_words(results);
  return words.empty() ? text : text + bullets(words);
}

std::string method_section(const Results& results) {
  std::string text = "## Method\n\n";
  for (const std::string& paragraph : method(results)) text += markdown_text(paragraph) + "\n\n";
  return text;
}

class EnvironmentTable {
 public:
  explicit EnvironmentTable(const nlohmann::json& environment) : environment_(environment) {}

  std::string text() {
    add("CPU", string_at("/cpu"));
    add("kernels", string_at("/simd_target"));
    add("CPU flags", strings_at("/cpu_flags"));
    add("threads", number_at("/threads", [](double value) { return fmt::format("{:.0f}", value); }) +
                       number_at("/logical_cores", [](double value) { return fmt::format(" of {:.0f}", value); }));
    add("FMA peak (f32)", number_at("/roof/fma_flops_per_second", format_si, "FLOP/s"));
    add("read bandwidth", number_at("/roof/read_bytes_per_second", format_si, "B/s") +
                              number_at("/roof/buffer_bytes", format_bytes, "", " over "));
    add("L1d, L2, L3 of one instance", number_at("/caches/l1d_bytes", format_bytes) +
                                           number_at("/caches/l2_bytes", format_bytes, "", ", ") +
                                           number_at("/caches/l3_bytes", format_bytes, "", ", "));
    add("memory", number_at("/memory_bytes", format_bytes));
    add("system", string_at("/kernel"));
    add("compiler", string_at("/build/compiler"));
    add("build", string_at("/build/build_type"));
    add("libraries", string_at("/build/libraries"));
    add("git revision", string_at("/build/git_revision"));
    add("nodes", nodes_text());
    return "## Environment\n\n" + table_head({"what", "value"}) + text_ +
           "\nPlugin files and their SHA-256 are in environment.json.\n";
  }

 private:
  void add(const std::string& what, const std::string& value) {
    if (!value.empty()) text_ += table_line({what, markdown_text(value)});
  }

  [[nodiscard]] nlohmann::json at(const char* pointer) const {
    const nlohmann::json::json_pointer place(pointer);
    return environment_.contains(place) ? environment_.at(place) : nlohmann::json();
  }

  [[nodiscard]] std::string string_at(const char* pointer) const {
    const nlohmann::json value = at(pointer);
    return value.is_string() ? value.get<std::string>() : std::string();
  }

  // "n1 (Zen 5, AVX3): 4 rounds, 20 trials; n2 ..."
  [[nodiscard]] std::string nodes_text() const {
    std::vector<std::string> nodes;
    const nlohmann::json all = at("/nodes");
    for (const nlohmann::json& node : all) {
      std::vector<std::string> done;
      for (const char* what : {"round", "trial"})
        if (const int count = node.value(std::string(what) + "s", 0); count > 0)
          done.push_back(fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"));
      if (const auto rounds = node.value("round_numbers", std::vector<int>()); !rounds.empty() && !done.empty())
        done.front() += fmt::format(" ({})", fmt::join(rounds, " "));
      nodes.push_back(fmt::format("{} ({}): {}", node.value("name", ""), node.value("kind", ""),
                                  done.empty() ? "nothing" : fmt::format("{}", fmt::join(done, ", "))));
    }
    return fmt::format("{}", fmt::join(nodes, "; "));
  }

  [[nodiscard]] std::string strings_at(const char* pointer) const {
    std::vector<std::string> words;
    for (const nlohmann::json& word : at(pointer))
      if (word.is_string()) words.push_back(word);
    return fmt::format("{}", fmt::join(words, " "));
  }

  template <class Format>
  [[nodiscard]] std::string number_at(const char* pointer, const Format& format, const char* unit = "",
                                      const char* before = "") const {
    const nlohmann::json value = at(pointer);
    if (!value.is_number() || value.get<double>() <= 0) return {};
    return before + format(value.get<double>()) + unit;
  }

  const nlohmann::json& environment_;
  std::string text_;
};

}  // namespace

std::string report_markdown(const Results& results) {
  const StudyLayout& layout = results.layout;
  std::string text = "# " + markdown_text(layout.name) + "\n\n";
  if (!layout.question.empty()) text += markdown_text(layout.question) + "\n\n";
  text += inputs_section(results);
  if (const std::vector<std::string> sentences = verdict(results); !sentences.empty()) text += bullets(sentences);
  text += warnings_section(results) + results_section(results) + further_section(results) + seeds_section(results) +
          trainings_section(results) + predictions_section(results);
  text += chart_links(results);
  text += failures_section(results) + missing_section(results);
  text += generated_section(results) + method_section(results) + EnvironmentTable(results.environment).text();
  return text;
}

}  // namespace attnlab::report
