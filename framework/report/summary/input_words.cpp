#include "report/summary/input_words.h"

#include <algorithm>

#include <fmt/format.h>

#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

double number_of(const ModelIdentity& model, const char* key) {
  const auto found = model.shape.find(key);
  return found == model.shape.end() ? 0 : found->second;
}

std::string weights_words(const ModelIdentity& model) {
  if (model.is_random()) return "random weights from a seed";
  if (model.weights == "training") return "trained by the study";
  if (model.weights == "code") return "weights set by hand";
  return "weights of a checkpoint";
}

// Of the first trial of the case that counted tokens; all arms are fed the same windows.
const TrialResult* scored(const Results& results, const CaseLayout& entry) {
  for (const TrialResult& trial : results.trials)
    if (trial.is_ok() && trial.workload == entry.workload && trial.case_name == entry.case_name &&
        trial.details.is_object() && trial.details.contains("tokens") && trial.details.at("tokens").is_number())
      return &trial;
  return nullptr;
}

std::string at(const CaseLayout& entry, const char* key) {
  const auto found = entry.data.find(key);
  return found == entry.data.end() ? std::string() : found->second;
}

std::string scored_words(const TrialResult& trial) {
  std::string words = fmt::format("{:.0f} tokens scored", trial.details.at("tokens").get<double>());
  const auto windows = trial.details.find("windows");
  if (windows != trial.details.end() && windows->is_object() && windows->contains("tokens"))
    words += fmt::format(" in {} windows", windows->at("tokens").size());
  if (const auto bos = trial.details.find("windows_begin_with_bos"); bos != trial.details.end() && bos->is_boolean())
    words += bos->get<bool>() ? ", each beginning with BOS" : ", without BOS";
  return words;
}

std::string case_words(const Results& results, const CaseLayout& entry) {
  std::vector<std::string> parts;
  if (!at(entry, "text").empty())
    parts.push_back(fmt::format("text {}, {} bytes, sha256 {}", at(entry, "text"), at(entry, "text_bytes"),
                                short_hash(at(entry, "text_sha256"))));
  if (!at(entry, "prompt_sha256").empty())
    parts.push_back(fmt::format("prompt sha256 {}", short_hash(at(entry, "prompt_sha256"))));
  if (!at(entry, "examples").empty())
    parts.push_back(fmt::format("{} examples, seed {}", at(entry, "examples"), at(entry, "seed")));
  if (const TrialResult* trial = scored(results, entry)) parts.push_back(scored_words(*trial));
  return parts.empty() ? "" : fmt::format("{}: {}", case_title(entry), fmt::join(parts, "; "));
}

}  // namespace

std::string short_hash(std::string_view sha256) {
  return std::string(sha256.substr(0, 12));
}

std::string model_words(const ModelIdentity& model) {
  std::string words = fmt::format(
      "{}: {}, {:.0f} layers, hidden {:.0f}, {:.0f} heads ({:.0f} kv) of {:.0f}, vocabulary {:.0f}", model.path,
      model.architecture, number_of(model, "num_hidden_layers"), number_of(model, "hidden_size"),
      number_of(model, "num_attention_heads"), number_of(model, "num_key_value_heads"), number_of(model, "head_dim"),
      number_of(model, "vocab_size"));
  if (model.parameters > 0) words += fmt::format(", {} parameters", format_si(static_cast<double>(model.parameters)));
  words += fmt::format(", {}; sha256 of its config {}, of its weights {}", weights_words(model),
                       short_hash(model.config_sha256), short_hash(model.weights_sha256));
  if (!model.tokenizer_sha256.empty()) words += ", of its tokenizer " + short_hash(model.tokenizer_sha256);
  return one_line(words);
}

std::string banner_words(const Results& results) {
  if (!results.layout.model.is_random()) return {};
  return "Random weights: speeds and bytes mean something, quality does not.";
}

std::vector<std::string> input_words(const Results& results) {
  std::vector<std::string> words;
  const StudyLayout& layout = results.layout;
  if (layout.model.is_known()) words.push_back("Model: " + model_words(layout.model));
  for (const CaseLayout& entry : layout.cases)
    if (const std::string line = case_words(results, entry); !line.empty()) words.push_back(one_line(line));
  if (layout.measured_against != layout.baseline)
    words.push_back(
        one_line(fmt::format("Ratios are to {}, as the report was asked for; KL, the same top token and the "
                             "same bits stay measured against {}, the baseline of the run",
                             layout.baseline, layout.measured_against)));
  else if (!layout.compare_with.empty() && std::ranges::any_of(results.summary.rows, [](const SummaryRow& row) {
             return is_measured_against_an_arm(row.metric);
           }))
    words.push_back(one_line(fmt::format("KL, the same top token and the same bits are measured against {} alone",
                                         layout.measured_against)));
  return words;
}

}  // namespace attnlab::report
