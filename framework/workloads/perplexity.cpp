#include "workloads/perplexity.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/named_path.h"
#include "workloads/prefill.h"
#include "workloads/text_windows.h"
#include "workloads/workload_keys.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::PathKind;
using config::read_first_path;

ReadWorkload read_perplexity(MapReader& reader, const WorkloadReading& reading) {
  auto read = std::make_unique<PerplexityWorkload>();
  PerplexityWorkload& perplexity = *read;
  perplexity.where = reading.where.text();
  if (const Node* text = reader.find("text"))
    perplexity.text = read_first_path(*text, "text", reading.folder, PathKind::file, reading.problems).value_or("");
  const auto context = reader.count("context");
  const auto prefill = read_prefill(reader, "context", context, reading.problems);
  perplexity.context = context.value_or(0);
  perplexity.prefill = prefill.value_or(perplexity.context);
  perplexity.says_prefill = reader.find("prefill") != nullptr;
  perplexity.max_windows = reader.count("max_windows").value_or(0);
  perplexity.stride = reader.count("stride").value_or(0);
  if (context && perplexity.stride >= *context)
    reading.problems.add(reader.find("stride")->mark(),
                         fmt::format("stride: {} is not less than the context of {}", perplexity.stride, *context),
                         "windows without it stand side by side");
  else if (prefill && *prefill < perplexity.context && perplexity.stride > perplexity.context - *prefill)
    reading.problems.add(reader.find("stride")->mark(),
                         fmt::format("stride: of {} tokens those of the prompt are never scored: a context of {} less "
                                     "a prefill of {} is {}",
                                     perplexity.stride, perplexity.context, *prefill, perplexity.context - *prefill),
                         fmt::format("give a stride of at most {}, a shorter prefill, or prefill: {}",
                                     perplexity.context - *prefill, kWholePrefill));
  std::string label = fmt::format("{}_context{}", perplexity.text.stem().string(), perplexity.context);
  if (perplexity.says_prefill) label += prefill_label(perplexity.prefill, perplexity.context);
  if (perplexity.stride > 0) label += fmt::format("_stride{}", perplexity.stride);
  if (perplexity.max_windows > 0) label += fmt::format("_windows{}", perplexity.max_windows);
  return {{std::move(label)}, std::move(read)};
}

const RegisteredWorkload kRegistered{
    {.name = "perplexity",
     .doc = "Negative log-likelihood of a text, through the arm's own cache.",
     .place = 20,
     .keys = {{.name = "text",
               .type = config::KeyType::paths,
               .doc = "A text file; of several the first that is there.",
               .required = true},
              count_key("context", "Tokens of a window, BOS included.", true, 2),
              prefill_key(
                  "Tokens of the window that are the prompt; the rest is fed one at a time, and only the rest is "
                  "scored. Required where a cache may drop or round rows; else, by default, the whole window is the "
                  "prompt and is scored."),
              count_key(
                  "stride",
                  "Tokens from one window to the next, less than the context; only so many at the end of each are "
                  "scored, so that all have a long context before them. Default: the windows stand side by side."),
              count_key("max_windows", "Windows at most; default: all of the text.")},
     .is_deterministic = true,
     .against_baseline = report::kKlToBaseline,
     .read = read_perplexity}};

}  // namespace

CaseSize PerplexityWorkload::size(std::size_t, ModelTexts& model) const {
  const TextWindows windows =
      read_text_windows(text, model.tokenizer(), model.config().vocab_size, context, stride, max_windows);
  return {.longest = context, .windows = static_cast<std::int64_t>(windows.all.size())};
}

std::vector<CaseFeeding> PerplexityWorkload::feedings(std::size_t, const CaseSize&) const {
  return {one_sequence(prefill, context)};
}

double PerplexityWorkload::seconds(std::size_t, const CaseSize& size, const ForwardTime& time) const {
  return static_cast<double>(size.windows) *
         (time.prefill(prefill, 0, is_whole() ? prefill : 1) + time.steps(prefill, context));
}

Measured PerplexityWorkload::measure(std::size_t, const TrialContext& trial) const {
  return measure_perplexity(trial.decoder, trial.model.tokenizer(), *this, trial.baseline, trial.compression);
}

std::map<std::string, double> PerplexityWorkload::numbers(std::size_t) const {
  std::map<std::string, double> numbers{{"context", context}, {"prefill", prefill}};
  if (stride > 0) numbers["stride"] = stride;
  return numbers;
}

std::map<std::string, std::string> PerplexityWorkload::data(FileHashes& files, const std::vector<std::int64_t>&) const {
  return {{"text", text.lexically_normal().string()},
          {"text_bytes", std::to_string(std::filesystem::file_size(text))},
          {"text_sha256", files.sha256(text)},
          {"max_windows", max_windows > 0 ? std::to_string(max_windows) : "all"}};
}

void PerplexityWorkload::identify(nlohmann::ordered_json& identity, FileHashes& files) const {
  identity.push_back(files.quick(text));
}

void PerplexityWorkload::describe(nlohmann::ordered_json& planned, std::int64_t) const {
  planned.update({{"context", context}, {"prefill", prefill}});
  if (stride > 0) planned["stride"] = stride;
}

// A quality of a smaller cache is that of tokens that read it. Without `prefill` a window is one prompt, which is
// answered before rows are dropped or rounded; that has to be meant.
std::optional<Problem> PerplexityWorkload::problem_with(const std::string& arm, const Compression& compression) const {
  if (says_prefill) return std::nullopt;
  return Problem{
      where,
      fmt::format("perplexity: the key \"prefill\" is missing, and arm \"{}\" needs it: {}, and without it a "
                  "window is one prompt, after which no token reads the compressed cache",
                  arm, compression.text()),
      fmt::format("write prefill: {} (the rest of the context is fed token by token and scored), or prefill: {} to "
                  "score prompts alone",
                  std::max(1, context / 2), kWholePrefill)};
}

}  // namespace attnlab::experiment
