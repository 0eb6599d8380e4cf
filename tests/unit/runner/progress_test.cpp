// What the line of a trial that has ended shows: its own figures.
#include "runner/progress.h"

#include <gtest/gtest.h>

namespace attnlab::experiment {
namespace {

TEST(Progress, ShowsTheFiguresOfTheTrialThatReadersLookForFirst) {
  report::TrialResult trial;
  trial.samples = {{"kv_bytes_allocated", "bytes", "lower", 1024},
                   {"attention_core_s", "s", "lower", 0.25},
                   {"decode_tokens_per_second", "tokens/s", "higher", 123.4}};
  EXPECT_EQ(figures_of(trial), "decode tokens/s 123");
  trial.samples = {{"perplexity", "", "lower", 12.345}};
  EXPECT_NE(figures_of(trial).find("12.3"), std::string::npos) << figures_of(trial);
  trial.samples.clear();
  EXPECT_EQ(figures_of(trial), "");
}

}  // namespace
}  // namespace attnlab::experiment
