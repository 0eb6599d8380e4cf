// A workload is one file: what it registers is all that reading, planning and the JSON Schema know of it.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "reference/plugins.h"
#include "study/spec_schema.h"
#include "unit/spec_samples.h"
#include "workloads/workload.h"
#include "workloads/workload_keys.h"

namespace attnlab::experiment {
namespace {

// As an author would write it: so many tokens are fed, and nothing is measured but that.
class TokensFed final : public Workload {
 public:
  int tokens = 0;

  CaseSize size(std::size_t, ModelTexts&) const override { return {.longest = tokens}; }
  std::vector<CaseFeeding> feedings(std::size_t, const CaseSize&) const override {
    return {one_sequence(tokens, tokens)};
  }
  double seconds(std::size_t, const CaseSize&, const ForwardTime& time) const override {
    return time.prefill(tokens, 0, 1);
  }
  Measured measure(std::size_t, const TrialContext&) const override {
    Measured measured;
    measured.add("tokens_fed", "", "none", tokens, true);
    return measured;
  }
  std::map<std::string, double> numbers(std::size_t) const override { return {{"context", tokens}}; }
};

ReadWorkload read_tokens_fed(config::MapReader& reader, const WorkloadReading&) {
  auto read = std::make_unique<TokensFed>();
  read->tokens = reader.count("tokens").value_or(0);
  return {{"tokens" + std::to_string(read->tokens)}, std::move(read)};
}

WorkloadKind tokens_fed() {
  return {.name = "tokens_fed",
          .doc = "Tokens that are fed.",
          .place = 25,
          .keys = {count_key("tokens", "How many.", true)},
          .is_deterministic = true,
          .read = read_tokens_fed,
          .complete_schema = [](nlohmann::ordered_json& schema) { schema["minProperties"] = 1; }};
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const WorkloadKind* kind : workload_kinds()) all.emplace_back(kind->name);
  return all;
}

std::vector<ChosenWorkload> read(const std::string& yaml) {
  config::ProblemList problems;
  std::vector<ChosenWorkload> read = read_workloads(config::parse_text(yaml, "f.yaml"), ".", problems);
  problems.throw_if_any();
  return read;
}

// Each of these stands for itself: a further workload changes nothing here.
TEST(Workloads, AreKnownByTheirFilesInTheirPlaces) {
  const std::vector<std::string> all = names();
  std::vector<std::size_t> places;
  for (const char* name : {"speed", "perplexity", "generate", "recall", "answers", "continuation"}) {
    const auto found = std::ranges::find(all, name);
    ASSERT_NE(found, all.end()) << name;
    places.push_back(found - all.begin());
  }
  EXPECT_TRUE(std::ranges::is_sorted(places));
}

TEST(Workloads, OneThatRegistersIsReadPlannedAndInTheSchema) {
  const std::vector<std::string> before = names();
  {
    const RegisteredWorkload registered(tokens_fed());
    std::vector<std::string> with = names();
    ASSERT_EQ(std::erase(with, "tokens_fed"), 1U);
    EXPECT_EQ(with, before);
    const std::vector<ChosenWorkload> chosen =
        read("[tokens_fed: {tokens: 7}, tokens_fed: {tokens: 7}, tokens_fed: {tokens: {range: [1, 4], factor: 2}}]");
    std::vector<std::string> labels;
    for (const ChosenWorkload& one : chosen) labels.insert(labels.end(), one.labels.begin(), one.labels.end());
    EXPECT_EQ(labels, (std::vector<std::string>{"tokens7", "tokens7_2", "tokens1", "tokens2", "tokens4"}));
    EXPECT_EQ(chosen.front().workload->most_rows(0, {.longest = 7}).rows, 7);
    const nlohmann::ordered_json schema = experiment_schema(reference::plugins());
    const auto& known = schema.at("definitions").at("workloads").at("items").at("properties");
    ASSERT_TRUE(known.contains("tokens_fed"));
    EXPECT_EQ(known.at("tokens_fed").at("minProperties"), 1);
    EXPECT_TRUE(known.at("tokens_fed").at("properties").contains("tokens"));
  }
  EXPECT_EQ(names(), before);
  EXPECT_EQ(
      error_of([] { (void)read("[tokens_fed: {tokens: 7}]"); }),
      "f.yaml:1:2: unknown workload \"tokens_fed\"; known workloads: " + fmt::format("{}", fmt::join(before, ", ")));
}

TEST(Workloads, LabelsThatWereWrittenTwiceAreAMistakeAndOthersAreNumbered) {
  EXPECT_EQ(error_of([] { (void)read("[speed: {batch: q8}, speed: {batch: q8}]"); }),
            "f.yaml:1:22: speed: the case \"q8\" is also in the workload at f.yaml:1:2");
  EXPECT_EQ(read("[recall: {length: 8, pairs: 1, examples: 2}, recall: {length: 8, pairs: 1, examples: 2}]")[1].labels,
            (std::vector<std::string>{"length8_pairs1_examples2_2"}));
}

}  // namespace
}  // namespace attnlab::experiment
