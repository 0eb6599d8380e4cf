// Logits that make no probabilities are refused, with their position and what they hold; those that do are taken.
#include "assembly/prompt.h"

#include <limits>

#include <gtest/gtest.h>

namespace attnlab::experiment {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::string refusal_of(const std::vector<float>& logits) {
  try {
    check_logits(logits, 7);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(CheckLogits, RefusesWhatMakesNoProbabilities) {
  EXPECT_NE(refusal_of({1, kNan, 2}).find("the logits of position 7 hold NaN"), std::string::npos);
  EXPECT_NE(refusal_of({1, kInf, 2}).find("the logits of position 7 hold Inf"), std::string::npos);
  EXPECT_NE(refusal_of({-kInf, -kInf}).find("the logits of position 7 are all -Inf"), std::string::npos);
}

TEST(CheckLogits, TakesTokensThatAreRuledOut) {
  EXPECT_EQ(refusal_of({1, -kInf, 2}), "");
}

}  // namespace
}  // namespace attnlab::experiment
