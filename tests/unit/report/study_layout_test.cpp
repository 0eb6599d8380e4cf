// The layout carries a study through its files; a resumed run compares the one it finds with its own.
#include "report/read/study_layout.h"

#include <gtest/gtest.h>

#include "study/planned_study.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

StudyLayout every_field() {
  StudyLayout study = layout({arm("mha"), arm("gqa", "sink")});
  study.arms[1].notes = {"converted"};
  study.arms[1].tags = {"small", "new"};
  study.arms[1].numbers = {{"attention.kv_heads", 2}, {"cache.window", 60}};
  study.arms[1].resolved = {{"attention", {{"gqa", {{"kv_heads", 2}}}}}};
  study.cases = {{"speed", "q512", {{"context", 512}, {"new_tokens", 512}}}, {"generate", "tokens4"}};
  study.cases[1].data = {{"prompt_sha256", "ab"}, {"seed", "3 1 2"}};
  study.baseline = "mha/full";
  study.compare_with = {"gqa/sink"};
  study.model.path = "models/tiny.yaml";
  study.model.weights = "seed";
  study.model.architecture = "LlamaForCausalLM";
  study.model.shape = {{"hidden_size", 64}};
  study.model.parameters = 12345678901;
  study.model.config_sha256 = "c";
  study.model.weights_sha256 = "w";
  study.model.tokenizer_sha256 = "t";
  study.model.files = {{"model.safetensors", 5'000'000'000, "f"}};
  study.seeds = {3, 1, 2};
  study.least_rounds = 5;
  study.most_rounds = 30;
  study.until = 0.02;
  study.stopped = "every interval was narrow";
  study.warnings = {"16 threads on 2 processors"};
  study.trials = {"a", "b"};
  return study;
}

TEST(StudyLayout, EveryFieldComesBack) {
  const StudyLayout written = every_field();
  const auto read = nlohmann::json::parse(nlohmann::json(written).dump()).get<StudyLayout>();
  EXPECT_EQ(read, written);
  EXPECT_EQ(read.cases[0].numbers, written.cases[0].numbers);
  EXPECT_EQ(read.cases[1].data, written.cases[1].data);
}

TEST(StudyLayout, OfAnOlderWriterHasFixedRounds) {
  const auto read =
      nlohmann::json{{"name", "s"}, {"rounds", 7}, {"arms", {{{"name", "mha"}}}}, {"cases", nlohmann::json::array()}}
          .get<StudyLayout>();
  EXPECT_EQ(read.least_rounds, 7);
  EXPECT_EQ(read.most_rounds, 7);
  EXPECT_EQ(read.until, 0);
  EXPECT_EQ(read.stopped, "");
}

TEST(Changes, NameWhatAnExperimentAddsChangesAndDrops) {
  const StudyLayout before = every_field();
  EXPECT_TRUE(experiment::changes(before, before).empty());
  StudyLayout now = before;
  now.arms[1].resolved = {{"attention", {{"gqa", {{"kv_heads", 4}}}}}};
  now.arms[0].name = "mqa/full";
  EXPECT_EQ(experiment::changes(before, now),
            (std::vector<std::string>{"the experiment adds arm mqa/full",
                                      "the experiment changes arm gqa/sink: it is measured anew",
                                      "the experiment drops arm mha/full: its trials stay and do not count"}));
}

}  // namespace
}  // namespace attnlab::report::test
