#include "workloads/continuation.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/named_path.h"
#include "workloads/workload_keys.h"

namespace attnlab::experiment {
namespace {

constexpr std::string_view kQuery = "query";

ReadWorkload read_continuation(config::MapReader& reader, const WorkloadReading& reading) {
  auto read = std::make_unique<ContinuationWorkload>();
  ContinuationWorkload& continuation = *read;
  continuation.where = reading.where.text();
  continuation.examples = reader.count("examples").value_or(0);
  if (reader.choice(kQuery) == "before") continuation.query = Query::before;
  if (const config::Node* file = reader.find("file")) {
    const auto path = config::read_path(*file, "file", reading.folder, config::PathKind::file, reading.problems);
    continuation.file = path.value_or("");
    if (path) {
      try {
        (void)read_choice_texts(*path, continuation.examples);
      } catch (const Error& error) {
        reading.problems.add(file->mark(), error);
      }
    }
  }
  std::string label = continuation.file.stem().string();
  if (continuation.examples > 0) label += fmt::format("_examples{}", continuation.examples);
  if (continuation.query == Query::before) label += "_query_before";
  return {{std::move(label)}, std::move(read)};
}

const RegisteredWorkload kRegistered{
    {.name = "continuation",
     .doc = "Which of several continuations of a text is likeliest: right choices of questions in a file.",
     .place = 47,
     .keys = {{.name = "file",
               .type = config::KeyType::path,
               .doc = "JSON, a text a line: {\"prompt\": \"...\", \"choices\": [\"...\", \"...\"], \"answer\": 0}.",
               .required = true},
              count_key("examples", "Texts of the file, from the first on; default: all."),
              {.name = kQuery,
               .type = config::KeyType::choice,
               .doc = "Whether a question is read after the prompt, token by token and so after what the cache does to "
                      "a prompt, or is the end of the prompt: after (default) or before. Choices always follow.",
               .choices = {"after", "before"}}},
     .is_deterministic = true,
     .read = read_continuation}};

std::vector<TokenText> texts_for(const ContinuationWorkload& workload, ModelTexts& model) {
  return tokens_of(read_choice_texts(workload.file, workload.examples), workload.file, model.tokenizer(),
                   model.config().vocab_size);
}

}  // namespace

CaseSize ContinuationWorkload::size(std::size_t, ModelTexts& model) const {
  CaseSize size;
  for (const TokenText& text : texts_for(*this, model)) {
    size.longest = std::max(size.longest, text.longest());
    size.prompts += query == Query::before ? std::ssize(text.questions) : 1;
    for (const TokenQuestion& question : text.questions) {
      const auto asked = query == Query::before ? std::ssize(question.question) : 0;
      size.tokens = std::max(size.tokens, std::ssize(text.prompt) + asked);
      size.windows += std::ssize(question.choices);
    }
  }
  return size;
}

std::vector<CaseFeeding> ContinuationWorkload::feedings(std::size_t, const CaseSize& size) const {
  return {one_sequence(static_cast<int>(std::min<std::int64_t>(size.tokens, size.longest)), size.longest)};
}

// The session, and the states that prompt and question left.
CaseRows ContinuationWorkload::most_rows(std::size_t, const CaseSize& size) const {
  return {.rows = 3.0 * size.longest};
}

double ContinuationWorkload::seconds(std::size_t, const CaseSize& size, const ForwardTime& time) const {
  const auto tokens = static_cast<double>(size.tokens);
  return static_cast<double>(size.prompts) * time.prefill(tokens, 0, 1) +
         static_cast<double>(size.windows) * time.steps(tokens, size.longest);
}

Measured ContinuationWorkload::measure(std::size_t, const TrialContext& trial) const {
  return measure_continuation(trial.decoder, texts_for(*this, trial.model), query, trial.compression);
}

std::map<std::string, double> ContinuationWorkload::numbers(std::size_t) const {
  return {};
}

std::map<std::string, std::string> ContinuationWorkload::data(FileHashes& files,
                                                              const std::vector<std::int64_t>&) const {
  std::map<std::string, std::string> data{{"text", file.lexically_normal().string()},
                                          {"text_bytes", std::to_string(std::filesystem::file_size(file))},
                                          {"text_sha256", files.sha256(file)}};
  if (query == Query::before) data["kind"] = "query before";
  return data;
}

void ContinuationWorkload::identify(nlohmann::ordered_json& identity, FileHashes& files) const {
  identity.push_back(files.quick(file));
}

void ContinuationWorkload::describe(nlohmann::ordered_json& planned, std::int64_t) const {
  planned["query"] = query == Query::before ? "before" : "after";
  if (examples > 0) planned["examples"] = examples;
}

}  // namespace attnlab::experiment
